"""Which shift, and which posting date, an instant belongs to in its plant.

Law: a plant's shifts partition time. The shift that starts on local day D at wall time S and ends
at wall time E is the half-open interval [first(D, S), first(D or D+1, E)), where ``first`` is the
first instant at which the plant's clock shows that wall time or a later one. ``first`` never
decreases, so shifts that meet on paper meet on every day, the days of a clock change included: a
boundary inside the skipped hour falls on the change, one inside the repeated hour on its first
passing, and no instant is in two shifts or in none because of the change. A pulse on a boundary
belongs to the later shift only.

The posting date is the local date on which the shift starts (M41), so a night shift posts to one
day; outside every shift it is the local date of the instant.

Source: M15, M41; DOMAIN 2.3 (overnight shift and boundary pulse counted twice).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, IntColumn
from canonical.planned_stops import Stop, planned_stops
from canonical.policy import MaintenancePolicy, ShiftPolicy
from canonical.wall_clock import (
    DAY_US,
    EPOCH,
    MINUTE_US,
    WEEKDAYS,
    DateColumn,
    WallClock,
    minutes,
    on_weekdays,
    span_minutes,
)

_WEEK_MINUTES: Final = 7 * 1440
_MARGIN_DAYS: Final = 3  # of clock known around the days covered: a shift and a fold reach at most 2 days
_COVER_DAYS: Final = 32  # added on both sides of what was asked for, so that time going on rarely extends


class ShiftCalendar:
    """Shifts of one plant. Knows the days it has been asked about and extends itself to others.

    Args:    time_zone: IANA name. shifts: may be empty, may repeat a name (a short Friday), may not overlap.
             maintenance: when machines are planned to stand, besides the breaks of the shifts.
    Raises:  ValueError naming every shift that overlaps the next; ZoneInfoNotFoundError.
    State:   O(days between the earliest and the latest instant seen).
    """

    def __init__(
        self, time_zone: str, shifts: Sequence[ShiftPolicy], maintenance: Sequence[MaintenancePolicy] = ()
    ) -> None:
        self._zone: Final = ZoneInfo(time_zone)
        self._shifts: Final = tuple(shifts)
        self._maintenance: Final = tuple(maintenance)
        self.names: Final = ("", *dict.fromkeys(shift.name for shift in shifts))
        """Names of the shifts; index 0 stands for no shift."""
        overlaps = list(_overlaps(self._shifts))
        if overlaps:
            raise ValueError("shifts overlap; end one where the other starts: " + "; ".join(overlaps))
        self._first_day = self._end_day = 0  # UTC days covered, [first, end)
        self._pieces = np.empty(0, np.int64)  # instants at which shift or date changes
        self._shift: CodeColumn = np.empty(0, np.int32)  # of each piece
        self._posting_date: DateColumn = np.empty(0, np.int32)
        self._local_date: DateColumn = np.empty(0, np.int32)

    def attribute(self, occurred_us: IntColumn) -> tuple[CodeColumn, DateColumn]:
        """Attribute instants to shifts.

        Args:    occurred_us: int64[n] UTC microseconds, in any order, within the years 2 to 9998.
        Returns: shift int32[n], index into ``names``; posting date int32[n].
        """
        piece = self._locate(occurred_us)
        return self._shift[piece], self._posting_date[piece]

    def local_dates(self, occurred_us: IntColumn) -> DateColumn:
        """Return the date int32[n] the plant's calendar shows at each instant."""
        piece = self._locate(occurred_us)
        return self._local_date[piece]

    def pieces(self, start_us: int, end_us: int) -> Iterator[tuple[int, int, str, date]]:
        """Yield [start_us, end_us), cut where shift or posting date changes: start, end, shift's name, posting date."""
        if start_us >= end_us:
            return
        first, last = self._locate(np.array((start_us, end_us - 1))).tolist()
        at_us = start_us
        for piece in range(first, last + 1):
            here = int(self._shift[piece]), int(self._posting_date[piece])
            if piece < last and here == (int(self._shift[piece + 1]), int(self._posting_date[piece + 1])):
                continue  # a midnight, or a change of the clock, within a shift
            until_us = min(end_us, int(self._pieces[piece + 1])) if piece < last else end_us
            yield at_us, until_us, self.names[here[0]], date.fromordinal(EPOCH.toordinal() + here[1])
            at_us = until_us

    def stops(self, start_us: int, end_us: int) -> Iterator[Stop]:
        """Yield when machines are planned to stand in [start_us, end_us), as far as that is within shifts."""
        pieces = [piece for piece in self.pieces(start_us, end_us) if piece[2]]
        return planned_stops(self._zone, self._shifts, self._maintenance, pieces)

    def _locate(self, occurred_us: IntColumn) -> NDArray[np.intp]:
        """Return the piece of time each instant is in, extending the calendar when it must."""
        if not len(occurred_us):
            return np.empty(0, np.intp)
        low, high = int(occurred_us.min()), int(occurred_us.max())
        if low < self._first_day * DAY_US or high >= self._end_day * DAY_US:
            self._extend(low // DAY_US, high // DAY_US + 1)
        # A batch spans few pieces; a search among those costs less than one among all.
        first, last = (np.searchsorted(self._pieces, (low, high), side="right") - 1).tolist()
        found = np.searchsorted(self._pieces[first + 1 : last + 1], occurred_us, side="right")
        found += first
        return found

    def _extend(self, first_day: int, end_day: int) -> None:
        """Cover [first_day, end_day) besides what is covered already."""
        if self._end_day > self._first_day:
            first_day, end_day = min(first_day, self._first_day), max(end_day, self._end_day)
        self._first_day, self._end_day = first_day - _COVER_DAYS, end_day + _COVER_DAYS
        clock = WallClock(self._zone, self._first_day - 2 * _MARGIN_DAYS, self._end_day + 2 * _MARGIN_DAYS)
        start_us, end_us, shift, start_day = self._intervals(
            clock, np.arange(self._first_day - _MARGIN_DAYS, self._end_day + _MARGIN_DAYS, dtype=np.int64)
        )
        self._pieces = np.unique(np.concatenate((clock.change_us, clock.midnights(), start_us, end_us)))
        self._local_date = clock.dates(self._pieces)
        current = np.searchsorted(start_us, self._pieces, side="right") - 1
        inside = current >= 0
        inside[inside] = self._pieces[inside] < end_us[current[inside]]
        self._shift = np.zeros(len(self._pieces), np.int32)
        self._shift[inside] = shift[current[inside]]
        self._posting_date = self._local_date.copy()
        self._posting_date[inside] = start_day[current[inside]]

    def _intervals(
        self, clock: WallClock, days: IntColumn
    ) -> tuple[IntColumn, IntColumn, NDArray[np.int64], NDArray[np.int64]]:
        """Return start, end, name and day of the shifts that start on these local days, by start."""
        parts = [np.empty((4, 0), np.int64)]
        for shift in self._shifts:
            starts = on_weekdays(days, shift.days)
            wall_us = starts * DAY_US + minutes(shift.start) * MINUTE_US
            name = np.full(len(starts), self.names.index(shift.name), np.int64)
            ends = clock.first(wall_us + span_minutes(shift.start, shift.end) * MINUTE_US)
            parts.append(np.stack((clock.first(wall_us), ends, name, starts)))
        table = np.concatenate(parts, axis=1)
        table = table[:, table[0] < table[1]]  # a shift inside a skipped hour has no instants
        start_us, end_us, names, start_days = table[:, np.argsort(table[0], kind="stable")]
        return start_us, end_us, names, start_days


def _overlaps(shifts: Sequence[ShiftPolicy]) -> Iterator[str]:
    """Yield each shift of the week on paper that ends after the next one starts."""
    week = sorted(
        (
            WEEKDAYS.index(day) * 1440 + minutes(shift.start),
            span_minutes(shift.start, shift.end),
            f"{shift.name} on {day}",
        )
        for shift in shifts
        for day in shift.days
    )
    if not week:
        return
    around = (week[0][0] + _WEEK_MINUTES, week[0][1], week[0][2])
    for (start, length, name), (following, _, other) in pairwise((*week, around)):
        if start + length > following:
            yield f"{name} ends after {other} starts"
