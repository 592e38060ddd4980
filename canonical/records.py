"""Raw records as they were read: original bytes, back to back, with their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.kernel import INT64, POINTER, address, function

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class SameHeaders(Sequence[Headers]):
    """The headers of so many records that have the same."""

    headers: Headers
    count_of_records: int

    def __len__(self) -> int:
        return self.count_of_records

    @overload
    def __getitem__(self, row: int) -> Headers: ...

    @overload
    def __getitem__(self, row: slice) -> SameHeaders: ...

    def __getitem__(self, row: int | slice) -> Headers | SameHeaders:
        """Return the headers of one record, or of some."""
        rows = range(self.count_of_records)[row]
        return SameHeaders(self.headers, len(rows)) if isinstance(rows, range) else self.headers


@dataclass(frozen=True, slots=True)
class NamedSchemas:
    """Avro writer schemas that records name by an id: the texts of those there are, and why there is none of others."""

    texts: Mapping[int, str] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)

    def joined(self, other: NamedSchemas | None) -> NamedSchemas:
        """Return those of both."""
        return self if other is None else NamedSchemas({**self.texts, **other.texts}, {**self.refused, **other.refused})


@dataclass(frozen=True, slots=True)
class RawRecords:
    """RAW[n]: record i is ``prefix + data[starts[i]:ends[i]]``, without its line end.

    ``offsets`` are positions in the shard, strictly increasing. Keys and headers are None
    where the input has none (files). ``prefix`` is the frame that a container file states once for all its data.
    ``schemas`` are those that a registry knows of the ids in the records, where one was asked.
    ``refusals``: where whoever read the batch has refused all of it, code and words of each; what is there then is
    only what is known of it.
    """

    data: bytes
    starts: IntColumn
    ends: IntColumn
    offsets: IntColumn
    topic: str = ""
    partition: int = 0
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Headers] | None = None
    prefix: bytes = b""
    schemas: NamedSchemas | None = None
    refusals: Sequence[tuple[FaultCode, str]] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def value(self, row: int) -> bytes:
        """Return the original bytes of one record."""
        return self.prefix + self.data[self.starts[row] : self.ends[row]]

    def refused(self) -> list[RowFault]:
        """Return the fault of each record of a batch that was refused."""
        return [RowFault(row, code, detail) for row, (code, detail) in enumerate(self.refusals or ())]

    @staticmethod
    def from_lines(data: bytes, first_offset: int = 0, topic: str = "") -> RawRecords:
        """Take whole lines ended by LF or CRLF; the last may lack its end. Offsets are byte positions."""
        starts, ends = _line_spans(data)
        return RawRecords(data, starts, ends, starts + first_offset, topic)

    @staticmethod
    def from_values(
        values: Sequence[bytes],
        offsets: IntColumn,
        topic: str = "",
        partition: int = 0,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
        refusals: Sequence[tuple[FaultCode, str]] | None = None,
    ) -> RawRecords:
        """Take one record a message, joined by LF so that lines can be decoded in bulk."""
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(lengths + 1) - 1
        data = b"\n".join(values)
        return RawRecords(data, ends - lengths, ends, offsets, topic, partition, keys, headers, refusals=refusals)


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row of a raw batch that could not be used, and why.

    ``row`` is -1 where that batch is gone, because the row was held back; ``offset`` then says where
    the record is to be found.
    """

    row: int
    code: FaultCode
    detail: str
    source: str = ""
    session: str = ""
    seq: int = -1
    offset: int = -1
    plant: str = ""


_SPANS: Final = function("line_spans", (POINTER, INT64, POINTER, POINTER, INT64))


def _line_spans(data: bytes) -> tuple[IntColumn, IntColumn]:
    """Return where the lines begin and where they end, without their line ends."""
    if _SPANS is None or not data:
        return _found_spans(data)
    body = np.frombuffer(data, np.uint8)
    room = len(data) // _LINE_BYTES + 1
    while True:
        spans = np.empty((2, room), np.int64)
        count = _SPANS(address(body), len(body), address(spans[0]), address(spans[1]), room)
        if count <= room:
            return spans[0, :count], spans[1, :count]
        room = count


def _found_spans(data: bytes) -> tuple[IntColumn, IntColumn]:
    """Do the same without the kernel."""
    body = np.frombuffer(data, np.uint8)
    ends = _line_ends(body)
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        ends = np.append(ends, len(data))
    starts = np.empty_like(ends)
    if len(ends):
        starts[0] = 0
        starts[1:] = ends[:-1] + 1
        if b"\r" in data:
            ends = ends - ((ends > starts) & (body[np.maximum(ends - 1, 0)] == 13))
    return starts, ends


def _line_ends(body: NDArray[np.uint8]) -> IntColumn:
    """Return where the line feeds are; block by block, so that what is compared stays in the cache."""
    places = [
        start + np.flatnonzero(body[start : start + _BLOCK_BYTES] == 10) for start in range(0, len(body), _BLOCK_BYTES)
    ]
    return np.concatenate(places) if places else np.empty(0, np.int64)


_BLOCK_BYTES: Final = 1 << 18
_LINE_BYTES: Final = 64
"""Room is made for lines of this length on average; where they are shorter, they are looked for twice."""
_NONE = np.empty(0, np.int64)
NO_RECORDS: Final = RawRecords(b"", _NONE, _NONE, _NONE)
