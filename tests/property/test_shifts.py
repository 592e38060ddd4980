"""Shifts agree with a twin that asks the standard library about one instant at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.policy import BreakPolicy, MaintenancePolicy, ShiftPolicy
from canonical.shifts import ShiftCalendar
from canonical.wall_clock import minutes, span_minutes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "America/Chicago", "America/Sao_Paulo", "America/Havana",
    "Asia/Kolkata", "Asia/Gaza", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Auckland",
    "Africa/Casablanca", "Antarctica/Troll",
)  # fmt: skip


def first_showing(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock shows ``wall`` or later, found by halving."""
    low = wall.replace(tzinfo=UTC) - timedelta(hours=30)
    high = wall.replace(tzinfo=UTC) + timedelta(hours=30)
    passes = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    shown = [instant for instant in passes if instant.astimezone(zone).replace(tzinfo=None) == wall]
    if shown:
        return min(shown)
    while high - low > MICROSECOND:  # skipped: the change lies where the clock first shows more
        middle = low + (high - low) // 2
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high


def twin(zone: ZoneInfo, shifts: list[ShiftPolicy], instant: datetime) -> tuple[str, int, int]:
    today = instant.astimezone(zone).date()
    found = []
    for back in range(-2, 4):
        day = today - timedelta(days=back)
        for shift in shifts:
            if DAYS[day.weekday()] not in shift.days:
                continue
            start = datetime.fromisoformat(f"{day}T{shift.start}")
            end = datetime.fromisoformat(f"{day}T{shift.end}")
            if end <= start:
                end += timedelta(days=1)
            if first_showing(start, zone) <= instant < first_showing(end, zone):
                found.append((shift.name, (day - EPOCH.date()).days))
    assert len(found) <= 1, "an instant in two shifts"
    local = (today - EPOCH.date()).days
    return (*(found[0] if found else ("", local)), local)


@st.composite
def calendars(draw: st.DrawFn) -> list[ShiftPolicy]:
    """Shifts that do not overlap: cuts of a day, each stretch a shift or free, on some days."""
    cuts = sorted(draw(st.sets(st.integers(0, 95), min_size=1, max_size=5)))
    times = [f"{cut // 4:02}:{cut % 4 * 15:02}" for cut in cuts]
    days = draw(st.one_of(st.just(DAYS), st.sets(st.sampled_from(DAYS), min_size=1).map(tuple)))
    worked = draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))
    stretches = zip(times, times[1:] + times[:1], worked, strict=True)
    return [ShiftPolicy(name=f"s{i}", start=a, end=b, days=days) for i, (a, b, on) in enumerate(stretches) if on]


@st.composite
def instants(draw: st.DrawFn) -> list[datetime]:
    """Instants around the clock changes of 2011 to 2026, on boundaries and anywhere."""
    days = st.sampled_from(
        [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (
            "2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2018-02-18", "2018-11-04", "2011-12-30",
            "2026-04-05", "2026-10-04", "2026-02-15", "2026-03-22", "2025-06-11",
        )]
    )  # fmt: skip
    quarters = st.integers(-8 * 24, 8 * 24).map(lambda quarter: timedelta(minutes=15 * quarter))
    nudges = st.sampled_from([-MICROSECOND, timedelta(0), MICROSECOND])
    near = st.builds(lambda day, quarter, nudge: day + quarter + nudge, days, quarters, nudges)
    anywhere = st.integers(0, 2**31).map(lambda second: EPOCH + timedelta(seconds=second))
    return draw(st.lists(st.one_of(near, near, near, anywhere), min_size=1, max_size=12))


