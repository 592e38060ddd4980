"""Lines: the postings of each order, one behind the other.

Law: a line is ordered by the postings' numbers; whoever is at its head may go, all others wait (M24).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from dataflows.processors.delivery.entry import WAITING, Entry


class Lines:
    """The lines by key; one that is empty is gone."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Entry]] = {}

    def __iter__(self) -> Iterator[list[Entry]]:
        return iter(self._lines.values())

    def of(self, key: str) -> Sequence[Entry]:
        """Return a line, head first."""
        return self._lines.get(key, ())

    def add(self, entry: Entry) -> None:
        """Put an entry in its place."""
        insort(self._lines.setdefault(entry.line, []), entry, key=_place)

    def remove(self, entry: Entry) -> None:
        """Take an entry out, if it is in its line."""
        line = self._lines.get(entry.line, [])
        if entry in line:
            line.remove(entry)
            if not line:
                del self._lines[entry.line]

    def is_head(self, entry: Entry) -> bool:
        """Return whether nothing is before it."""
        return self._lines[entry.line][0] is entry

    def waiting(self, entry: Entry) -> int:
        """Return how many wait for this one, itself included."""
        line = self.of(entry.line)
        return len(line) - line.index(entry) if entry in line else 1

    def for_persons(self) -> int:
        """Return how many postings go on only when a person has decided something."""
        return sum(len(line) for line in self if line[0].phase in WAITING)


def _place(entry: Entry) -> tuple[int, int]:
    return entry.posting.number, entry.rank
