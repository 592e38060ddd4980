"""Plant-local time, reckoned from the mapping's data alone.

The processors have their own reckoning (``canonical.shifts``); this one is separate on purpose,
so that a mistake in either shows as a difference between truth and confirmations.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from canonical.mapping import PlantMapping
from canonical.policy import MaintenancePolicy, ShiftPolicy

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_MINUTES: Final = 24 * 60
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY: Final = ""
"""Stands for all work centres."""
PACE: Final = (
    (0.35,) * 6 + (0.9, 1.0, 1.05, 1.05, 1.0, 1.0, 0.6, 1.0, 0.8, 0.95, 0.95, 0.95, 0.6) + (0.9,) * 3 + (0.35,) * 2
)
"""Output by local hour, 1 being a full early shift: hand-overs, lunch and a slow night."""


def instant(us: int) -> datetime:
    """Return UTC microseconds as an instant."""
    return EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """Return UTC microseconds as ISO 8601 with milliseconds."""
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{us // 1000 % 1000:03d}Z"


class Calendar:
    """Time zone, shifts and planned stops of one plant."""

    def __init__(self, zone: str, shifts: Sequence[ShiftPolicy], maintenance: Sequence[MaintenancePolicy] = ()) -> None:
        self._zone = ZoneInfo(zone)
        self._shifts = [(s.name, _minutes(s.start), _minutes(s.end), s.days) for s in shifts]
        self._breaks = [(s.name, s.days, _minutes(b.start), _minutes(b.end)) for s in shifts for b in s.breaks]
        self._maintenance = tuple(maintenance)
        self._known: dict[int, tuple[date, str]] = {}
        self._standing: dict[int, frozenset[str]] = {}

    @classmethod
    def of(cls, mapping: PlantMapping) -> Self:
        """Return the calendar of a plant's mapping."""
        return cls(mapping.time_zone, mapping.shifts, mapping.maintenance)

    def local(self, us: int) -> datetime:
        """Return the wall clock's reading at an instant."""
        return instant(us).astimezone(self._zone)

    def shift(self, us: int) -> tuple[date, str]:
        """Return posting date and shift name of an instant; the name is empty between shifts."""
        minute = us // MINUTE_US
        found = self._known.get(minute)
        if found is None:
            found = self._known[minute] = self._shift(self.local(us))
        return found

    def stands(self, us: int, work_center: str) -> bool:
        """Return whether a work centre is planned to stand at an instant.

        A stop in the hour that the clock shows twice would stand twice here; no plant that is simulated has one then.
        """
        minute = us // MINUTE_US
        standing = self._standing.get(minute)
        if standing is None:
            standing = self._standing[minute] = self._stopped(us)
        return EVERY in standing or work_center in standing

    def _stopped(self, us: int) -> frozenset[str]:
        """Return the work centres that are planned to stand at an instant."""
        day, shift = self.shift(us)
        if not shift:
            return frozenset()
        local = self.local(us)
        minute = local.hour * 60 + local.minute
        found: set[str] = set()
        for name, days, start, end in self._breaks:
            if name == shift and WEEKDAYS[day.weekday()] in days and _between(minute, start, end):
                found.add(EVERY)
        for planned in self._maintenance:
            start = _minutes(planned.start)
            began = local.date() - timedelta(days=minute < start)
            on_that_day = began in planned.dates or WEEKDAYS[began.weekday()] in planned.days
            if on_that_day and _between(minute, start, _minutes(planned.end)):
                found.update(planned.work_centers or [EVERY])
        return frozenset(found)

    def pace(self, us: int) -> float:
        """Return how fast the plant works at an instant; 1 is a full early shift."""
        local = self.local(us)
        return PACE[local.hour] * (0.6 if local.weekday() == 6 else 1.0)

    def _shift(self, local: datetime) -> tuple[date, str]:
        day = local.date()
        minute = local.hour * 60 + local.minute
        for name, start, end, days in self._shifts:
            overnight = end <= start
            if minute >= start and (overnight or minute < end) and WEEKDAYS[day.weekday()] in days:
                return day, name
            before = day - timedelta(days=1)
            if overnight and minute < end and WEEKDAYS[before.weekday()] in days:
                return before, name
        return day, ""


def _between(minute: int, start: int, end: int) -> bool:
    """Return whether a minute of the day is in [start, end), which may go on after midnight."""
    return (minute - start) % DAY_MINUTES < (end - start - 1) % DAY_MINUTES + 1


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
