"""Times of orders: every instant of a work centre counts once, in its shift, in whatever order marks arrive (M22)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import Event, PostingKind
from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors.posting.activities import Activities, ActivityPolicy
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.draft import Draft
from tests.property import twin_activities

MINUTE_US = 60_000_000
NOON_US = 1_772_539_200_000_000  # 13:00 in Berlin, an hour before the late shift
POLICY = ActivityPolicy(reorder_us=10 * MINUTE_US, interval_max_us=45 * MINUTE_US)
SHIFTS = (ShiftPolicy(name="early", start="06:00", end="14:00"), ShiftPolicy(name="late", start="14:00", end="22:00"))
CALENDARS = Calendars({"A": ShiftCalendar("Europe/Berlin", SHIFTS)})
KINDS = ("start", "pause", "resume", "downtime", "complete")


def mark(kind: str, minute: int, order: str = "100", operation: str = "0010", **fields: object) -> Event:
    told = {"plant": "A", "source": "m", "work_center": "W", "order": order, "operation": operation} | fields
    return Event.model_validate({"type": kind, "occurred_us": NOON_US + minute * MINUTE_US, **told})


events = st.builds(
    mark,
    st.sampled_from(KINDS),
    st.integers(0, 120),
    st.sampled_from(["100", "100", "200", ""]),
    st.sampled_from(["0010", "0020"]),
    reason=st.sampled_from(["", "", "SETUP", "TOOL"]),
    work_center=st.sampled_from(["W", "W", "V"]),
)


def told_after(reorder_minutes: int) -> st.SearchStrategy[list[tuple[int, Event]]]:
    """Events with the minutes after which they are told."""
    return st.lists(st.tuples(st.integers(0, reorder_minutes), events), max_size=14)


def arrivals(told: list[tuple[int, Event]]) -> list[tuple[int, Event, str]]:
    named = [(event.occurred_us + late * MINUTE_US, event, f"e{i:02d}") for i, (late, event) in enumerate(told)]
    return sorted(named, key=lambda arrival: arrival[0])


def drained(activities: Activities) -> list[Draft]:
    drafts = []
    while (due_us := activities.due_us()) is not None:
        drafts += activities.wake(due_us)
    return drafts


def run(arrived, policy=POLICY, wakes=frozenset(), restarts=frozenset()):
    activities, kept, drafts = Activities(policy, CALENDARS), {}, []
    for number, (now_us, event, name) in enumerate(arrived):
        if number in wakes:
            while (due_us := activities.due_us()) is not None and due_us < now_us:
                drafts += activities.wake(due_us + MINUTE_US // 2 if due_us + MINUTE_US // 2 < now_us else due_us)
        drafts += activities.tell(event, name, now_us)
        if number in restarts:
            kept |= activities.parts()
            activities = Activities(policy, CALENDARS)
            activities.load(kept)
    drafts += drained(activities)
    assert len({draft.cause for draft in drafts}) == len(drafts)
    return sorted(drafts, key=lambda draft: draft.cause)


def times(drafts) -> Counter:
    found = Counter()
    for d in drafts:
        where = (d.work_center, d.order, d.operation, d.document_date, d.shift)
        found[*where, "setup"] += d.setup_us
        found[*where, "run"] += d.machine_us
        assert d.labour_us == d.setup_us + d.machine_us
        assert d.setup_us + d.machine_us <= d.end_us - d.start_us
    return +found


def expected(told, policy=POLICY) -> Counter:
    found = Counter()
    for work_center in ("V", "W"):
        marks = [
            (e.occurred_us, f"e{i:02d}", e.type.value, e.order, e.operation, e.reason == "SETUP")
            for i, (_, e) in enumerate(told)
            if e.work_center == work_center
        ]
        for at_us, (order, operation, doing) in twin_activities.attributed(
            marks, MINUTE_US, policy.interval_max_us
        ).items():
            shift, day = CALENDARS.day("A", at_us)
            found[work_center, order, operation, day, shift, doing] += MINUTE_US
    return found


@settings(max_examples=250, deadline=None)
@given(told=told_after(9))
def test_the_naive_twin_attributes_the_same_minutes_whatever_the_order_of_arrival(told) -> None:
    assert times(run(arrivals(told))) == expected(told)


@settings(max_examples=200, deadline=None)
@given(told=told_after(100), data=st.data())
def test_calls_between_and_restarts_change_nothing(told, data) -> None:
    some = st.sets(st.integers(0, max(len(told) - 1, 0)))
    policy = replace(
        POLICY, marks_max=data.draw(st.sampled_from([1_000, 2])), begun_max=data.draw(st.sampled_from([9, 1]))
    )
    arrived = arrivals(told)
    assert run(arrived, policy, data.draw(some), data.draw(some)) == run(arrived, policy)


@settings(max_examples=200, deadline=None)
@given(told=told_after(100))
def test_no_instant_counts_twice_however_late_marks_are(told) -> None:
    spans = Counter()
    for draft in run(arrivals(told)):
        spans[draft.work_center] += draft.setup_us + draft.machine_us
    for work_center, spent_us in spans.items():
        instants = [event.occurred_us for _, event in told if event.work_center == work_center]
        assert spent_us <= max(instants) + POLICY.interval_max_us - min(instants)


def test_an_order_that_is_never_stopped_takes_no_more_than_its_limit_from_those_after_it() -> None:
    told = [(0, mark("start", 0)), (0, mark("start", 10, "200")), (0, mark("complete", 20, "200"))]
    found = {draft.order: draft.machine_us // MINUTE_US for draft in run(arrivals(told))}
    assert found == {"100": 35, "200": 10}


def test_a_span_is_cut_where_the_shift_changes() -> None:
    told = [(0, mark("start", 50)), (0, mark("complete", 75))]
    early, late = sorted(run(arrivals(told)), key=lambda draft: draft.start_us)
    assert (early.shift, early.machine_us, early.end_us) == ("early", 10 * MINUTE_US, NOON_US + 60 * MINUTE_US)
    assert (late.shift, late.machine_us, late.start_us) == ("late", 15 * MINUTE_US, NOON_US + 60 * MINUTE_US)
    assert early.causes == late.causes == ("e00",)
    assert (early.good, early.final, early.kind) == (0, False, PostingKind.CONFIRMATION)


def test_a_stop_of_the_whole_work_centre_stops_whoever_is_at_it() -> None:
    told = [
        (0, mark("start", 0)), (0, mark("downtime", 10, "", "")), (0, mark("resume", 30, "", "")),
        (0, mark("downtime", 35, "", "", reason="SETUP")), (0, mark("complete", 40)),
    ]  # fmt: skip
    (draft,) = run(arrivals(told))
    assert (draft.machine_us, draft.setup_us, draft.labour_us) == (15 * MINUTE_US, 5 * MINUTE_US, 20 * MINUTE_US)


def test_a_final_confirmation_ends_an_operation_as_a_complete_event_does() -> None:
    activities = Activities(POLICY, CALENDARS)
    activities.tell(mark("start", 0), "e1", NOON_US)
    activities.end("A", "W", "100", "0010", NOON_US + 9 * MINUTE_US, "c1", NOON_US + 9 * MINUTE_US)
    (draft,) = activities.wake(NOON_US + 19 * MINUTE_US)
    assert draft.machine_us == 9 * MINUTE_US
    assert activities.tell(mark("start", 3), "e0", NOON_US + 20 * MINUTE_US) == []
    assert drained(activities) == []  # a start from before the end, told late, begins nothing


def test_one_work_centre_too_many_drafts_what_is_known_of_another() -> None:
    activities = Activities(replace(POLICY, work_centers_max=1), CALENDARS)
    activities.tell(mark("start", 0), "e1", NOON_US)
    activities.tell(mark("pause", 5), "e2", NOON_US + 5 * MINUTE_US)
    (draft,) = activities.tell(mark("start", 6, work_center="V"), "e3", NOON_US + 6 * MINUTE_US)
    assert (draft.work_center, draft.machine_us) == ("W", 5 * MINUTE_US)
