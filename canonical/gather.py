"""Gather: one column out of the columns of many batches, in one pass (``canonical/decoders/gather.c``).

Law: item i of what ``gather`` returns is item ``row_of(codes[i])`` of column ``batch_of(codes[i])``, with the kernel
and without it.

A code names a row of one of several batches: the batch's number in the upper half, the row in the lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from canonical.kernel import INT64, POINTER, function

ROW_BITS: Final = 32
_ROW: Final = (1 << ROW_BITS) - 1
_ARGUMENTS: Final = (POINTER, POINTER, INT64, POINTER, INT64, POINTER)
_KERNELS: Final = {size: function(f"gather_{size}", _ARGUMENTS) for size in (1, 4, 8)}

Codes = NDArray[np.int64]


def codes_of(batch: int, rows: NDArray[np.integer]) -> Codes:
    """Return the codes of these rows of a batch."""
    codes: Codes = rows.astype(np.int64) | batch << ROW_BITS
    return codes


def batch_of(codes: Codes) -> NDArray[np.int64]:
    """Return the number of the batch of each code."""
    return codes >> ROW_BITS


def row_of(codes: Codes) -> NDArray[np.int64]:
    """Return the row of each code in its batch."""
    return codes & _ROW


def gather(columns: Mapping[int, NDArray[Any]], codes: Codes, dtype: DTypeLike) -> NDArray[Any]:
    """Return ITEM[len(codes)] out of these columns of this dtype, by number of their batch."""
    dtype = np.dtype(dtype)
    if not len(codes):
        return np.empty(0, dtype)
    kernel = _KERNELS.get(dtype.itemsize)
    return _gathered(columns, codes, dtype) if kernel is None else _by_kernel(kernel, columns, codes, dtype)


def _by_kernel(kernel: Any, columns: Mapping[int, NDArray[Any]], codes: Codes, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = max(columns) + 1
    addresses, lengths = [0] * count, [0] * count
    for number, column in columns.items():
        if not column.flags.c_contiguous:
            columns = {**columns, number: np.ascontiguousarray(column)}
        addresses[number], lengths[number] = _address(columns[number]), len(column)
    codes = np.ascontiguousarray(codes)
    out = np.empty(len(codes), dtype)
    table = np.array((addresses, lengths), np.int64)
    at = _address(table)
    done = kernel(at, at + 8 * count, count, _address(codes), len(codes), _address(out))
    assert done == len(codes), "a code names no row of these columns"
    return out


def _address(array: NDArray[Any]) -> int:
    """Return where the first item is; ``ctypes.data``, which makes an object for it, takes three times as long."""
    at: int = array.__array_interface__["data"][0]
    return at


def _gathered(columns: Mapping[int, NDArray[Any]], codes: Codes, dtype: np.dtype[Any]) -> NDArray[Any]:
    order = np.argsort(codes, kind="stable")
    numbers, rows = batch_of(codes[order]), row_of(codes[order])
    out = np.empty(len(codes), dtype)
    begins = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]]) if len(codes) else np.empty(0, np.intp)
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(codes)], strict=False):
        out[order[begin:end]] = columns[int(numbers[begin])][rows[begin:end]]
    return out
