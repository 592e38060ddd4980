from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest

from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar

THREE = (
    ShiftPolicy(name="early", start="06:00", end="14:00"),
    ShiftPolicy(name="late", start="14:00", end="22:00"),
    ShiftPolicy(name="night", start="22:00", end="06:00"),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def attribute(calendar: ShiftCalendar, instant: datetime) -> tuple[str, date]:
    shift, posting_date = calendar.attribute(np.array([micros(instant)], np.int64))
    assert (shift.dtype, posting_date.dtype) == (np.int32, np.int32)
    return calendar.names[shift[0]], date(1970, 1, 1) + timedelta(days=int(posting_date[0]))


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("clock", "shift", "posted"),
    [
        ("2026-06-10T06:00:00", "early", "2026-06-10"),
        ("2026-06-10T13:59:59.999999", "early", "2026-06-10"),
        ("2026-06-10T14:00:00", "late", "2026-06-10"),  # on the boundary: the later shift only
        ("2026-06-10T21:59:59.999999", "late", "2026-06-10"),
        ("2026-06-10T22:00:00", "night", "2026-06-10"),
        ("2026-06-11T00:00:00", "night", "2026-06-10"),  # after midnight: the date the shift started
        ("2026-06-11T05:59:59.999999", "night", "2026-06-10"),
        ("2026-06-11T06:00:00", "early", "2026-06-11"),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Chicago", "Asia/Kolkata", "Pacific/Auckland", "UTC"])
def test_three_shifts_around_the_clock(zone: str, clock: str, shift: str, posted: str) -> None:
    assert attribute(ShiftCalendar(zone, THREE), local(zone, clock)) == (shift, date.fromisoformat(posted))


@pytest.mark.parametrize(
    ("zone", "started", "hours"),
    [
        ("Europe/Berlin", "2026-03-27", 8),
        ("Europe/Berlin", "2026-03-28", 7),  # clocks go forward in the night to the 29th
        ("Europe/Berlin", "2026-10-24", 9),
        ("America/Chicago", "2026-03-07", 7),
        ("America/Chicago", "2026-10-31", 9),
        ("Australia/Lord_Howe", "2026-04-04", 8.5),  # half an hour, and the other way round in the south
        ("Australia/Lord_Howe", "2026-10-03", 7.5),
        ("Pacific/Auckland", "2026-04-04", 9),
        ("Pacific/Auckland", "2026-09-26", 7),
        ("Asia/Kolkata", "2026-03-28", 8),
    ],
)
def test_night_shift_is_as_long_as_the_clock_change_makes_it(zone: str, started: str, hours: float) -> None:
    calendar = ShiftCalendar(zone, THREE)
    minutes = micros(local(zone, f"{started}T12:00:00")) + np.arange(24 * 60, dtype=np.int64) * 60_000_000
    shift, posting_date = calendar.attribute(minutes)
    night = (shift == calendar.names.index("night")) & (
        posting_date == (date.fromisoformat(started) - date(1970, 1, 1)).days
    )
    assert np.count_nonzero(night) == hours * 60
    assert np.all(np.diff(np.flatnonzero(night)) == 1)
    assert not np.any(shift == 0)


BOUNDARY_IN_THE_CHANGE = (
    ShiftPolicy(name="before", start="22:00", end="02:30"),
    ShiftPolicy(name="after", start="02:30", end="22:00"),
)


@pytest.mark.parametrize(
    ("instant", "shift", "posted"),
    [
        # 02:00 becomes 03:00 at 01:00 UTC: a boundary at 02:30 falls on the change.
        ("2026-03-29T00:59:59.999999+00:00", "before", "2026-03-28"),
        ("2026-03-29T01:00:00+00:00", "after", "2026-03-29"),
        # 03:00 becomes 02:00 at 01:00 UTC: 02:30 comes twice, the boundary is its first passing.
        ("2026-10-25T00:29:59.999999+00:00", "before", "2026-10-24"),
        ("2026-10-25T00:30:00+00:00", "after", "2026-10-25"),
        ("2026-10-25T01:15:00+00:00", "after", "2026-10-25"),  # 02:15 for the second time
        ("2026-10-25T01:45:00+00:00", "after", "2026-10-25"),
    ],
)
def test_boundary_inside_the_clock_change(instant: str, shift: str, posted: str) -> None:
    calendar = ShiftCalendar("Europe/Berlin", BOUNDARY_IN_THE_CHANGE)
    assert attribute(calendar, datetime.fromisoformat(instant)) == (shift, date.fromisoformat(posted))


def test_shift_inside_the_skipped_hour_has_no_instants() -> None:
    calendar = ShiftCalendar("Europe/Berlin", [ShiftPolicy(name="tiny", start="02:15", end="02:45")])
    minutes = micros(local("Europe/Berlin", "2026-03-29T00:00:00")) + np.arange(600, dtype=np.int64) * 60_000_000
    assert not calendar.attribute(minutes)[0].any()


def test_outside_shifts_the_posting_date_is_the_local_date() -> None:
    calendar = ShiftCalendar("Asia/Kolkata", [ShiftPolicy(name="day", start="08:00", end="16:00")])
    assert attribute(calendar, datetime(2026, 6, 10, 18, 29, 59, tzinfo=UTC)) == ("", date(2026, 6, 10))
    assert attribute(calendar, datetime(2026, 6, 10, 18, 30, tzinfo=UTC)) == ("", date(2026, 6, 11))


def test_without_shifts_there_is_only_the_local_date() -> None:
    calendar = ShiftCalendar("America/Chicago", ())
    assert attribute(calendar, datetime(2026, 1, 1, 5, 59, 59, tzinfo=UTC)) == ("", date(2025, 12, 31))
    assert attribute(calendar, datetime(2026, 1, 1, 6, tzinfo=UTC)) == ("", date(2026, 1, 1))


def test_date_stays_where_the_clock_goes_back_at_midnight() -> None:
    # Sao Paulo, 2018-02-18: at 00:00 it was 23:00 of the 17th again (02:00 UTC).
    calendar = ShiftCalendar("America/Sao_Paulo", ())
    instants = [datetime(2018, 2, 18, hour, minute, tzinfo=UTC) for hour, minute in ((1, 59), (2, 0), (2, 59), (3, 0))]
    dates = calendar.local_dates(np.array([micros(instant) for instant in instants], np.int64))
    days = (date(2018, 2, 17) - date(1970, 1, 1)).days
    assert dates.tolist() == [days, days, days, days + 1]


def test_days_are_the_days_on_which_a_shift_starts() -> None:
    calendar = ShiftCalendar("Europe/Berlin", [ShiftPolicy(name="friday", start="22:00", end="06:00", days=("fri",))])
    assert attribute(calendar, local("Europe/Berlin", "2026-06-12T23:00:00")) == ("friday", date(2026, 6, 12))
    assert attribute(calendar, local("Europe/Berlin", "2026-06-13T05:00:00")) == ("friday", date(2026, 6, 12))
    assert attribute(calendar, local("Europe/Berlin", "2026-06-13T23:00:00")) == ("", date(2026, 6, 13))
    assert attribute(calendar, local("Europe/Berlin", "2026-06-12T05:00:00")) == ("", date(2026, 6, 12))


def test_shift_that_ends_when_it_starts_lasts_a_day() -> None:
    calendar = ShiftCalendar("Europe/Berlin", [ShiftPolicy(name="day", start="06:00", end="06:00")])
    assert attribute(calendar, local("Europe/Berlin", "2026-06-13T05:59:59")) == ("day", date(2026, 6, 12))
    assert attribute(calendar, local("Europe/Berlin", "2026-06-13T06:00:00")) == ("day", date(2026, 6, 13))


def test_a_name_may_have_other_hours_on_other_days() -> None:
    short_friday = (
        ShiftPolicy(name="early", start="06:00", end="14:00", days=("mon", "tue", "wed", "thu")),
        ShiftPolicy(name="early", start="06:00", end="12:00", days=("fri",)),
    )
    calendar = ShiftCalendar("Europe/Berlin", short_friday)
    assert calendar.names == ("", "early")
    assert attribute(calendar, local("Europe/Berlin", "2026-06-11T13:00:00"))[0] == "early"
    assert attribute(calendar, local("Europe/Berlin", "2026-06-12T13:00:00"))[0] == ""


@pytest.mark.parametrize(
    ("shifts", "named"),
    [
        ([("a", "06:00", "14:01", ("mon",)), ("b", "14:00", "22:00", ("mon",))], "a on mon ends after b on mon starts"),
        ([("a", "22:00", "06:30", ("sun",)), ("b", "06:00", "14:00", ("mon",))], "a on sun ends after b on mon starts"),
        ([("a", "06:00", "14:00", ("wed",)), ("b", "06:00", "14:00", ("wed",))], "a on wed ends after b on wed starts"),
    ],
)
def test_overlapping_shifts_are_refused(shifts: list[tuple[str, str, str, tuple[str, ...]]], named: str) -> None:
    policies = [ShiftPolicy(name=n, start=s, end=e, days=d) for n, s, e, d in shifts]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=named):
        ShiftCalendar("UTC", policies)


def test_unknown_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        ShiftCalendar("Europe/Atlantis", ())


def test_no_instants_give_no_rows() -> None:
    shift, posting_date = ShiftCalendar("UTC", THREE).attribute(np.empty(0, np.int64))
    assert len(shift) == len(posting_date) == 0
