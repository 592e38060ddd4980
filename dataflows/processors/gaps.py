"""Gaps: the declared holes that late records may still fill.

Per session the open holes are disjoint, ascending ranges, the oldest first. At most ``gaps_max``
of a session are remembered; the oldest is forgotten first, and numbers below its end are then
*too late* (never silently taken for duplicates). The limit is per session, so that what one source
does never decides what is remembered of another.
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

    __slots__ = ("_holes", "_top", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._holes: dict[int, list[tuple[int, int]]] = {}
        self._top: IntColumn | None = None

    def __bool__(self) -> bool:
        """Return whether any hole is open."""
        return bool(self._holes)

    def add(self, sid: int, first: int, last: int, forgotten_below: IntColumn) -> None:
        """Remember a hole above all others of its session."""
        self._holes.setdefault(sid, []).append((first, last))
        self._trim(sid, forgotten_below)

    def fill(self, sid: int, seq: int, forgotten_below: IntColumn) -> bool:
        """Take ``seq`` out of its hole; False if it lies in none."""
        holes = self._holes.get(sid)
        if not holes:
            return False
        place = bisect_right(holes, (seq, _END)) - 1
        if place < 0 or holes[place][1] < seq:
            return False
        first, last = holes[place]
        holes[place : place + 1] = [(a, b) for a, b in ((first, seq - 1), (seq + 1, last)) if a <= b]
        self._trim(sid, forgotten_below)
        return True

    def top(self, size: int) -> IntColumn:
        """Return per session the highest number in an open hole, -1 where there is none."""
        if self._top is None or len(self._top) < size:
            self._top = np.full(size, -1, np.int64)
            for sid, holes in self._holes.items():
                self._top[sid] = holes[-1][1]
        return self._top

    def to_table(self, sessions: Sessions) -> pa.Table:
        """Return the holes, those of a session in order."""
        holes = [(sid, *hole) for sid, of_session in self._holes.items() for hole in of_session]
        sids, first, last = (np.array([hole[i] for hole in holes], np.int64) for i in range(3))
        return pa.table({**session_columns(sids, sessions), "first": pa.array(first), "last": pa.array(last)})

    @classmethod
    def from_table(cls, table: pa.Table, sessions: Sessions, limit: int) -> Gaps:
        """Return the holes that ``to_table`` wrote."""
        out = cls(limit)
        bounds = [table.column(name).to_pylist() for name in ("first", "last")]
        for sid, first, last in zip(session_rows(table, sessions).tolist(), *bounds, strict=True):
            out._holes.setdefault(sid, []).append((first, last))
        return out

    def _trim(self, sid: int, forgotten_below: IntColumn) -> None:
        holes = self._holes[sid]
        while len(holes) > self.limit:
            _, last = holes.pop(0)
            forgotten_below[sid] = max(forgotten_below[sid], last + 1)
        if not holes:
            del self._holes[sid]
        self._top = None


_END: Final = 2**63