@settings(max_examples=80, deadline=None)
@given(zone=st.sampled_from(ZONES), shifts=calendars(), when=instants(), cut=st.integers(0, 12))
def test_every_instant_is_where_the_twin_puts_it(
    zone: str, shifts: list[ShiftPolicy], when: list[datetime], cut: int
) -> None:
    calendar = ShiftCalendar(zone, shifts)
    for part in (when[:cut], when[cut:]):  # the second part extends what the first made known
        micros = np.array([(instant - EPOCH) // MICROSECOND for instant in part], np.int64)
        shift, posting_date = calendar.attribute(micros)
        local_date = calendar.local_dates(micros)
        names = [calendar.names[index] for index in shift.tolist()]
        got = list(zip(names, posting_date.tolist(), local_date.tolist(), strict=True))
        assert got == [twin(ZoneInfo(zone), shifts, instant) for instant in part]


@settings(max_examples=80, deadline=None)
@given(zone=st.sampled_from(ZONES), shifts=calendars(), when=instants(), length=st.integers(-1, 60 * 60 * 100))
def test_pieces_tile_a_span_and_each_is_of_one_shift_and_date(
    zone: str, shifts: list[ShiftPolicy], when: list[datetime], length: int
) -> None:
    calendar = ShiftCalendar(zone, shifts)
    start_us = (when[0] - EPOCH) // MICROSECOND
    pieces = list(calendar.pieces(start_us, start_us + length * 1_000_000))
    if length <= 0:
        assert pieces == []
        return
    edges = [start_us, *(end_us for _, end_us, _, _ in pieces)]
    assert [start for start, _, _, _ in pieces] == edges[:-1]
    assert edges[-1] == start_us + length * 1_000_000
    assert edges == sorted(set(edges))
    named = [(shift, day) for _, _, shift, day in pieces]
    assert all(before != after for before, after in pairwise(named))
    for begin_us, end_us, shift, day in pieces:
        inside = np.linspace(begin_us, end_us - 1, 5).astype(np.int64)
        indices, days = calendar.attribute(np.clip(inside, begin_us, end_us - 1))
        assert {calendar.names[index] for index in indices.tolist()} == {shift}
        assert set(days.tolist()) == {(day - EPOCH.date()).days}


def clock(quarter: int) -> str:
    return f"{quarter % 96 // 4:02}:{quarter % 4 * 15:02}"


@st.composite
def planned(draw: st.DrawFn) -> tuple[list[ShiftPolicy], list[MaintenancePolicy]]:
    """Shifts, some with a break, and maintenance that may overlap breaks, shifts and itself."""
    shifts = []
    for shift in draw(calendars()):
        length = span_minutes(shift.start, shift.end) // 15
        first = draw(st.integers(0, length - 1))
        last = draw(st.integers(first + 1, length))
        begin = minutes(shift.start) // 15
        each = BreakPolicy(start=clock(begin + first), end=clock(begin + last))
        shifts.append(shift.model_copy(update={"breaks": (each,) if draw(st.booleans()) else ()}))
    maintenance = st.builds(
        MaintenancePolicy,
        start=st.integers(0, 95).map(clock),
        end=st.integers(0, 95).map(clock),
        days=st.sets(st.sampled_from(DAYS)).map(tuple),
        dates=st.just((datetime(2026, 3, 29, tzinfo=UTC).date(), datetime(2026, 10, 25, tzinfo=UTC).date())),
        work_centers=st.sampled_from([(), ("X",), ("X", "Y")]),
    )
    return shifts, draw(st.lists(maintenance, max_size=3))


def stops_at(
    zone: ZoneInfo, shifts: list[ShiftPolicy], maintenance: list[MaintenancePolicy], instant: datetime
) -> set[tuple[str, str]]:
    """The naive twin: which work centres stand at an instant, and why."""

    def within(day: datetime, start: str, length: int) -> bool:
        begin = day + timedelta(minutes=minutes(start))
        end = begin + timedelta(minutes=length)
        return first_showing(begin, zone) <= instant < first_showing(end, zone)

    if not twin(zone, shifts, instant)[0]:
        return set()
    why: dict[str, str] = {}
    today = datetime.fromisoformat(f"{instant.astimezone(zone).date()}T00:00")
    for day in (today - timedelta(days=back) for back in range(-2, 4)):
        for each in maintenance:
            on_that_day = day.date() in each.dates or DAYS[day.weekday()] in each.days
            if on_that_day and within(day, each.start, span_minutes(each.start, each.end)):
                why |= dict.fromkeys(each.work_centers or [""], "maintenance")
    for day in (today - timedelta(days=back) for back in range(-2, 4)):
        for shift in shifts:
            for each in shift.breaks if DAYS[day.weekday()] in shift.days else ():
                after_midnight = timedelta(days=minutes(each.start) < minutes(shift.start))
                if within(day + after_midnight, each.start, span_minutes(each.start, each.end)):
                    why[""] = "break"
    return {("", why[""])} if "" in why else set(why.items())


@settings(max_examples=30, deadline=None)
@given(zone=st.sampled_from(ZONES), plan=planned(), when=instants())
def test_planned_stops_are_where_the_twin_puts_them(
    zone: str, plan: tuple[list[ShiftPolicy], list[MaintenancePolicy]], when: list[datetime]
) -> None:
    shifts, maintenance = plan
    calendar = ShiftCalendar(zone, shifts, maintenance)
    for instant in when:
        at_us = (instant - EPOCH) // MICROSECOND
        around = list(calendar.stops(at_us - 30 * 3_600_000_000, at_us + 3_600_000_000))
        here = [stop for stop in around if stop.begin_us <= at_us < stop.end_us]
        stands = {(stop.work_center, stop.kind) for stop in here}
        assert stands == stops_at(ZoneInfo(zone), shifts, maintenance, instant)
        assert len(here) == len(stands), "no stop twice"
        name, day, _ = twin(ZoneInfo(zone), shifts, instant)
        assert {(stop.shift, (stop.posting_date - EPOCH.date()).days) for stop in here} <= {(name, day)}
        (piece,) = calendar.pieces(at_us, at_us + 1)
        assert list(calendar.stops(at_us, at_us + 1)) == [
            stop._replace(begin_us=piece[0], end_us=piece[1]) for stop in here
        ]
