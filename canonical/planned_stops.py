"""When machines are planned to stand: breaks of the shifts, and maintenance (ISO 22400-2, planned down time).

Laws: stops lie within shifts and are cut where shifts change; those of the whole plant and those of one of its work
centres never overlap, so their lengths may be added. Which instants are in a stop depends on the plant alone, not on
what was asked for. Maintenance during a break is a break; that of one work centre during the plant's is the plant's.

Both are told by the plant's clock, and begin and end as shifts do (``canonical.wall_clock``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from canonical.columns import IntColumn
from canonical.policy import MaintenancePolicy, ShiftPolicy
from canonical.wall_clock import DAY_US, EPOCH, MINUTE_US, WallClock, minutes, on_weekdays, span_minutes

Piece = tuple[int, int, str, date]
"""Time within a shift: start, end, shift's name, posting date."""
_Span = tuple[int, int]

_MARGIN_DAYS: Final = 3  # a stop begins up to two days of the clock before what it reaches into


class Stop(NamedTuple):
    """A stop of a work centre, or where it is empty of the whole plant, within one shift."""

    begin_us: int
    end_us: int
    kind: Literal["break", "maintenance"]
    work_center: str
    shift: str
    posting_date: date


def planned_stops(
    zone: ZoneInfo, shifts: Sequence[ShiftPolicy], maintenance: Sequence[MaintenancePolicy], pieces: Sequence[Piece]
) -> Iterator[Stop]:
    """Yield the stops within pieces of time, which are in order and do not overlap."""
    if not pieces or not (maintenance or any(shift.breaks for shift in shifts)):
        return
    first_day, end_day = pieces[0][0] // DAY_US - _MARGIN_DAYS, pieces[-1][1] // DAY_US + _MARGIN_DAYS
    clock = WallClock(zone, first_day - _MARGIN_DAYS, end_day + _MARGIN_DAYS)
    days = np.arange(first_day, end_day, dtype=np.int64)
    breaks = _united(span for shift in shifts for span in _breaks(clock, days, shift))
    yield from _within(breaks, pieces, "break", "")
    whole = list(_without(_maintained(clock, days, maintenance, ""), breaks))
    yield from _within(whole, pieces, "maintenance", "")
    taken = _united(breaks + whole)
    for work_center in sorted({name for each in maintenance for name in each.work_centers}):
        own = _without(_maintained(clock, days, maintenance, work_center), taken)
        yield from _within(own, pieces, "maintenance", work_center)


def _breaks(clock: WallClock, days: IntColumn, shift: ShiftPolicy) -> Iterator[_Span]:
    """Yield the breaks of the shifts that start on these days; one after midnight is on the day after."""
    starts = on_weekdays(days, shift.days)
    for each in shift.breaks:
        behind = (minutes(each.start) - minutes(shift.start)) % 1440
        yield from _spans(clock, starts, minutes(shift.start) + behind, span_minutes(each.start, each.end))


def _maintained(
    clock: WallClock, days: IntColumn, maintenance: Iterable[MaintenancePolicy], work_center: str
) -> list[_Span]:
    """Return when a work centre is maintained, or the whole plant, united."""
    found: list[_Span] = []
    for each in maintenance:
        if work_center in (each.work_centers or ("",)):
            dates = [day.toordinal() - EPOCH.toordinal() for day in each.dates]
            starts = np.union1d(on_weekdays(days, each.days), np.intersect1d(days, np.array(dates, np.int64)))
            found += _spans(clock, starts, minutes(each.start), span_minutes(each.start, each.end))
    return _united(found)


def _spans(clock: WallClock, days: IntColumn, start: int, length: int) -> Iterator[_Span]:
    begins = days * DAY_US + start * MINUTE_US
    yield from zip(clock.first(begins).tolist(), clock.first(begins + length * MINUTE_US).tolist(), strict=True)


def _united(spans: Iterable[_Span]) -> list[_Span]:
    """Return the time that is in any of these spans, in order; spans that meet become one."""
    found: list[_Span] = []
    for begin_us, end_us in sorted(spans):
        if found and begin_us <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_us))
        elif begin_us < end_us:  # a stop inside a skipped hour has no instants
            found.append((begin_us, end_us))
    return found


def _without(spans: Iterable[_Span], taken: Sequence[_Span]) -> Iterator[_Span]:
    """Yield what of these spans is in none of the others; both are in order and do not overlap."""
    at = 0
    for begin_us, end_us in spans:
        while at < len(taken) and taken[at][1] <= begin_us:
            at += 1
        from_us, other = begin_us, at
        while other < len(taken) and taken[other][0] < end_us:
            if from_us < taken[other][0]:
                yield from_us, taken[other][0]
            from_us = taken[other][1]
            other += 1
        if from_us < end_us:
            yield from_us, end_us


def _within(
    spans: Iterable[_Span], pieces: Sequence[Piece], kind: Literal["break", "maintenance"], work_center: str
) -> Iterator[Stop]:
    """Yield what of these spans lies within the pieces, cut at them; both are in order and do not overlap."""
    at = 0
    for begin_us, end_us in spans:
        while at < len(pieces) and pieces[at][1] <= begin_us:
            at += 1
        other = at
        while other < len(pieces) and pieces[other][0] < end_us:
            first_us, last_us, shift, day = pieces[other]
            yield Stop(max(begin_us, first_us), min(end_us, last_us), kind, work_center, shift, day)
            other += 1
