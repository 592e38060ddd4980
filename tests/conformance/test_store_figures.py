"""Key figures by the formulas of ISO 22400-2, of sums and never of ratios (A18, M47)."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from canonical.contracts import Confirmation, OrderOperation, OrderReference, StateMark
from canonical.policy import BreakPolicy, MaintenancePolicy, ShiftPolicy
from canonical.schemas import arrow_schema
from canonical.shifts import ShiftCalendar
from sinks.analytics.store import Store, StoreConfig

HOUR_US = 3_600_000_000
MIDNIGHT_US = 20_000 * 24 * HOUR_US
DAY = date(2024, 10, 4)
STATES = {
    "m1": {6: "setup", 7: "production", 9: "down", 11: "production", 13: "delay", 14: "production", 19: "idle"},
    "m2": {12: "production"},  # still: known until the newest output
}
MADE = {"0010": (900_000, 80_000, 20_000, 17), "0020": (500_000, 0, 0, 16)}


def mark(source, hour, state):
    at_us = MIDNIGHT_US + hour * HOUR_US
    return StateMark(
        plant="A", source=source, seq=hour, occurred_us=at_us, type="start", state=state, work_center="WC"
    )  # fmt: skip


def confirmation(number, operation, good, scrap, rework, hour):
    return {
        **Confirmation(
            posting_id=f"00000000-0000-0000-0000-00000000000{number}", plant="A", source="m1", first_seq=number,
            last_seq=number, order="WO-1", operation=operation, work_center="WC", material="M", good=good, scrap=scrap,
            rework=rework, machine_us=2 * HOUR_US, shift="day", posting_date=DAY, events=1, first_occurred_us=0,
            last_occurred_us=MIDNIGHT_US + hour * HOUR_US, first_offset=0, last_offset=0, close_reason="count",
        ).model_dump(),
        "posting_id": f"00000000-0000-0000-0000-00000000000{number}",
    }  # fmt: skip


def order(second_us):
    first = OrderOperation(operation="0010", run_us=18_000_000)
    second = OrderOperation(operation="0020", run_us=second_us)
    return OrderReference(
        changed_us=1 if second_us is None else 2, erp="E", plant="A", order="WO-1", status="released",
        operations=(first, second),
    ).model_dump(mode="json")  # fmt: skip


def rows(model, values, offset):
    table = pa.Table.from_pylist(values, arrow_schema(model))
    return table.append_column("stream_offset", pa.array([offset] * len(table), pa.int64()))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    shifts = [ShiftPolicy(name="day", start="06:00", end="18:00", breaks=(BreakPolicy(start="10:00", end="10:30"),))]
    repair = {"start": "15:00", "end": "16:00", "days": ("fri",)}
    planned = [MaintenancePolicy(**repair, work_centers=(name,)) for name in ("WC", "WC-ELSEWHERE")]
    config = StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb")
    opened = Store(config, calendars={"A": ShiftCalendar("UTC", shifts, planned)})
    opened.restore("a")
    marks = [mark(source, hour, state).model_dump() for source, each in STATES.items() for hour, state in each.items()]
    made = [confirmation(number, operation, *each) for number, (operation, each) in enumerate(MADE.items())]
    tables = {"state_mark": rows(StateMark, marks, 1), "confirmation": rows(Confirmation, made, 1)}
    opened.commit("a", "1", tables | {"order_reference": rows(OrderReference, [order(None)], 1)})
    yield opened
    opened.close()


def only(store, query):
    answer = store._db.execute(query)
    names = [column[0] for column in answer.description]
    (row,) = answer.fetchall()
    return dict(zip(names, row, strict=True))


def test_figures_of_a_shift_and_a_day(store):
    times = only(store, "FROM times_by_shift WHERE shift = 'day'")
    hours = {name: float(times[name]) / 3600 for name in ("pot", "pbt", "apt", "asut", "aupt", "adet", "aubt", "adot")}
    # m1: 2 + 2 + 4 hours of production within the shift; m2: 12 to 17, when the newest output was. Of either, one is
    # planned maintenance, and half an hour of m1's two hours down is the break.
    assert hours == {
        "pot": 24, "pbt": 24 - 3, "apt": 7 + 4, "asut": 1, "aupt": 12, "adet": 1, "aubt": 13, "adot": 1.5
    }  # fmt: skip
    assert float(only(store, "FROM stops_by_reason WHERE state = 'down'")["seconds"]) == 5400
    assert times["work_units"] == 2
    assert times["availability"] == pytest.approx(11 / 21)
    assert times["allocation_efficiency"] == pytest.approx(13 / 21)
    assert times["utilization_efficiency"] == pytest.approx(11 / 13)
    assert times["technical_efficiency"] == pytest.approx(11 / 12)
    assert times["setup_rate"] == pytest.approx(1 / 12)
    day = only(store, "FROM times_by_day")
    assert {name: day[name] for name in hours} == {name: times[name] for name in hours}
    outside = only(store, "FROM times_by_shift WHERE shift = ''")
    assert (float(outside["apt"]), float(outside["pbt"]), outside["availability"]) == (3600, 0, None)

    quality = only(store, "FROM quality_by_shift")
    assert [float(quality[name]) for name in ("pq", "gq", "sq", "rq")] == [1500, 1400, 80, 20]
    assert quality["quality_ratio"] == pytest.approx(1400 / 1500)
    assert quality["scrap_ratio"] == pytest.approx(80 / 1500)
    assert quality["rework_ratio"] == pytest.approx(20 / 1500)
    assert not quality["all_planned"]
    assert only(store, "SELECT oee, nee, effectiveness FROM oee_by_day") == dict.fromkeys(
        ("oee", "nee", "effectiveness")
    )

    store.commit("a", "2", {"order_reference": rows(OrderReference, [order(36_000_000)], 2)})
    for view in ("oee_by_shift WHERE shift = 'day'", "oee_by_day"):
        oee = only(store, f"FROM {view}")
        assert float(oee["pru_pq"]) == 1000 * 18 + 500 * 36
        assert float(oee["pru_gq"]) == 900 * 18 + 500 * 36
        assert oee["effectiveness"] == pytest.approx(36_000 / (11 * 3600))
        assert oee["quality_ratio"] == pytest.approx(34_200 / 36_000)
        assert oee["oee"] == pytest.approx(oee["availability"] * oee["effectiveness"] * oee["quality_ratio"])
        assert oee["nee"] == pytest.approx(12 / 21 * oee["effectiveness"] * oee["quality_ratio"])
    cycle = only(store, "FROM cycle_time")
    assert cycle["seconds_per_unit"] == pytest.approx(4 * 3600 / 1500)
