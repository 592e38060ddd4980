"""What ends a confirmation and what it says, one case a row; state bytes of every release decode."""

from pathlib import Path

import numpy as np
import pytest

from canonical.columns import DEFAULTS, TEXT_COLUMNS, TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.confirmation import Confirmation
from canonical.contracts.event import EventType
from canonical.identity import posting_id
from canonical.policy import DEFAULT_ROUTES, AggregatePolicy, Route, ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors.aggregate import LATE_IDLE_US, Aggregate

GOLDEN = Path(__file__).parents[1] / "golden" / "state" / "aggregate-1.arrows"
HOUR_US = 3_600_000_000
NOON_US = 1_767_610_800_000_000  # 2026-01-05 12:00 in Berlin, 11:00 UTC
EARLY_LATE = ShiftCalendar(
    "Europe/Berlin",
    [ShiftPolicy(name="early", start="06:00", end="14:00"), ShiftPolicy(name="late", start="14:00", end="22:00")],
)
NO_SHIFTS = ShiftCalendar("Europe/Berlin", [])
NONE = EventBatch.empty()


class Line:
    """One machine's aggregate; rows are dicts, numbered as they come."""

    def __init__(self, calendar=NO_SHIFTS, **policy):
        self.sessions = Sessions(Vocabulary())
        self.aggregate = Aggregate(AggregatePolicy(**policy), DEFAULT_ROUTES, calendar, self.sessions)
        self.seq = 0

    def batch(self, rows):
        code = self.sessions.vocabulary.code
        told = []
        for row in rows:
            told.append({"type": "partial", "seq": self.seq, "occurred_us": NOON_US, "source": "press-1", **row})
            self.seq = told[-1]["seq"] + 1
        columns = {}
        for name in sorted({name for row in told for name in row} - {"source"}):
            kind, default = DEFAULTS[name]
            values = [row.get(name, default) for row in told]
            if name == "type":
                values = [TYPE_CODE[EventType(value)] for value in values]
            if name in TEXT_COLUMNS:
                values = [code(value or "") for value in values]
            columns[name] = np.array(values, kind)
        sids = [self.sessions.row(code("A"), code(row["source"]), code("s7")) for row in told]
        return EventBatch(len(told), columns | {"sid": np.array(sids, np.int32)})

    def step(self, *rows, now_us=0):
        return told(self.aggregate.step(self.batch(rows), NONE, now_us))

    def late(self, *rows, now_us=0):
        return told(self.aggregate.step(NONE, self.batch(rows), now_us))

    def wake(self, now_us):
        return told(self.aggregate.wake(now_us))


def told(outcome):
    columns = outcome.confirmations
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


