"""Machines that know no order: the order at their work centre is meant, or a person is asked (M22; DOMAIN 2.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canonical.contracts import Event
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.presence import AttributionPolicy
from tests.postings_world import HOUR_US, NOW_US, Plant, action, confirmation, order, references

MINUTE_US = 60_000_000
POLICY = PostingPolicy(attribution=AttributionPolicy(frozenset({"A"})))
SETTLE_US = POLICY.attribution.settle_us


def mark(type_, minute, name="4711", **fields):
    about = {"plant": "A", "source": "mes", "order": name, "operation": "0010", "work_center": "W1", "seq": minute}
    return Event(type=type_, occurred_us=NOW_US + minute * MINUTE_US, **{**about, **fields})


def made(seq, minute, until=None, good=1_000, **fields):
    """Return what the machine at W1 has counted, from the one minute to the other."""
    at = {"first_occurred_us": NOW_US + minute * MINUTE_US}
    at["last_occurred_us"] = NOW_US + (minute if until is None else until) * MINUTE_US
    return confirmation(seq, "", good, "counter", **{"order": "", "work_center": "W1", **at, **fields})


@pytest.fixture
def plant():
    return Plant(POLICY, [*references(), order("4712")])


def said(postings):
    return [(p.order, p.operation, p.good) for p in postings]


def test_it_waits_for_marks_and_gets_the_order_that_was_there(plant):
    told = made(0, 4, 6, good=3_000, final=True)
    assert plant.tell(told) == []
    assert plant.codes() == []
    assert [(each.order, each.state) for each in plant.unposted] == [("", "waiting")]
    assert plant.later(SETTLE_US - 1) == []
    plant.tell(mark("start", 0), mark("pause", 5), mark("complete", 7))
    (posting,) = plant.later(1)
    assert said([posting]) == [("4711", "0010", 3_000)]
    assert posting.causes == (str(told.posting_id), "start-0")
    assert (posting.final, posting.lane) == (False, "standard"), "who knows no order cannot end one"
    assert plant.exceptions == []
    assert plant.tell(told) == [], "a copy is not posted again"
    assert plant.later(2 * HOUR_US) == []


def test_what_spans_a_change_of_order_or_was_made_for_none_is_asked_about_and_holds_up_nothing(plant):
    plant.tell(mark("start", 0), mark("complete", 5), mark("start", 5, "4712"))
    plant.tell(made(0, -2), made(1, 4, 6), made(2, 1), made(3, 5))
    assert said(plant.later(SETTLE_US)) == [("4711", "0010", 1_000), ("4712", "0010", 1_000)]
    told = {each.code.value: each for each in plant.open()}
    assert sorted(told) == ["NO_ORDER_ACTIVE", "ORDER_AMBIGUOUS"]
    ambiguous = told["ORDER_AMBIGUOUS"]
    assert (ambiguous.plant, ambiguous.work_center, ambiguous.waiting) == ("A", "W1", 1)
    assert "4711 gave way to 4712 at work centre W1 at 2026-11-14T12:05:00.000Z" in ambiguous.message
    assert ambiguous.owner == "plant-supervisor"

    plant.tell(action("release", exception_id=str(ambiguous.exception_id)))
    assert "ORDER_AMBIGUOUS" in plant.codes(), "nobody can let through what is of no order"
    plant.tell(action("discard", 1, exception_id=str(ambiguous.exception_id)))
    (late,) = plant.tell(mark("start", -3, "4712", seq=77))  # the start that was missing, told at last
    assert (late.order, late.causes[1]) == ("4712", "start-77")
    assert plant.codes() == []
    assert plant.desk.counts["discarded"] == 1


def test_two_orders_that_run_at_once_are_no_reason_to_guess_but_one_that_is_stopped_is_not_there(plant):
    plant.tell(mark("start", 0), mark("start", 1, "4712"), made(0, 2))
    plant.later(SETTLE_US)
    assert plant.codes() == ["ORDER_AMBIGUOUS"]
    assert said(plant.tell(mark("downtime", 2, seq=99))) == [("4712", "0010", 1_000)], "it ends by itself"
    assert plant.codes() == []


def test_an_operation_that_is_named_decides_between_operations_and_is_kept(plant):
    plant.tell(mark("start", 0), mark("start", 1, operation="0020"))
    plant.tell(confirmation_at("0010", 2_000))
    assert said(plant.later(SETTLE_US)) == [("4711", "0010", 2_000)]


def confirmation_at(operation, good):
    at = {"first_occurred_us": NOW_US + 2 * MINUTE_US, "last_occurred_us": NOW_US + 2 * MINUTE_US}
    return confirmation(7, operation, good, "counter", order="", work_center="W1", **at)


def test_what_was_posted_stays_and_what_waits_for_its_order_waits_in_that_orders_line(plant):
    plant.tell(order(status="locked", changed_us=3), mark("start", 0), made(0, 2), confirmation(8, good=5_000))
    assert plant.later(SETTLE_US) == []
    plant.commit()
    plant.restart()
    plant.later(0)
    assert plant.codes() == ["ORDER_LOCKED"]
    assert [(each.order, each.state) for each in plant.unposted][-1] == ("4711", "waiting")
    assert said(plant.tell(order(changed_us=4))) == [("4711", "0010", 5_000), ("4711", "0010", 1_000)]
    assert plant.tell(mark("start", 1, "4712"), mark("complete", 1)) == [], "posted is posted"
    (reversal,) = plant.tell(made(0, 2, good=900, revision=1))
    assert (reversal.kind, reversal.order) == ("reversal", "4711")
    assert said(plant.later(SETTLE_US)) == [("4712", "0010", 900)], "a correction is asked about anew"


def test_a_restart_while_it_settles_changes_nothing(plant):
    plant.tell(mark("start", 0), made(0, 2))
    plant.commit()
    plant.restart()
    assert plant.later(SETTLE_US - 1) == []
    assert said(plant.later(1)) == [("4711", "0010", 1_000)]


def test_who_has_not_asked_for_it_gets_no_order():
    plant = Plant(replace(POLICY, attribution=AttributionPolicy()), references())
    plant.tell(mark("start", 0), made(0, 2))
    assert plant.later(HOUR_US) == []
    assert plant.codes() == ["ORDER_UNKNOWN"]
    assert len(plant.desk.presence) == 0


def test_where_there_is_no_room_for_its_order_it_is_told():
    plant = Plant(replace(POLICY, orders_max=2), [*references(), order("4712"), order("4713")])
    plant.tell(mark("start", 0, "4713"), made(0, 2), confirmation(1), confirmation(2, order="4712", source="b"))
    assert plant.later(SETTLE_US) == []
    assert [(each.state, each.order) for each in plant.unposted][-1] == ("refused", "4713")
    assert plant.desk.counts["refused"] == 1


def test_an_operation_ends_when_nothing_has_come_for_it_for_a_while_what_was_attributed_among_it(plant):
    plant.tell(mark("start", 0), confirmation(1, final=True, last_occurred_us=NOW_US + 9 * MINUTE_US))
    plant.later(HOUR_US - SETTLE_US // 2 - MINUTE_US)
    plant.tell(made(0, 2))
    assert said(plant.later(SETTLE_US)) == [("4711", "0010", 1_000)]
    assert plant.later(HOUR_US - 1) == []
    (ended,) = plant.later(1)
    assert (ended.order, ended.final) == ("4711", True)
