"""Intervals are what lies between marks, whatever order these come in, and tile time shift by shift (A18, M22, M47)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from itertools import count, pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import MachineState, StateMark, TelemetryMinute
from canonical.policy import BreakPolicy, MaintenancePolicy, ShiftPolicy
from canonical.schemas import arrow_schema
from canonical.shifts import ShiftCalendar
from sinks.analytics.store import Store, StoreConfig

HOUR_US = 3_600_000_000
DAWN_US = int(datetime(2026, 10, 23, tzinfo=UTC).timestamp()) * 1_000_000  # the clock goes back within these days
SHIFTS = (
    ShiftPolicy(name="day", start="06:00", end="18:00", breaks=(BreakPolicy(start="12:00", end="13:00"),)),
    ShiftPolicy(name="night", start="22:00", end="04:00", days=("fri", "sat")),
)
MAINTENANCE = MaintenancePolicy(start="16:00", end="23:00", days=("fri", "sun"), work_centers=("WC-2",))
PLANTS = {"B": ShiftCalendar("Europe/Berlin", SHIFTS, [MAINTENANCE])}
NUMBERS = count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intervals")
    config = StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb")
    opened = Store(config, calendars=PLANTS)
    yield opened
    opened.close()


marks = st.lists(
    st.tuples(
        st.sampled_from(["B", "elsewhere"]),
        st.sampled_from(["m1", "m2"]),
        st.integers(0, 120),  # hours
        st.sampled_from(list(MachineState)),
        st.sampled_from(["", "TOOL"]),
    ),
    min_size=1,
    max_size=12,
)


def committed(store, shard, model, name, told, offset):
    table = pa.Table.from_pylist([each.model_dump() for each in told], arrow_schema(model))
    table = table.append_column("stream_offset", pa.array([offset] * len(told), pa.int64()))
    for _ in range(2):  # what is told again changes nothing
        store.commit(shard, str(offset), {name: table})


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks, st.data())
def test_hour_by_hour_the_last_mark_counts(store, told, data):
    shard = f"s{next(NUMBERS)}"
    store.restore(shard)
    store._db.execute("DELETE FROM store_hot_state_mark; DELETE FROM state_interval; DELETE FROM state_time")
    given_marks = [
        StateMark(
            plant=plant, source=source, seq=seq, occurred_us=DAWN_US + hour * HOUR_US, type="downtime", state=state,
            reason=reason, work_center=f"WC-{source[1]}",
        )
        for seq, (plant, source, hour, state, reason) in enumerate(told)
    ]  # fmt: skip
    left, offset = list(data.draw(st.permutations(given_marks))), 0
    while left:
        size = data.draw(st.sampled_from([1, 4, len(left)]))
        committed(store, shard, StateMark, "state_mark", left[:size], offset)
        left, offset = left[size:], offset + 1
    times, planned, now = expected(given_marks)
    found = store._db.execute(
        "SELECT plant, source, state, reason, shift, posting_date, duration_us, planned_us FROM state_time"
    ).fetchall()
    assert {tuple(row[:-2]): row[-2] for row in found} == times
    assert {tuple(row[:-2]): row[-1] for row in found if row[-1]} == planned
    assert len(found) == len(times), "one row for each key"
    summed = store._db.execute(
        "SELECT plant, source, state, reason, shift, posting_date, CAST(sum(end_us - begin_us) AS HUGEINT), count(*),"
        " CAST(sum(planned_us) AS HUGEINT) FROM state_interval WHERE end_us IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert (
        summed
        == store._db.execute(
            "SELECT plant, source, state, reason, shift, posting_date, duration_us, intervals, planned_us"
            " FROM state_time ORDER BY ALL"
        ).fetchall()
    )
    open_now = store._db.execute(
        "SELECT plant, source, state, reason, begin_us FROM state_interval WHERE end_us IS NULL"
    )
    assert {tuple(row[:2]): tuple(row[2:]) for row in open_now.fetchall()} == now
    for plant, source in now:
        pieces = store._db.execute(
            "SELECT begin_us, end_us FROM state_interval WHERE plant = ? AND source = ? ORDER BY begin_us",
            [plant, source],
        ).fetchall()
        assert all(before[1] == after[0] for before, after in pairwise(pieces)), "they tile"
    shifts = store._db.execute("SELECT plant, begin_us, end_us FROM shift_time ORDER BY ALL").fetchall()
    assert all(a[2] == b[1] for a, b in pairwise(shifts) if a[0] == b[0]), "the calendar has no hole"


def expected(told):
    """The naive twin: asks of every hour which mark was the last, which shift it is in, and what is planned."""
    times: Counter = Counter()
    planned: Counter = Counter()
    now = {}
    for plant, source in {(mark.plant, mark.source) for mark in told}:
        own = [mark for mark in told if (mark.plant, mark.source) == (plant, source)]
        newest = max(own, key=lambda mark: (mark.occurred_us, mark.seq))
        now[plant, source] = (newest.state, newest.reason, newest.occurred_us)
        calendar = PLANTS.get(plant, ShiftCalendar("UTC", ()))
        for at_us in range(min(mark.occurred_us for mark in own), newest.occurred_us, HOUR_US):
            last = max((m for m in own if m.occurred_us <= at_us), key=lambda mark: (mark.occurred_us, mark.seq))
            (shift,), (day,) = calendar.attribute(np.array([at_us]))
            day = date.fromordinal(date(1970, 1, 1).toordinal() + int(day))
            times[plant, source, last.state, last.reason, calendar.names[shift], day] += HOUR_US
            for stop in calendar.stops(at_us, at_us + HOUR_US):
                if stop.work_center in ("", last.work_center):
                    key = (plant, source, last.state, last.reason, stop.shift, stop.posting_date)
                    planned[key] += stop.end_us - stop.begin_us
    return times, planned, now


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["m1", "m2"]), st.integers(-2, 2), st.integers(1, 2**40), st.integers(-3, 3)),
        min_size=1,
    ),
    st.data(),
)
def test_parts_of_a_minute_add_up(store, told, data):
    plant = f"P{next(NUMBERS)}"
    store.restore(plant)
    parts = [
        TelemetryMinute(plant=plant, source=source, minute_us=minute * 60_000_000, events=events, energy_mwh=energy)
        for source, minute, events, energy in told
    ]
    left, offset, sums = list(parts), 0, Counter()
    while left:
        size = data.draw(st.sampled_from([1, 4, len(left)]))
        committed(store, plant, TelemetryMinute, "telemetry_minute", left[:size], offset)
        left, offset = left[size:], offset + 1
    for part in parts:
        sums[part.source, part.minute_us, "events"] += part.events
        sums[part.source, part.minute_us, "energy_mwh"] += part.energy_mwh
    found = store._db.execute(
        "SELECT source, minute_us, events, energy_mwh FROM telemetry_minute WHERE plant = ?", [plant]
    ).fetchall()
    assert len({row[:2] for row in found}) == len(found)
    assert {
        (*row[:2], name): value for row in found for name, value in zip(("events", "energy_mwh"), row[2:], strict=True)
    } == sums
