"""Columns as lines of JSON by a compiled kernel (``canonical/decoders/write_lines.c``).

Law: the lines are those that ``canonical.wire`` makes of the same columns without a kernel.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from canonical.kernel import INT32, INT64, POINTER, address, function

_SHORT_BYTES: Final = 32
_NUMBER_BYTES: Final = 25
_END_BYTES: Final = 4
_OUTSIDE: Final = -2


class _Told(ctypes.Structure):
    """``struct told`` of write_lines.c, member by member."""

    _fields_ = (
        ("before", ctypes.c_char * _SHORT_BYTES),
        ("long_before", POINTER),
        ("before_length", INT64),
        ("numbers", POINTER),
        ("ends", POINTER),
        ("bytes", POINTER),
        ("size", INT64),
    )


_ARGUMENTS: Final = (ctypes.POINTER(_Told), INT64, INT64, POINTER, INT64, POINTER, INT64)
_WRITE: Final = function("write_lines", _ARGUMENTS, {"told_bytes": _Told})


def json_lines(columns: Mapping[str, Any], rows: int) -> bytes | None:
    """Return a line of JSON for each row, but for the end of the last; fields in the order of the columns.

    None where the kernel cannot make them: where there is none, a text holds what JSON escapes, or a column is neither
    int64 in numpy nor texts in Arrow without nulls, nor one text for all rows.
    """
    if _WRITE is None or not rows or not all(map(_is_usable, columns.values())):
        return None
    told: list[_Told] = []
    kept: list[ctypes.Array[ctypes.c_char]] = []  # what fields point to
    before, size = b"{", _SHORT_BYTES
    for name, column in columns.items():
        before += orjson.dumps(name) + b":"
        same = _same(column)
        if same is not None:
            before += orjson.dumps(same) + b","
            continue
        field = _Told(before_length=len(before))
        if len(before) <= _SHORT_BYTES:
            field.before = before
        else:
            kept.append(ctypes.create_string_buffer(before))
            field.long_before = ctypes.addressof(kept[-1])
        size += _point(field, column, rows) + rows * (len(before) + _NUMBER_BYTES)
        told.append(field)
        before = b","
    tail = before[:-1] + b"}\n"
    size += rows * len(tail)
    out = np.empty(size, np.uint8)
    length = _WRITE((_Told * len(told))(*told), len(told), rows, tail, len(tail), address(out), size)
    assert length != _OUTSIDE, "a text lies outside of its column"
    return None if length < 0 else out[: length - 1].tobytes()


def _is_usable(column: Any) -> bool:
    if isinstance(column, np.ndarray):
        return column.dtype == np.int64 and column.flags.c_contiguous
    return isinstance(column, str) or (isinstance(column, pa.StringArray) and not column.null_count)


def _same(column: Any) -> Any:
    """Return the one value that all rows have, None where they differ; to look costs less than to write them."""
    if isinstance(column, str):
        return column
    if isinstance(column, np.ndarray):
        return column[0].item() if (column == column[0]).all() else None
    return column[0].as_py() if pc.all(pc.equal(column, column[0])).as_py() else None


def _point(field: _Told, column: Any, rows: int) -> int:
    """Point to a column, which must outlive the field; return how many bytes its texts are."""
    assert len(column) == rows, "columns differ in length"
    if isinstance(column, np.ndarray):
        field.numbers = address(column)
        return 0
    _, ends, texts = column.buffers()
    field.ends = ends.address + _END_BYTES * column.offset
    if texts is not None:
        field.bytes, field.size = texts.address, texts.size
    first, last = (INT32.from_address(field.ends + _END_BYTES * row).value for row in (0, rows))
    return int(last - first)
