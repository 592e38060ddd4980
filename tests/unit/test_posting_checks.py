"""Every check of M11 on its own: what fails it, which code that is, and that the cure lets it go on (M10-M13, M41)."""

from __future__ import annotations

from datetime import date

import pytest

from canonical.contracts import ExceptionCode, OrderOperation, Owner, UnitRatio
from dataflows.processors.posting.gathering import GatheringPolicy
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
        "NO_ORDER_ACTIVE", "ORDER_AMBIGUOUS",  # attribution
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


def counting(*sources, **fields):
    return OPERATIONS[0].model_copy(update={"counting_sources": sources, **fields})


def test_where_several_sources_count_the_same_pieces_only_the_named_ones_do():
    """Times that come without a count are nobody else's; who says that it is complete need not count."""
    plant = Plant(told=known([order(operations=(counting("scale"), OPERATIONS[1]), counting_sources=("m",))]))
    told = [
        confirmation(0, good=5_000, source="scale"),
        confirmation(0, good=4_000, source="terminal", machine_us=9, work_center="W9"),
        confirmation(1, good=0, source="terminal", labour_us=9),
        confirmation(2, good=0, scrap=1, source="terminal", final=True),
        confirmation(4, "0020", 3_000, source="scale"),
        confirmation(0, "0020", 2_000, source="m"),
    ]
    made = [(p.operation, p.good, p.labour_us) for p in plant.tell(*told) if p.kind == "confirmation"]
    assert made == [("0010", 5_000, 0), ("0010", 0, 9), ("0020", 2_000, 0)]
    assert plant.not_counted() == [str(told[n].posting_id) for n in (1, 3, 4)]
    assert plant.unposted[0].why == "operation 0010 of order 4711 is counted by scale, not by terminal"
    assert plant.desk.counts == {"offered": 6, "posted": 3, "not counted": 3}
    (ended,) = plant.later(HOUR_US)
    assert (ended.final, ended.operation, ended.scrap, ended.causes) == (True, "0010", 0, (str(told[3].posting_id),))


def test_who_counts_is_asked_until_something_is_posted_and_not_of_what_was():
    """As any late word of an order: what waits goes by it, what was posted stays."""
    plant = Plant(told=known([order(status="created")]))
    told = [confirmation(0, source="scale"), confirmation(0, source="terminal")]
    assert plant.tell(*told) == []
    plant.commit()
    plant.restart()
    (posted,) = plant.tell(order(operations=(counting("scale"), OPERATIONS[1]), changed_us=3))
    assert (posted.causes, plant.not_counted()) == ((str(told[0].posting_id),), [str(told[1].posting_id)])
    plant.tell(order(operations=(counting("terminal"), OPERATIONS[1]), changed_us=4))
    assert len(plant.postings) == 1
    assert [p.kind for p in plant.tell(confirmation(0, source="scale", revision=1))] == ["reversal"]
    assert plant.not_counted()[1:] == [str(confirmation(0, source="scale", revision=1).posting_id)]


def test_a_completion_of_several_steps_counts_where_its_source_counts_for_the_last():
    last = OPERATIONS[1].model_copy(update={"counting_sources": ("cell", "hand")})
    table = [step("CELL", ("0010", "0020"), erp_work_center="W1")]
    plant = Plant(told=[*known([order(operations=(counting("m", "cell"), last), quantity=10**9)]), *table])
    told = [confirmation(n, "", 2_000, source, work_center="CELL") for n, source in enumerate(["cell", "m", "hand"])]
    made = [(p.operation, p.good) for p in plant.tell(*told) if p.kind == "confirmation"]
    assert made == [("0010", 2_000), ("0020", 2_000)]
    assert plant.not_counted() == [str(told[1].posting_id)]
    plant.tell(confirmation(3, good=9_000, source="m"))
    assert (plant.postings[-1].operation, plant.postings[-1].good) == ("0020", 2_000), "hand's: 0010 is left to others"


def test_a_completion_that_does_not_count_ends_its_operation_where_that_is_not_waited_for():
    plant = Plant(PostingPolicy(gathering=GatheringPolicy(final_wait_us=0)), known([order(counting_sources=("m",))]))
    (ended,) = plant.tell(confirmation(good=9_000, final=True, machine_us=7))
    assert (ended.final, ended.good, ended.machine_us, ended.lane) == (True, 0, 0, "critical")
    assert plant.not_counted() == [*ended.causes]


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
