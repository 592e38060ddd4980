"""Local times that occur twice: which instants have another one with the same local time after them.

Law: an instant is *early* where its plant's clock shows the same time again ``later_us`` after it, since it is set back
in between; all others have no other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from canonical.columns import IntColumn
from canonical.wall_clock import offset_changes

_DAY_US: Final = 86_400_000_000
_COVER_DAYS: Final = 32
"""Added on both sides of what was asked for, so that time going on rarely extends."""


class RepeatedHours:
    """The early instants of a zone (IANA). State: O(days between the earliest and the latest instant asked for)."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        self._first_day = self._end_day = 0
        self._hours: list[tuple[int, int, int]] = []  # begin, end, how much later the other is

    def later_us(self, instants_us: IntColumn) -> IntColumn | None:
        """Return for each instant how much later the other one is, 0 where there is none; None where none has one."""
        if not len(instants_us):
            return None
        low, high = int(instants_us.min()), int(instants_us.max())
        if low < self._first_day * _DAY_US or high >= self._end_day * _DAY_US:
            self._extend(low // _DAY_US, high // _DAY_US + 1)
        found: IntColumn | None = None
        for begin_us, end_us, by_us in self._hours:
            if begin_us <= high and low < end_us:
                inside = (instants_us >= begin_us) & (instants_us < end_us)
                if inside.any():
                    found = np.zeros(len(instants_us), np.int64) if found is None else found
                    found[inside] = by_us
        return found

    def _extend(self, first_day: int, end_day: int) -> None:
        if self._end_day > self._first_day:
            first_day, end_day = min(first_day, self._first_day), max(end_day, self._end_day)
        self._first_day, self._end_day = first_day - _COVER_DAYS, end_day + _COVER_DAYS
        changes = offset_changes(self._zone, self._first_day, self._end_day)
        self._hours = [
            (at_us - (before - after), at_us, before - after)
            for (_, before), (at_us, after) in pairwise(changes)
            if after < before
        ]
