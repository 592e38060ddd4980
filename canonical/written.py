"""Columns as lines by a compiled kernel (``canonical/decoders/write_lines.c``), a line a row.

Law: a field is written as ``canonical.wire`` writes it of the same value without a kernel.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.coded import AnyColumn, Coded
from canonical.kernel import INT64, POINTER, address, function

_SHORT_BYTES: Final = 32
_NUMBER_BYTES: Final = 32
_END_BYTES: Final = 4
_OUTSIDE: Final = -2


class Form(IntEnum):
    """How a field is written: the constants of write_lines.c."""

    NUMBER = 0
    PADDED = 1  # with zeros in front, twenty digits
    INSTANT = 2  # microseconds as RFC 3339 has them
    QUOTED = 3  # a text of JSON
    RAW = 4
    PERCENT = 5  # as a part of a path
    LATIN1 = 6  # a text of JSON, each byte the character of Latin-1 that it is


_ROOM: Final = {Form.QUOTED: (1, 2), Form.RAW: (1, 2), Form.PERCENT: (3, 0), Form.LATIN1: (2, 2)}
"""Bytes that a byte of a text takes at most, and those around it."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column to be written, and what stands before each value; a row with an empty text may leave it out.

    Numbers are int64 in numpy at any stride, texts coded or in Arrow, without nulls.
    """

    before: bytes
    column: AnyColumn
    form: Form
    left_out: bool = False


class _Told(ctypes.Structure):
    """``struct told`` of write_lines.c, member by member."""

    _fields_ = (
        ("before", ctypes.c_char * _SHORT_BYTES),
        ("long_before", POINTER),
        ("before_length", INT64),
        ("form", INT64),
        ("left_out", INT64),
        ("items", POINTER),
        ("stride", INT64),
        ("texts", INT64),
        ("ends", POINTER),
        ("bytes", POINTER),
        ("size", INT64),
    )


_LAYOUTS: Final = {"told_bytes": _Told}
_ARGUMENTS: Final = (ctypes.POINTER(_Told), INT64, INT64, POINTER, INT64, POINTER, POINTER, INT64)
_WRITE: Final = function("write_lines", _ARGUMENTS, _LAYOUTS)
_LENGTHS: Final = function("text_lengths", (ctypes.POINTER(_Told), INT64), _LAYOUTS)


def is_compiled() -> bool:
    """Return whether there is a kernel."""
    return _WRITE is not None and _LENGTHS is not None


def written(fields: Sequence[Field], tail: bytes, rows: int) -> pa.StringArray | None:
    """Return a text for each row: of each field what stands before it and its value, then the tail.

    None where the kernel cannot make them: there is none, a text in quotes holds what JSON escapes, a padded number is
    negative, an instant lies outside the years 1 to 9999, or all are longer than an Arrow array holds.
    """
    if not is_compiled() or not rows:
        return None
    told = (_Told * len(fields))()
    kept: list[Any] = []  # what the structures point to
    size = _SHORT_BYTES + rows * len(tail)
    for each, field in zip(told, fields, strict=True):
        size += _point(each, field, rows, kept)
    ends = np.empty(rows + 1, np.int32)
    ends[0] = 0
    out = np.empty(size, np.uint8)
    length = _WRITE(told, len(told), rows, tail, len(tail), address(ends[1:]), address(out), size)
    assert length != _OUTSIDE, "a text lies outside of its column"
    if length < 0:
        return None
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(out[:length].tobytes()))


def whole(lines: pa.StringArray) -> bytes:
    """Return what ``written`` returned as one text."""
    _, _, data = lines.buffers()
    joined: bytes = data.to_pybytes()
    return joined


def _point(told: _Told, field: Field, rows: int, kept: list[Any]) -> int:
    """Point to a column, which must outlive this; return how many bytes all of it takes at most."""
    column, before = field.column, field.before
    assert len(column) == rows, "columns differ in length"
    told.before_length, told.form, told.left_out = len(before), field.form, field.left_out
    if len(before) <= _SHORT_BYTES:
        told.before = before
    else:
        kept.append(ctypes.create_string_buffer(before))
        told.long_before = ctypes.addressof(kept[-1])
    if isinstance(column, np.ndarray):
        _point_to_items(told, column)
        return rows * (len(before) + _NUMBER_BYTES)
    texts: pa.StringArray = column
    if isinstance(column, Coded):
        _point_to_items(told, column.codes)
        texts = column.texts
    _, ends, data = texts.buffers()
    kept += (ends, data)
    told.texts, told.ends = len(texts), ends.address + _END_BYTES * texts.offset
    if data is not None:
        told.bytes, told.size = data.address, data.size
    length = _LENGTHS(ctypes.byref(told), rows)
    assert length != _OUTSIDE, "a text lies outside of its column"
    each, around = _ROOM[field.form]
    return int(length) * each + rows * (len(before) + around)


def _point_to_items(told: _Told, items: NDArray[Any]) -> None:
    place = items.__array_interface__["data"]
    told.items, told.stride = place[0], items.strides[0]
