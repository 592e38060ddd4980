"""Parquet files as records: each row is a line of JSON, so that it is mapped, kept and replayed as such lines are.

Laws:

- a line is a function of its row and the types of the columns; which batch it comes in, and where row groups begin,
  does not matter;
- a row group is read as a whole or refused as a whole, after a look at all of it, so that what is broken behind its
  first rows takes none of them with it half-way;
- every row group is in exactly one class: its rows are records, or it is one record, its bytes behind ``GROUP``, that
  ``parse_parquet`` refuses. So is a file without a sound footer, as it is. A record's offset is the number of its row.

Columns that repeat (lists, maps) have no single value, and are left out.

Memory: a window of rows of one row group, whatever the file states: see ``parquet_pages``.
Source: Apache Parquet format, File format and ``parquet.thrift``.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import arro3.core
import arro3.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.decoders.parquet_columns import written
from canonical.decoders.parquet_pages import FOOTER_BYTES_MAX, Group, groups_of, row_bytes
from canonical.decoders.thrift_compact import Unsound
from canonical.records import RawRecords

GROUP: Final = b"PAR1: a row group\n"
"""Before the bytes of a row group that cannot be read."""
ROWS_MAX: Final = 1 << 40
"""Rows of a file; with more it is refused."""
ROWS_PER_BYTE_MAX: Final = 64
"""Rows that a row group may say it has, by its bytes, beyond ``WINDOW_ROWS``: no event takes less."""
WINDOW_ROWS: Final = 8_192
WINDOW_BYTES_MAX: Final = 128 << 20
"""Rows that are unpacked at once take no more than this, however they are packed."""
LINES_BYTES_MAX: Final = 16 << 20
"""Of unpacked rows so much is written as lines at once."""
KEPT_BYTES_MAX: Final = 64 << 20
"""Lines of a row group kept while it is looked at; the rest of a larger one is unpacked a second time."""
EXPANSION_BYTES: Final = 64 << 20
EXPANSION_MAX: Final = 256
"""A row group may take so many times its bytes unpacked, and ``EXPANSION_BYTES`` more."""
REST_BYTES_MAX: Final = 32 << 20
"""Of what cannot be read so much is kept in the record that stands for it."""
FOOTER_PARTS_MAX: Final = 100_000
"""Columns and row groups, or parts of them, that a footer may list."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """Records that follow each other, back to back, and the numbers of their rows."""

    data: bytes
    starts: IntColumn
    ends: IntColumn
    rows: IntColumn

    def __len__(self) -> int:
        return len(self.rows)

    def cut(self, count: int) -> tuple[_Lines, _Lines]:
        first = _Lines(self.data, self.starts[:count], self.ends[:count], self.rows[:count])
        return first, _Lines(self.data, self.starts[count:], self.ends[count:], self.rows[count:])


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows as JSON can say them, unpacked; ``bad`` are those with a text that is none."""

    rows: pa.RecordBatch
    bad: NDArray[np.bool_]

    @staticmethod
    def of(rows: pa.RecordBatch) -> _Window:
        """Unpack rows, which may repeat what a dictionary holds."""
        bad = np.zeros(len(rows), np.bool_)
        columns = [written(column, bad) for column in rows.columns]
        return _Window(pa.RecordBatch.from_arrays(columns, names=rows.schema.names), bad)

    def lines(self, row: int) -> Iterator[_Lines]:
        """Yield the lines of these rows, of which the first has this number."""
        count = len(self.rows)
        if self.rows.nbytes > LINES_BYTES_MAX and count > 1:
            half = count // 2
            yield from _Window(self.rows.slice(0, half), self.bad[:half]).lines(row)
            yield from _Window(self.rows.slice(half), self.bad[half:]).lines(row + half)
            return
        out = io.BytesIO()
        arro3.io.write_ndjson(arro3.core.Table.from_arrow(pa.Table.from_batches([self.rows])), out)
        data = out.getvalue()
        if self.bad.any():
            # A line that ends so is no UTF-8, and refused as such.
            ends = [b"\xff\n" if each else b"\n" for each in self.bad.tolist()]
            data = b"".join(line + end for line, end in zip(data.splitlines(), ends, strict=True))
        lines = RawRecords.from_lines(data)
        assert len(lines) == count, "every row is a line"
        yield _Lines(data, lines.starts, lines.ends, row + np.arange(count, dtype=np.int64))


