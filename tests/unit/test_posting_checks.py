"""Every check of M11 on its own: what fails it, which code that is, and that the cure lets it go on (M10-M13, M41)."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.contracts import ExceptionCode, OrderOperation, Owner, UnitRatio
from dataflows.processors.posting.policy import PostingPolicy
from tests.postings_world import (
    HOUR_US,
    NOW_US,
    Plant,
    action,
    confirmation,
    lot,
    material,
    order,
    period,
    reason,
    references,
    route,
    step,
    work_center,
)

OPERATIONS = (OrderOperation(operation="0010", work_center="W1"), OrderOperation(operation="0020", work_center="W2"))
LATER = {"changed_us": 9}

# What is known in place of the default, or not at all; what is confirmed; what settles it.
CASES = {
    "ORDER_NOT_RELEASED": ([order(status="created")], {}, [order(**LATER)]),
    "ORDER_LOCKED": ([order(status="locked")], {}, [order(**LATER)]),
    "ORDER_CLOSED": ([order(status="closed")], {}, [order(**LATER)]),
    "ORDER_DELETED": ([order(status="deleted")], {}, [order(**LATER)]),
    "OPERATION_UNKNOWN": ([order(operations=OPERATIONS[1:])], {}, [order(**LATER)]),
    "OPERATION_UNMAPPED": ([], {"operation": "", "work_center": "W1"}, [step("W1", ("0010",))]),
    "WORK_CENTER_UNKNOWN": ([], {"work_center": "W9"}, [work_center("W9")]),
    "MATERIAL_UNKNOWN": ([order(material="N")], {"material": "N"}, [material("N")]),
    "MATERIAL_WRONG": ([order(material="N"), material("N")], {}, [order(**LATER)]),
    "LOT_MISSING": ([material(lot_managed=True)], {"lot": ""}, [material(**LATER)]),
    "LOT_UNKNOWN": ([material(lot_managed=True)], {"lot": "L9"}, [lot("L9")]),
    "LOT_NOT_VALID": ([material(lot_managed=True), lot(status="not-valid")], {}, [lot(**LATER)]),
    "OVER_DELIVERY": ([], {"good": 110_001}, [order(over_delivery=None, **LATER)]),
    "UNIT_NOT_CONVERTIBLE": (
        [],
        {"unit": "KGM"},
        [material(units=(UnitRatio(unit="KGM", numerator=4, denominator=1),), **LATER)],
    ),
    "REASON_UNMAPPED": ([], {"scrap": 1_000, "reason": "R9"}, [reason("R9")]),
    "ROUTE_MISSING": ([route(valid_from_us=NOW_US)], {}, [route(valid_to_us=NOW_US)]),
    "PERIOD_CLOSED": ([period(open_=False)], {}, [period(12)]),
}


def known(instead):
    """Return the default records, with those of the same kind and key replaced."""
    replaced = {(type(record), getattr(record, "material", ""), getattr(record, "order", "")) for record in instead}
    kept = [
        record
        for record in references()
        if (type(record), getattr(record, "material", ""), getattr(record, "order", "")) not in replaced
        and not any(type(record) is type(other) and record.kind in {"order", "route", "period"} for other in instead)
    ]
    return [*kept, *instead]


@pytest.mark.parametrize("code", CASES)
def test_a_check_that_fails_waits_becomes_an_exception_and_goes_on_when_it_is_settled(code):
    instead, fields, cure = CASES[code]
    plant = Plant(told=known(instead))

    assert plant.tell(confirmation(**fields)) == []
    assert plant.codes() == []  # It may settle itself: streams arrive a little apart.

    plant.later(5 * HOUR_US)
    (told,) = plant.open()
    assert told.code == code
    assert told.waiting == 1
    assert told.message
    assert told.remedy
    assert told.owner in set(Owner)
    assert told.posting_id == str(confirmation(**fields).posting_id)

    (posting,) = plant.tell(*cure)
    assert posting.operation == "0010"
    assert posting.number == 0
    assert plant.codes() == []
    assert plant.exceptions[-1].resolution == "revalidated"
    assert plant.exceptions[-1].resolved_us == plant.now_us


def test_every_code_of_the_checks_is_tested():
    elsewhere = {
        "ORDER_UNKNOWN", "YIELD_ABOVE_PREDECESSOR", "QUALITY_RELEASE_MISSING", "NOT_OWNER", "POSTING_UNKNOWN",
        "BOUND_REACHED", "RESIDENCY_REFUSED",  # below and in test_posting_desk
        "BIN_UNMAPPED", "COMPONENT_UNKNOWN", "COMPONENT_BACKFLUSHED", "SCRAP_ABOVE_LIMIT",  # consumption, scrap watch
        "ERP_REJECTED", "ERP_UNAVAILABLE", "ERP_ORDER_LOCKED", "ERP_ANSWER_UNKNOWN", "MOVEMENT_FAILED",  # delivery
    }  # fmt: skip
    assert {*CASES} | elsewhere == set(ExceptionCode)


def test_the_gate_waits_for_the_release_and_keeps_the_sequence():
    plant = Plant(told=references()[1:])
    assert plant.tell(confirmation(0), confirmation(1), confirmation(2, "0020", 2_000)) == []
    assert plant.later(HOUR_US) == []
    assert plant.codes() == []  # Four hours are given to a release.

    assert plant.tell(order(status="created", changed_us=1)) == []
    assert [(p.number, p.operation) for p in plant.tell(order())] == [
        (0, "0010"),
        (1, "0010"),
        (2, "0020"),
        (3, "0020"),
    ]


def test_a_release_that_never_comes_is_one_exception_that_counts_all_that_waits():
    plant = Plant(told=references()[1:])
    plant.tell(*map(confirmation, range(5)))
    plant.later(4 * HOUR_US)

    (told,) = plant.open()
    assert (told.code, told.plant, told.order, told.waiting) == ("ORDER_NOT_RELEASED", "A", "4711", 5)
    plant.tell(confirmation(5))
    assert [each.waiting for each in plant.exceptions] == [5, 6]


def test_a_confirmation_without_an_order_and_one_of_an_order_of_another_erp():
    plant = Plant(told=[*references()[1:], order(erp="south")])
    plant.tell(confirmation(0, order=""), confirmation(1))
    plant.later(HOUR_US)

    assert plant.codes() == ["ORDER_UNKNOWN", "ORDER_UNKNOWN"]
    assert "order 4711 is in south" in "".join(each.message for each in plant.open())


def test_an_operation_may_not_yield_more_than_the_one_before_it():
    plant = Plant()
    assert [p.good for p in plant.tell(confirmation(0, good=3_000), confirmation(0, "0020", 4_000))] == [3_000]
    plant.later(HOUR_US)
    assert plant.codes() == ["YIELD_ABOVE_PREDECESSOR"]

    assert [(p.operation, p.kind) for p in plant.tell(confirmation(1, good=1_000))] == [
        ("0010", "confirmation"),
        ("0020", "confirmation"),
        ("0020", "goods-receipt"),
    ]
    assert plant.codes() == []


def test_a_check_may_be_left_out():
    plant = Plant(PostingPolicy(unchecked=frozenset({ExceptionCode.YIELD_ABOVE_PREDECESSOR})))
    assert len(plant.tell(confirmation(0, "0020", 4_000))) == 2


def test_over_delivery_counts_what_was_posted_before():
    plant = Plant()
    assert len(plant.tell(confirmation(0, good=110_000))) == 1
    assert plant.tell(confirmation(1, good=1)) == []


def test_a_closed_period_shifts_the_posting_and_not_the_document():
    plant = Plant(told=known([period(open_=False), period(12)]))
    (posting,) = plant.tell(confirmation())
    assert (posting.posting_date, posting.document_date) == (date(2026, 12, 1), date(2026, 11, 14))


def test_a_closed_period_is_an_exception_where_that_is_the_rule():
    plant = Plant(PostingPolicy(closed_period="exception"), known([period(open_=False), period(12)]))
    assert plant.tell(confirmation()) == []
    plant.later(HOUR_US)
    assert plant.codes() == ["PERIOD_CLOSED"]


def test_quantities_are_posted_in_the_unit_of_the_order():
    plant = Plant(told=known([order(unit="GRM"), material(base_unit="KGM")]))
    (posting,) = plant.tell(confirmation(good=20, scrap=1, unit="KGM"))
    assert (posting.good, posting.scrap, posting.unit) == (20_000, 1_000, "GRM")


def test_a_completion_may_confirm_several_steps_and_a_step_be_confirmed_by_several_work_centres():
    table = [step("CELL", ("0010", "0020"), erp_work_center="W1"), step("HAND", ("0010",))]
    plant = Plant(told=[*references(), *table])

    told = plant.tell(
        confirmation(0, "", 2_000, "a", work_center="HAND"),
        confirmation(0, "", 5_000, "b", work_center="CELL", scrap=1_000, rework=2_000, machine_us=7),
    )

    made = [
        (p.operation, p.work_center, p.good, p.scrap, p.rework, p.machine_us) for p in told if p.kind == "confirmation"
    ]
    assert made == [
        ("0010", "W1", 2_000, 0, 0, 0),
        ("0010", "W1", 8_000, 0, 0, 0),
        ("0020", "W1", 5_000, 1_000, 2_000, 7),
    ]
    assert [(p.kind, p.good) for p in told if p.kind != "confirmation"] == [("goods-receipt", 5_000)]
    assert len({p.posting_id for p in told}) == 4


def test_what_a_milestone_confirms_is_not_posted_itself_and_limits_nobody():
    first = OrderOperation(operation="0010", work_center="W1", confirmed_by="0020")
    plant = Plant(told=known([order(operations=(first, OPERATIONS[1]))]))

    told = plant.tell(confirmation(0), confirmation(0, "0020", 3_000))

    assert [(p.operation, p.kind) for p in told] == [("0020", "confirmation"), ("0020", "goods-receipt")]
    assert plant.desk.counts["ruled out"] == 1


def test_completions_of_a_work_centre_without_steps_are_not_posted():
    plant = Plant(told=[*references(), step("W1", ())])
    assert plant.tell(confirmation(0, "", work_center="W1")) == []
    assert plant.desk.counts == {"offered": 1, "ruled out": 1}


def test_the_ledger_of_reasons_is_asked_only_where_there_is_scrap():
    plant = Plant()
    assert [p.reason for p in plant.tell(confirmation(0, reason="R9"), confirmation(1, reason="R1", scrap=1))] == [
        "",
        "0001",
    ]


def test_an_erp_of_another_region_gets_nothing_whoever_lets_it_through():
    """M50: the route decides where postings go, the policy who may receive them."""
    policy = PostingPolicy(resident={"A": frozenset({"south"})}, unchecked=frozenset({ExceptionCode.RESIDENCY_REFUSED}))
    plant = Plant(policy, references())
    assert plant.tell(confirmation()) == []
    plant.later(HOUR_US)
    (told,) = plant.open()
    assert (told.code, told.plant, told.erp) == ("RESIDENCY_REFUSED", "A", "north")
    assert told.owner is Owner.INTEGRATION_SUPPORT
    assert plant.tell(action("release", exception_id=str(told.exception_id))) == []

    moved = [order(erp="south"), period(erp="south"), route("south", **LATER)]
    (posting,) = plant.tell(*moved)
    assert posting.erp == "south"
    assert Plant(PostingPolicy(resident={"B": frozenset()}), references()).tell(confirmation()), "no word of plant A"


def test_a_person_may_let_through_what_only_a_rule_holds_but_not_what_has_no_erp():
    plant = Plant(told=known([route(valid_from_us=NOW_US)]))
    plant.tell(confirmation())
    plant.later(HOUR_US)
    (told,) = plant.open()

    assert plant.tell(action("release", exception_id=str(told.exception_id))) == []
    assert plant.codes() == ["ROUTE_MISSING"]
