"""The records of a commit, in order: one by one, or packed as a kernel wrote them.

Law: to go through them is to go through a list of the same records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from canonical.messages import Messages
from sinks.commit_log import Record


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Messages that go to one stream. Only confirmations are packed, of which nobody here needs to see each."""

    stream: str
    messages: Messages

    def some(self, most: int) -> Packed:
        """Return so many of them at most, evenly spaced."""
        rows = np.arange(0, len(self.messages), -(-len(self.messages) // most) or 1)
        return Packed(self.stream, self.messages.take(rows))

    def __iter__(self) -> Iterator[Record]:
        for message in self.messages:
            yield Record(self.stream, *message)


class Records(Collection[Record]):
    """Records that are added at the end."""

    __slots__ = ("_parts",)

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._parts: list[list[Record] | Packed] = []
        self.extend(records)

    def append(self, record: Record) -> None:
        """Add a record."""
        self._last().append(record)

    def extend(self, records: Iterable[Record]) -> None:
        """Add records; those that are packed stay so."""
        for part in parts_of(records):
            if isinstance(part, Packed):
                self._parts.append(part)
            else:
                self._last().extend(part)

    def __iadd__(self, records: Iterable[Record]) -> Self:
        self.extend(records)
        return self

    def pack(self, stream: str, messages: Messages) -> None:
        """Add messages of a stream."""
        self._parts.append(Packed(stream, messages))

    def parts(self) -> list[list[Record] | Packed]:
        """Return what was added, in order; it is not to be changed."""
        return self._parts

    def __len__(self) -> int:
        return sum(len(part.messages) if isinstance(part, Packed) else len(part) for part in self._parts)

    def __iter__(self) -> Iterator[Record]:
        for part in self._parts:
            yield from part

    def __contains__(self, record: object) -> bool:
        return any(record == each for each in self)

    def _last(self) -> list[Record]:
        if not self._parts or isinstance(self._parts[-1], Packed):
            self._parts.append([])
        last = self._parts[-1]
        assert isinstance(last, list)
        return last


def parts_of(records: Iterable[Record]) -> list[list[Record] | Packed]:
    """Return the records in parts, in order, each packed or a list."""
    if isinstance(records, Records):
        return records.parts()
    return [records if isinstance(records, list) else list(records)]


def weighed(records: Iterable[Record]) -> dict[str, tuple[int, int]]:
    """Return of each stream how many records there are, and how many bytes their values are."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts_of(records):
        if isinstance(part, Packed):
            each = [(part.stream, len(part.messages), part.messages.value_bytes())]
        else:
            each = [(record.stream, 1, len(record.value)) for record in part]
        for stream, count, size in each:
            known, known_size = found.get(stream, (0, 0))
            found[stream] = known + count, known_size + size
    return found