class ParquetRows:
    """Reads one file from a row on."""

    def __init__(self, file: BinaryIO, first: int = 0) -> None:
        self._file = file
        self._lines = self._told(first)
        self._rest: _Lines | None = None

    def read(self, records_max: int, bytes_max: int, topic: str = "") -> RawRecords:
        """Return the next records, up to so many and about so large together, none at the end.

        Their offsets are the numbers of their rows in the file.
        """
        lines, self._rest = self._rest, None
        lines = next(self._lines, None) if lines is None else lines
        if lines is None:
            none = np.empty(0, np.int64)
            return RawRecords(b"", none, none, none, topic)
        room = int(np.searchsorted(lines.ends, lines.starts[0] + bytes_max)) + 1
        if (taken := min(records_max, room)) < len(lines):
            lines, self._rest = lines.cut(taken)
        begin, end = int(lines.starts[0]), int(lines.ends[-1])
        data = lines.data if end - begin == len(lines.data) else lines.data[begin:end]
        return RawRecords(data, lines.starts - begin, lines.ends - begin, lines.rows, topic)

    def _told(self, first: int) -> Iterator[_Lines]:
        """Yield the records from a row on; no piece is empty."""
        size = self._file.seek(0, io.SEEK_END)
        if not size:
            return
        try:
            groups = groups_of(self._file)
            parquet, columns = self._opened(groups)
        except _REFUSALS:
            if not first:
                yield self._refused(0, 0, size, b"")
            return
        row = 0
        for i, group in enumerate(groups):
            if group.rows and row + group.rows > first:
                yield from self._group(parquet, i, group, columns, row, max(first - row, 0))
            row += group.rows

    def _opened(self, groups: list[Group]) -> tuple[pq.ParquetFile, list[str]]:
        """Return the file and its columns of single values. Nothing else is asked of Arrow that its footer says."""
        parquet = pq.ParquetFile(
            pa.PythonFile(self._file, "r"),
            pre_buffer=False,
            buffer_size=1 << 16,
            page_checksum_verification=True,
            thrift_string_size_limit=FOOTER_BYTES_MAX,
            thrift_container_size_limit=FOOTER_PARTS_MAX,
        )
        single = [parquet.schema.column(i) for i in range(len(parquet.schema.names))]
        columns = [column.path for column in single if not column.max_repetition_level]
        if not columns or any("\0" in column for column in columns):
            raise Unsound("no columns of single values")
        if sum(group.rows for group in groups) > ROWS_MAX:
            raise Unsound("a number of rows that cannot be")
        return parquet, columns

    def _group(
        self, parquet: pq.ParquetFile, number: int, group: Group, columns: list[str], row: int, passed: int
    ) -> Iterator[_Lines]:
        """Yield the rows of a row group but the first ones, or what stands for it."""
        kept: list[_Lines] = []
        windows = size = seen = 0
        packed = group.end - group.start
        try:
            rows = self._window(group, columns)
            asked = {"batch_size": rows, "row_groups": [number], "columns": columns, "use_threads": False}
            for window in map(_Window.of, parquet.iter_batches(**asked)):
                size += window.rows.nbytes
                if size > EXPANSION_BYTES + EXPANSION_MAX * packed:
                    raise Unsound(f"more than {size:,} bytes in {packed:,}")
                if sum(len(lines.data) for lines in kept) < KEPT_BYTES_MAX:
                    kept += window.lines(row + seen)
                    windows += 1
                seen += len(window.rows)
            if seen != group.rows:
                raise Unsound(f"{seen:,} rows, and not {group.rows:,}")
        except _REFUSALS:
            if not passed:
                yield self._refused(row, group.start, group.end, GROUP)
            return
        yield from _behind(kept, row + passed)
        kept.clear()
        if windows * rows >= seen:
            return
        for i, window in enumerate(parquet.iter_batches(**asked)):
            if i >= windows:
                yield from _behind(_Window.of(window).lines(row + i * rows), row + passed)

    def _window(self, group: Group, columns: list[str]) -> int:
        """Return how many rows may be unpacked at once. Raises: Unsound."""
        packed = group.end - group.start
        if group.rows > WINDOW_ROWS + ROWS_PER_BYTE_MAX * packed:
            raise Unsound(f"{group.rows:,} rows in {packed:,} bytes")
        needed = sum(row_bytes(self._file, chunk) for chunk in group.chunks if chunk.path in columns)
        return max(1, min(WINDOW_ROWS, int(WINDOW_BYTES_MAX / max(needed, 1))))

    def _refused(self, row: int, begin: int, end: int, mark: bytes) -> _Lines:
        """Return the record that stands for these bytes of the file."""
        self._file.seek(max(begin, 0))
        data = mark + self._file.read(min(max(end - begin, 0), REST_BYTES_MAX))
        return _Lines(data, np.zeros(1, np.int64), np.full(1, len(data)), np.full(1, row))


_REFUSALS: Final = (
    pa.ArrowException,
    Unsound,
    OSError,
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
    MemoryError,
)
"""What Arrow raises of files that are broken, its own and Python's; an ``OSError`` is what it makes of bad data."""


def read_parquet(data: bytes, topic: str = "") -> RawRecords:
    """Take a whole file apart."""
    rows, parts = ParquetRows(io.BytesIO(data)), []
    while len(part := rows.read(sys.maxsize, sys.maxsize, topic)):
        parts.append(part)
    values = [part.value(row) for part in parts for row in range(len(part))]
    offsets = np.concatenate([np.empty(0, np.int64), *(part.offsets for part in parts)])
    return RawRecords.from_values(values, offsets, topic)


def _behind(pieces: Iterable[_Lines], first: int) -> Iterator[_Lines]:
    """Yield the records from a row on."""
    for lines in pieces:
        rest = lines.cut(int(np.searchsorted(lines.rows, first)))[1]
        if len(rest):
            yield rest
