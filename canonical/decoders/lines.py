"""Lines of text: the raw records of a batch as UTF-8 spans, those that are none set aside.

Law: whether a record is a line, and which, depends on its own bytes alone. One record is one
physical line: it may carry its line end, but none inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.records import RawRecords, RowFault

Mask = NDArray[np.bool_]

LF: Final = 10
CR: Final = 13
_BLANKS: Final = b" \t"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Lines:
    """LINE[n]: line i is ``data[starts[i]:ends[i]]``, UTF-8, without line end and byte order mark.

    ``usable`` is true where row i is such a line; ``faults`` name the rows that are not; rows in
    neither are blank. All arrays have one entry per raw record. ``apart`` is true where nothing
    but line ends lies between the lines.
    """

    data: bytes
    starts: IntColumn
    ends: IntColumn
    usable: Mask
    apart: bool
    faults: list[RowFault] = field(default_factory=list)

    @property
    def body(self) -> NDArray[np.uint8]:
        """The bytes of all lines."""
        return np.frombuffer(self.data, np.uint8)

    def line(self, row: int) -> str:
        """Return the text of one usable line."""
        return self.data[self.starts[row] : self.ends[row]].decode()

    def count(self, positions: IntColumn) -> IntColumn:
        """Return how many of these byte positions, in increasing order, lie in each line."""
        return np.searchsorted(positions, self.ends) - np.searchsorted(positions, self.starts)

    def refuse(self, rows: Mask, code: FaultCode, detail: Callable[[int], str]) -> None:
        """Make usable rows faults, with a detail worded for each row."""
        rows = rows & self.usable
        self.faults += [RowFault(row, code, detail(row)) for row in np.flatnonzero(rows).tolist()]
        self.usable &= ~rows


def read(records: RawRecords, encoding: str, record_bytes_max: int) -> Lines:
    """Turn raw records into lines.

    Args:    encoding: utf-8, or a single-byte encoding that keeps ASCII, as latin-1 and cp1252.
    Returns: lines; faults OVERSIZE, NOT_UTF8 (not text in the declared encoding), MALFORMED
             (a line end inside the record).
    """
    starts, ends = records.starts, records.ends
    oversize = ends - starts > record_bytes_max
    sizes = ends - starts
    if encoding == "utf-8":
        data, undecodable = records.data, _not_utf8(records.data, starts, ends)
    else:
        data, starts, ends, undecodable = _transcode(records, encoding)
    body = np.frombuffer(data, np.uint8)
    for line_end in (LF, CR):
        ends = ends - ((ends > starts) & _byte_is(body, ends - 1, line_end))
    if encoding == "utf-8" and _BOM in data:
        marked = ends - starts >= len(_BOM)
        for i, byte in enumerate(_BOM):
            marked &= _byte_is(body, starts + i, byte)
        starts = starts + len(_BOM) * marked
    breaks = np.flatnonzero((body == LF) | (body == CR) if b"\r" in data else body == LF)
    inside = np.searchsorted(breaks, ends) - np.searchsorted(breaks, starts)
    apart = len(data) - int((ends - starts).sum()) == len(breaks) - int(inside.sum())
    lines = Lines(data, starts, ends, np.ones(len(starts), np.bool_), apart)
    lines.refuse(oversize, FaultCode.OVERSIZE, lambda row: f"{sizes[row]} bytes; the limit is {record_bytes_max}")
    lines.refuse(undecodable, FaultCode.NOT_UTF8, lambda row: _undecodable_detail(records.value(row), encoding))
    lines.refuse(inside > 0, FaultCode.MALFORMED, lambda _: "a line end inside the record; one record is one line")
    lines.usable &= ~_blank(lines, body)
    return lines


def spans(data: bytes, starts: IntColumn, ends: IntColumn) -> pa.StringArray:
    """Return ``data[starts[i]:ends[i]]`` as strings; the spans are in order and do not overlap.

    The data becomes the values of an Arrow array in which every second string is a span and the
    others are what lies between; taking every second one copies each span once.
    """
    n = len(starts)
    if not n:
        return pa.array([], pa.string())
    assert len(data) < 2**31, "a raw batch is far smaller than 2 GiB"
    offsets = np.empty(2 * n + 1, np.int32)
    offsets[0:-1:2] = starts
    offsets[1::2] = ends
    offsets[-1] = ends[-1]
    alternating = pa.StringArray.from_buffers(2 * n, pa.py_buffer(offsets), pa.py_buffer(data))
    return alternating.take(pa.array(np.arange(0, 2 * n, 2, dtype=np.int32), pa.int32()))


def _byte_is(body: NDArray[np.uint8], positions: IntColumn, byte: int) -> Mask:
    """Return where the body has this byte; positions outside the body count as having another."""
    found = np.zeros(len(positions), np.bool_)
    known = (positions >= 0) & (positions < len(body))
    found[known] = body[positions[known]] == byte
    return found


def _blank(lines: Lines, body: NDArray[np.uint8]) -> Mask:
    """Return which lines are empty or hold nothing but blanks."""
    blank: Mask = lines.ends == lines.starts
    ends_blank = np.zeros(len(blank), np.bool_)
    for byte in _BLANKS:
        ends_blank |= _byte_is(body, lines.ends - 1, byte)
    for row in np.flatnonzero(ends_blank & ~blank).tolist():
        blank[row] = not lines.data[lines.starts[row] : lines.ends[row]].strip(_BLANKS)
    return blank


def _not_utf8(data: bytes, starts: IntColumn, ends: IntColumn) -> Mask:
    bad = np.zeros(len(starts), np.bool_)
    if data.isascii():
        return bad
    try:
        data.decode()
    except UnicodeDecodeError:
        # Lines begin and end at ASCII bytes, so a valid line is valid wherever it lies.
        high = np.flatnonzero(np.frombuffer(data, np.uint8) >= 0x80)
        for row in np.flatnonzero(np.searchsorted(high, ends) > np.searchsorted(high, starts)).tolist():
            try:
                data[starts[row] : ends[row]].decode()
            except UnicodeDecodeError:
                bad[row] = True
    return bad


def _transcode(records: RawRecords, encoding: str) -> tuple[bytes, IntColumn, IntColumn, Mask]:
    """Return the data as UTF-8, the spans moved to match, and the rows with bytes that have no meaning."""
    if records.data.isascii():
        return records.data, records.starts, records.ends, np.zeros(len(records), np.bool_)
    body = np.frombuffer(records.data, np.uint8)
    letters = [bytes([byte]).decode(encoding, "replace") for byte in range(256)]
    growth = np.array([len(letter.encode()) - 1 for letter in letters], np.int64)
    unknown = np.array([letter == "\N{REPLACEMENT CHARACTER}" for letter in letters])
    high = np.flatnonzero(body >= 0x80)
    grown = np.concatenate((np.zeros(1, np.int64), np.cumsum(growth[body[high]])))
    lost = np.concatenate((np.zeros(1, np.int64), np.cumsum(unknown[body[high]])))
    first, last = np.searchsorted(high, records.starts), np.searchsorted(high, records.ends)
    data = records.data.decode(encoding, "replace").encode()
    return data, records.starts + grown[first], records.ends + grown[last], lost[last] > lost[first]


def _undecodable_detail(value: bytes, encoding: str) -> str:
    try:
        value.decode(encoding)
    except UnicodeDecodeError as error:
        return f"byte {error.start} (0x{value[error.start]:02x}) is not {encoding} text: {error.reason}"
    raise AssertionError("only undecodable records are described")