A, B = {"order": "a"}, {"order": "b"}
WEAR, DIRT = {"reason": "wear"}, {"reason": "dirt"}
W1, W2, W3 = ({"work_center": f"w{number}"} for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("policy", "rows", "closed"),
    [
        ({}, [{}, {}, {}], []),
        ({}, [A, A, B], [(0, 1, "key")]),
        ({}, [A, {}, A], [(0, 0, "key"), (1, 1, "key")]),  # an empty order is another order
        ({"split_by": ("lot",)}, [A, B], []),
        ({}, [{"unit": "KGM"}, {}], [(0, 0, "key")]),
        ({}, [WEAR, {}, WEAR, DIRT], [(0, 2, "key")]),
        ({}, [{}, WEAR, {}], []),
        ({"split_by": ()}, [WEAR, DIRT], []),
        ({}, [{}, {"type": "rework"}, {"type": "rework"}, {}], [(0, 0, "key"), (1, 2, "key")]),
        ({"split_by": ()}, [{}, {"type": "rework"}], []),
        ({}, [{}, {"type": "scrap"}], []),
        ({}, [{}, {"gaps": 1}, {"gaps": 1}], [(0, 0, "gap")]),
        ({}, [{}, {"type": "telemetry"}, {}, {"gaps": 1}], [(0, 2, "gap")]),
        ({"count_max": 2}, [{}, {}, {}, {}, {}], [(0, 1, "count"), (2, 3, "count")]),
        ({"count_max": 2}, [WEAR, {}, DIRT], [(0, 1, "key")]),
        ({"count_max": 2}, [WEAR, {}, {}, DIRT], [(0, 1, "count")]),  # the second run had no reason yet
        ({"count_max": 2}, [WEAR, DIRT, {}, WEAR], [(0, 0, "key"), (1, 2, "key")]),
        ({"bucket_s": 3600}, [{}, {"occurred_us": NOON_US + HOUR_US - 1}], []),
        ({"bucket_s": 3600}, [{}, {"occurred_us": NOON_US + HOUR_US}], [(0, 0, "time")]),
        ({"bucket_s": 3600}, [{}, {"occurred_us": NOON_US - 1}], [(0, 0, "time")]),
        ({}, [{}, {"type": "complete"}, {}], [(0, 1, "complete")]),
        ({}, [{"type": "complete"}, {"type": "complete"}], [(0, 0, "complete"), (1, 1, "complete")]),
        ({"complete_closes": False}, [{}, {"type": "complete"}, {}], []),
        # Work centres side by side.
        ({}, [W1, W2, W1], [(0, 0, "key"), (1, 1, "key")]),
        ({"open_max": 2}, [W1, W2, W1, W2, {"type": "telemetry"}, W1], []),
        ({"open_max": 2}, [W1, W2, W1 | B, W2], [(0, 0, "key")]),
        ({"open_max": 2}, [W1, W2, W2, W1, W2 | {"type": "complete"}, W1], [(1, 4, "complete")]),
        ({"open_max": 2, "count_max": 2}, [W1, W2, W1, W1], [(0, 2, "count")]),
        ({"open_max": 2}, [W1, W2, W1 | {"gaps": 1}, W2 | {"gaps": 1}], [(0, 0, "gap"), (1, 1, "gap")]),
        ({"open_max": 2}, [W1, W2, W1, W3, W2], [(1, 1, "key"), (0, 2, "key")]),  # no room: the one of longest ago
        ({"open_max": 2}, [W1, W2, W3 | {"gaps": 1}], [(0, 0, "gap")]),
        ({"open_max": 2}, [W1, W2, W1 | {"type": "complete"}, W3], [(0, 2, "complete")]),  # it has made room
        ({"open_max": 2, "split_by": ("order",)}, [W1, W2, W3, W1], []),
        # Several at once: completion, gap, key, shift (below), time, count.
        ({}, [A | {"type": "complete"}, B | {"gaps": 1}], [(0, 0, "complete")]),
        ({}, [A, B | {"gaps": 1}], [(0, 0, "gap")]),
        ({"bucket_s": 3600}, [A, B | {"occurred_us": NOON_US + HOUR_US}], [(0, 0, "key")]),
        ({"bucket_s": 3600}, [WEAR, DIRT | {"occurred_us": NOON_US + HOUR_US}], [(0, 0, "key")]),
        ({"bucket_s": 3600, "count_max": 1}, [{}, {"occurred_us": NOON_US + HOUR_US}], [(0, 0, "time")]),
    ],
)
@pytest.mark.parametrize("cut", [1, 100])
def test_boundaries(policy, rows, closed, cut):
    line, found = Line(**policy), []
    for at in range(0, len(rows), cut):
        found += line.step(*rows[at : at + cut])
    closed = closed if cut == 1 else sorted(closed)
    assert [(c["first_seq"], c["last_seq"], c["close_reason"]) for c in found] == closed
    assert [c["final"] for c in found] == [reason == "complete" for *_, reason in closed]


