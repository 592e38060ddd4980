"""Gaps: the declared holes that late records may still fill.

Per session the open holes are disjoint, ascending ranges. At most ``gaps_max`` are remembered;
the oldest is forgotten first, and numbers below its end are then *too late* (never silently
taken for duplicates).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from canonical.columns import IntColumn, Sessions
from dataflows.processors.state import session_columns, session_rows


@dataclass(frozen=True, slots=True)
class DeclaredGap:
    """Numbers ``first..last`` of session row ``sid``, declared missing."""

    sid: int
    first: int
    last: int


class Gaps:
    """Open holes by session row."""

    __slots__ = ("_age", "_holes", "_top", "count", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self._holes: dict[int, list[tuple[int, int]]] = {}
        self._age: dict[tuple[int, int], None] = {}  # (sid, last) of each hole, the oldest first
        self._top: IntColumn | None = None

    def add(self, sid: int, first: int, last: int, forgotten_below: IntColumn) -> None:
        """Remember a hole above all others of its session; forget the oldest beyond the limit."""
        self._holes.setdefault(sid, []).append((first, last))
        self._age[sid, last] = None
        self.count += 1
        self._top = None
        while self.count > self.limit:
            old_sid, old_last = next(iter(self._age))
            holes = self._holes[old_sid]
            place = next(i for i, hole in enumerate(holes) if hole[1] == old_last)
            self._drop(old_sid, place)
            forgotten_below[old_sid] = max(forgotten_below[old_sid], old_last + 1)

    def fill(self, sid: int, seq: int) -> bool:
        """Take ``seq`` out of its hole; False if it lies in none."""
        holes = self._holes.get(sid)
        if not holes:
            return False
        place = bisect_right(holes, (seq, _END)) - 1
        if place < 0 or holes[place][1] < seq:
            return False
        first, last = holes[place]
        parts = [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]
        if not parts:
            self._drop(sid, place)
            return True
        holes[place : place + 1] = parts
        if parts[-1][1] != last:
            del self._age[sid, last]
        for _, end in parts:
            self._age.setdefault((sid, end))
        self.count += len(parts) - 1
        self._top = None
        return True

    def top(self, size: int) -> IntColumn:
        """Return per session the highest number in an open hole, -1 where there is none."""
        if self._top is None or len(self._top) < size:
            self._top = np.full(size, -1, np.int64)
            for sid, holes in self._holes.items():
                self._top[sid] = holes[-1][1]
        return self._top

    def to_table(self, sessions: Sessions) -> pa.Table:
        """Return the holes, the oldest first."""
        starts = {(sid, last): first for sid, holes in self._holes.items() for first, last in holes}
        sids = [sid for sid, _ in self._age]
        keys = session_columns(np.array(sids, np.int32), sessions)
        first = pa.array([starts[hole] for hole in self._age], pa.int64())
        return pa.table({**keys, "first": first, "last": pa.array([last for _, last in self._age], pa.int64())})

    @classmethod
    def from_table(cls, table: pa.Table, sessions: Sessions, limit: int) -> Gaps:
        """Return the holes that ``to_table`` wrote."""
        out = cls(limit)
        bounds = [table.column(name).to_pylist() for name in ("first", "last")]
        for sid, first, last in zip(session_rows(table, sessions).tolist(), *bounds, strict=True):
            out._holes.setdefault(sid, []).append((first, last))
            out._age[sid, last] = None
            out.count += 1
        for holes in out._holes.values():
            holes.sort()
        return out

    def _drop(self, sid: int, place: int) -> None:
        holes = self._holes[sid]
        _, last = holes.pop(place)
        del self._age[sid, last]
        if not holes:
            del self._holes[sid]
        self.count -= 1
        self._top = None


_END: Final = 2**63