@pytest.mark.parametrize(
    ("calendar", "hours", "closed"),
    [
        (EARLY_LATE, [-6, 1.99], []),
        (EARLY_LATE, [1.99, 2], [("early", "2026-01-05", "shift")]),  # the boundary belongs to the later shift
        (EARLY_LATE, [2, 10], [("late", "2026-01-05", "shift")]),
        (EARLY_LATE, [11.99, 12], [("", "2026-01-05", "shift")]),  # local midnight
        (EARLY_LATE, [0, 24], [("early", "2026-01-05", "shift")]),  # the same shift a day later
        (NO_SHIFTS, [0, 11.99], []),
        (NO_SHIFTS, [0, 12], [("", "2026-01-05", "shift")]),
    ],
)
@pytest.mark.parametrize("cut", [1, 2])
def test_shift_and_posting_date(calendar, hours, closed, cut):
    line, found = Line(calendar, bucket_s=10**6, count_max=1 if closed else 5), []
    rows = [{"occurred_us": NOON_US + round(hour * HOUR_US)} for hour in hours]
    for at in range(0, len(rows), cut):
        found += line.step(*rows[at : at + cut])
    assert [(c["shift"], c["posting_date"], c["close_reason"]) for c in found] == closed


@pytest.mark.parametrize("cut", [1, 3])
@pytest.mark.parametrize(("calendar", "shift"), [(EARLY_LATE, "early"), (NO_SHIFTS, "")])
def test_shift_and_local_date_are_those_of_the_first_event_where_the_plant_does_not_split_by_them(calendar, shift, cut):
    line = Line(calendar, idle_s=1, split_by=("order",))
    rows = [{"occurred_us": NOON_US + hours * HOUR_US} for hours in (0, 5, 20)]  # early, late, the day after
    for at in range(0, 3, cut):
        assert line.step(*rows[at : at + cut]) == []
    (confirmation,) = line.wake(10**7)
    assert (confirmation["shift"], confirmation["posting_date"], confirmation["events"]) == (shift, "2026-01-05", 3)


def test_posting_date_is_plant_local():
    line = Line(ShiftCalendar("Asia/Tokyo", []), idle_s=1, split_by=())
    line.step({"occurred_us": NOON_US + 4 * HOUR_US})  # 15:00 UTC
    assert [c["posting_date"] for c in line.wake(10**7)] == ["2026-01-06"]


def test_a_confirmation_says_what_its_events_amount_to():
    line = Line()
    line.step(
        {"order": "4711", "operation": "0010", "work_center": "WC1", "material": "M", "lot": "L", "unit": "KGM"}
        | {"good": 1000, "energy_mwh": 5, "offset": 70},
    )
    key = {"order": "4711", "operation": "0010", "work_center": "WC1", "material": "M", "lot": "L", "unit": "KGM"}
    (confirmation,) = line.step(
        key | {"type": "scrap", "scrap": 500, "reason": "wear", "offset": 60, "occurred_us": NOON_US + 5},
        key | {"type": "complete", "good": 2000, "setup_us": 9, "offset": 80, "occurred_us": NOON_US + 3},
    )
    assert Confirmation.model_validate(confirmation).model_dump(mode="json") == confirmation
    assert confirmation == {
        **key,
        "posting_id": str(posting_id("A", "press-1", "s7", 0, "confirmation", 0)),
        "kind": "confirmation", "revision": 0,
        "plant": "A", "source": "press-1", "session": "s7", "first_seq": 0, "last_seq": 2,
        "reason": "wear", "shift": "", "posting_date": "2026-01-05",
        "good": 3000, "scrap": 500, "rework": 0, "setup_us": 9, "machine_us": 0, "labour_us": 0, "energy_mwh": 5,
        "events": 3, "first_occurred_us": NOON_US, "last_occurred_us": NOON_US + 3,
        "first_offset": 60, "last_offset": 80, "final": True, "close_reason": "complete",
    }  # fmt: skip


def test_texts_a_plant_does_not_split_by_are_those_of_the_first_event_but_for_the_reason():
    line = Line(split_by=())
    (confirmation,) = line.step(A | WEAR, B | DIRT | {"type": "complete"})
    assert (confirmation["order"], confirmation["reason"], confirmation["unit"]) == ("a", "", "H87")


def test_each_route():
    line = Line()
    rows = line.batch([{"type": "telemetry"}, {"type": "hold", "lot": "L"}, {}, {"type": "telemetry"}])
    outcome = line.aggregate.step(rows, line.batch([{"type": "release"}]), 0)
    assert outcome.operational["seq"].tolist() == [1, 4]
    assert line.sessions.vocabulary.text(outcome.operational["lot"]) == ["L", ""]
    tally = line.aggregate.totals()
    assert [tally.sids.tolist(), tally.accounted.tolist(), tally.analytics_only.tolist()] == [[0], [1], [2]]
    assert tally.operational.tolist() == [2]
    assert (line.aggregate.open_runs(), line.aggregate.open_events()) == (1, 1)


def test_routes_are_the_plants():
    sessions = Line().sessions
    routes = DEFAULT_ROUTES | {EventType.PARTIAL: Route.ANALYTICS_ONLY}
    line = Line()
    line.aggregate = Aggregate(AggregatePolicy(), routes, NO_SHIFTS, sessions)
    line.sessions = sessions
    line.aggregate.step(line.batch([{}]), NONE, 0)
    assert line.aggregate.totals().analytics_only.tolist() == [1]


def test_late_rows_become_supplementary_confirmations_whose_ranges_have_no_holes():
    line = Line()
    line.step({"seq": 10})
    found = line.late({"seq": 3}, {"seq": 4}, {"seq": 6}, {"seq": 2})
    found += line.late({"seq": 3}, {"seq": 5})
    assert [(c["kind"], c["first_seq"], c["last_seq"], c["close_reason"]) for c in found] == [
        ("supplementary", 3, 4, "gap"),
        ("supplementary", 6, 6, "gap"),
        ("supplementary", 2, 3, "gap"),
    ]
    assert found[0]["posting_id"] == str(posting_id("A", "press-1", "s7", 3, "supplementary", 0))
    assert line.aggregate.open_runs() == 2, "the run of released rows is another"


def test_late_rows_of_many_sessions_keep_their_order_of_arrival():
    line = Line()
    rows = [{"source": f"m{source}", "seq": seq} for seq in range(50) for source in (2, 1)]
    assert line.late(*rows) == []
    assert line.aggregate.open_runs() == 2


def test_idle():
    line = Line(idle_s=10)
    assert line.aggregate.due_us() is None
    line.step({}, now_us=1)
    line.step({}, now_us=5_000_000)
    assert line.aggregate.due_us() == 15_000_000
    assert line.wake(14_999_999) == []
    assert [(c["events"], c["close_reason"], c["final"]) for c in line.wake(15_000_000)] == [(2, "idle", False)]
    assert line.aggregate.due_us() is None


def test_late_rows_go_idle_where_the_plant_sets_no_time():
    line = Line()
    line.step({}, now_us=0)
    assert line.aggregate.due_us() is None
    line.late({"seq": 5}, now_us=7)
    assert line.aggregate.due_us() == 7 + LATE_IDLE_US
    assert [c["kind"] for c in line.wake(10**15)] == ["supplementary"]
    assert line.aggregate.open_runs() == 1


def test_sessions_come_and_go_without_mixing():
    rng = np.random.default_rng(7)
    line, open_events, seq = Line(idle_s=1), {}, 0
    for now_us in range(0, 60_000_000, 400_000):
        for c in line.wake(now_us):
            assert (c["events"], c["good"]) == open_events.pop(c["source"])
        rows = []
        for i in sorted(rng.choice(400, rng.integers(1, 60), replace=False).tolist()):
            events, good = open_events.get(f"m{i}", (0, 0))
            open_events[f"m{i}"] = events + 1, good + i
            rows.append({"source": f"m{i}", "seq": (seq := seq + 1), "good": i})
        batch = line.batch(rows)
        assert told(line.aggregate.step(batch.take(np.argsort(batch["sid"])), NONE, now_us)) == []
        assert line.aggregate.open_runs() == len(open_events)
    assert line.aggregate.open_events() == sum(events for events, _ in open_events.values())


def test_an_absent_column_is_empty_and_differs_from_what_is_open():
    line = Line()
    assert line.step(A) == []
    assert [c["close_reason"] for c in line.step({})] == ["key"]


def test_the_reason_of_a_run_that_ended_is_not_held_against_the_next_one():
    line = Line()
    assert line.step(A | WEAR) == []
    assert [c["reason"] for c in line.step(B, B | DIRT)] == ["wear"]


def test_a_smaller_count_after_a_restart_ends_a_run_that_is_past_it():
    line = Line()
    line.step(*[{}] * 5)
    data = line.aggregate.encode()
    line.aggregate = Aggregate.decode(AggregatePolicy(count_max=2), DEFAULT_ROUTES, NO_SHIFTS, line.sessions, data)
    assert [(c["events"], c["close_reason"]) for c in line.step({}, {}, {})] == [(5, "count"), (2, "count")]


def test_a_work_centre_may_lose_its_place_return_and_complete_in_one_step():
    line = Line(open_max=2)
    found = line.step(W1, W3, W2, {"work_center": "w4"})
    found += line.step(W1, W2 | {"type": "complete"}, now_us=1)
    assert [(c["first_seq"], c["close_reason"]) for c in found] == [
        (0, "key"), (1, "key"), (2, "key"), (3, "key"), (5, "complete"),
    ]  # fmt: skip
    assert line.aggregate.open_runs() == 1


def test_late_rows_of_several_work_centres_are_not_told_apart():
    line = Line(open_max=3)
    found = line.late(W1 | {"seq": 3}, W2 | {"seq": 4}, W1 | {"seq": 5})
    assert [(c["first_seq"], c["last_seq"], c["close_reason"]) for c in found] == [(3, 3, "key"), (4, 4, "key")]


@pytest.mark.parametrize("open_max", [3, 1])
def test_state_of_version_2_decodes(open_max):
    """Three work centres are open; with room for one, those of longer ago end before the session's next row."""
    line = Line()
    policy = AggregatePolicy(open_max=open_max, idle_s=1)
    data = GOLDEN.with_name("aggregate-2.arrows").read_bytes()
    line.aggregate = Aggregate.decode(policy, DEFAULT_ROUTES, NO_SHIFTS, line.sessions, data)
    assert (line.aggregate.open_runs(), line.aggregate.open_events()) == (3, 5)
    assert line.aggregate.totals().open.tolist() == [5]
    line.seq = 5
    found = line.step(W2, now_us=4)
    assert [(c["first_seq"], c["last_seq"], c["events"]) for c in found] == (
        [(0, 3, 2), (2, 2, 1)] if open_max == 1 else []
    )
    (last,) = (c for c in line.wake(10**7) if c["work_center"] == "w2")
    assert (last["first_seq"], last["last_seq"], last["events"], last["good"]) == (1, 5, 3, 3000)


def example():
    line = Line(EARLY_LATE, idle_s=10)
    line.step(A | WEAR | {"good": 1000}, A | {"type": "rework", "rework": 500, "gaps": 1, "offset": 9}, now_us=4)
    line.late({"seq": 90, "lot": "L"}, {"seq": 91, "type": "telemetry"}, now_us=5)
    return line


def test_state_of_version_1_decodes():
    line = Line()
    line.aggregate = Aggregate.decode(
        AggregatePolicy(idle_s=10), DEFAULT_ROUTES, EARLY_LATE, line.sessions, GOLDEN.read_bytes()
    )
    totals = line.aggregate.totals()
    assert (totals.accounted.tolist(), totals.analytics_only.tolist()) == ([3], [1])
    assert line.aggregate.due_us() == 10_000_004
    line.seq = 2
    assert line.step(A | {"type": "rework", "gaps": 1, "rework": 1, "offset": 3}, now_us=6) == []
    run, supplementary = sorted(line.wake(10**9), key=lambda c: c["kind"])
    assert {name: run[name] for name in ("order", "first_seq", "last_seq", "rework", "first_offset", "shift")} == {
        "order": "a", "first_seq": 1, "last_seq": 2, "rework": 501, "first_offset": 3, "shift": "early",
    }  # fmt: skip
    assert (supplementary["kind"], supplementary["first_seq"], supplementary["lot"]) == ("supplementary", 90, "L")
    assert (run["plant"], run["source"], run["session"]) == ("A", "press-1", "s7")
