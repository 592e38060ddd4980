"""The desk: quality before receipt, what waits by key, taking back, people, owners, lanes, limits."""

from __future__ import annotations

import pytest

from canonical.contracts import Command, Lane, Movement, OrderOperation
from canonical.identity import posting_id
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.limits import Refused
from dataflows.processors.posting.policy import PostingPolicy, Sort
from tests.postings_world import (
    DAY,
    HOUR_US,
    NOW_US,
    Plant,
    action,
    confirmation,
    lot,
    material,
    order,
    period,
    references,
    route,
    word,
    work_center,
)

LAST = OrderOperation(operation="0020", work_center="W2")
SHORT = order(operations=(LAST,))
"""An order whose only operation is the last."""


def inspected(**fields):
    return [*references()[1:3], SHORT, material(inspected=True, **fields), lot(), route(), period()]


def kinds(postings):
    return [(p.kind.value, p.movements[0].movement_type if p.movements else "") for p in postings]


# -- quality (M19) -------------------------------------------------------------------------------


def test_what_is_not_inspected_is_received_at_once():
    plant = Plant(told=[*references()[1:], SHORT])
    confirmed, received = plant.tell(confirmation(0, "0020", 3_000))
    (movement,) = received.movements
    assert (received.kind, received.number, received.good) == ("goods-receipt", 1, 3_000)
    assert (movement.movement_type, movement.quantity, movement.lot, movement.storage_location) == (
        "101",
        3_000,
        "L1",
        "0001",
    )
    assert movement.stock_type == "unrestricted"
    assert received.causes == confirmed.causes


@pytest.mark.parametrize("first", ["completion", "release"])
def test_a_receipt_needs_completion_and_release_in_either_order(first):
    plant = Plant(told=[*references()[1:3], SHORT, material(inspected=True), lot(), route(), period()])
    told = [confirmation(0, "0020"), word()]
    for record in told if first == "completion" else reversed(told):
        assert "goods-receipt" not in [p.kind for p in plant.postings]
        plant.tell(record)
    assert kinds(plant.postings) == [("confirmation", ""), ("goods-receipt", "101")]


def test_the_newest_word_of_a_lot_counts_whatever_came_last():
    plant = Plant(told=inspected())
    plant.tell(word("hold", at_us=NOW_US + 1), word("release", at_us=NOW_US), confirmation(0, "0020"))
    assert kinds(plant.postings) == [("confirmation", "")]
    assert kinds(plant.tell(word("release", at_us=NOW_US + 2))) == [("goods-receipt", "101")]


def test_a_rejection_is_no_release_and_a_word_without_material_counts():
    plant = Plant(told=inspected())
    plant.tell(word(quality="reject"), confirmation(0, "0020"))
    assert kinds(plant.postings) == [("confirmation", "")]
    assert kinds(plant.tell(word(material="", at_us=NOW_US + 1))) == [("goods-receipt", "101")]


def test_without_a_release_in_time_it_goes_to_quality_stock_and_from_there_later():
    plant = Plant(told=inspected())
    plant.tell(confirmation(0, "0020", 2_000), confirmation(1, "0020", 3_000))
    first, second = plant.later(24 * HOUR_US)
    assert [first.movements[0].stock_type, second.movements[0].stock_type] == ["quality", "quality"]
    (told,) = plant.open()
    assert (told.code, told.lot, told.waiting) == ("QUALITY_RELEASE_MISSING", "L1", 2)

    moved = plant.tell(word())

    assert kinds(moved) == [("stock-transfer", "321")] * 2
    assert [p.movements[0].quantity for p in moved] == [2_000, 3_000]
    assert [(p.movements[0].stock_type, p.movements[0].to_stock_type) for p in moved] == [
        ("quality", "unrestricted")
    ] * 2
    assert [p.number for p in plant.postings] == list(range(6))
    assert plant.codes() == []
    assert kinds(plant.tell(confirmation(2, "0020"))) == [("confirmation", ""), ("goods-receipt", "101")]


# -- what waits, by key (M12) --------------------------------------------------------------------


def test_what_fails_parks_with_what_follows_it_and_all_else_goes_on():
    plant = Plant(told=[*references(), order("4712"), material(lot_managed=True, changed_us=2)])

    told = plant.tell(
        confirmation(0, lot="BAD"),
        confirmation(1),  # behind it: same order and operation
        confirmation(0, source="other", order="4712"),
        confirmation(0, "0020", 0, scrap=1_000),  # another operation of the order
    )

    assert [(p.order, p.operation) for p in told] == [("4712", "0010"), ("4711", "0020")]
    plant.later(HOUR_US)
    (parked,) = plant.open()
    assert (parked.code, parked.lot, parked.waiting) == ("LOT_UNKNOWN", "BAD", 2)
    assert [p.causes for p in plant.tell(lot("BAD"))] == [(str(confirmation(n).posting_id),) for n in (0, 1)]


def test_one_cause_of_many_orders_is_one_exception():
    orders = [order(str(n)) for n in range(30)]
    plant = Plant(told=[*references()[3:], *orders])
    for n in range(30):
        plant.tell(confirmation(n, order=str(n)))
    plant.later(HOUR_US)
    (told,) = plant.open()
    assert (told.code, told.work_center, told.waiting) == ("WORK_CENTER_UNKNOWN", "W1", 30)
    assert len(plant.tell(work_center("W1"))) == 30


def test_what_comes_into_force_by_itself_lets_go_what_waits_for_it():
    plant = Plant(told=[*references()[1:], order(valid_from_us=NOW_US + HOUR_US)])
    assert plant.tell(confirmation()) == []
    assert plant.desk.due_us() == NOW_US + HOUR_US
    assert len(plant.later(HOUR_US)) == 1


# -- migration (M33) -----------------------------------------------------------------------------


def test_after_the_effective_date_a_plant_posts_to_the_other_erp_and_numbers_begin_there():
    wave = [route(valid_to_us=NOW_US), route("south", valid_from_us=NOW_US, erp_plant="S1")]
    plant = Plant(told=[*references()[:-2], period(), period(erp="south"), order(erp="south"), *wave])
    told = plant.tell(*(confirmation(n, last_occurred_us=NOW_US - 3 + 2 * n) for n in range(4)))
    assert [(p.erp, p.erp_plant, p.number) for p in told] == [
        ("north", "1000", 0),
        ("north", "1000", 1),
        ("south", "S1", 0),
        ("south", "S1", 1),
    ]


# -- taking back (M30) ---------------------------------------------------------------------------


def test_a_person_takes_a_posting_back_with_what_followed_from_it_once():
    plant = Plant(told=[*references()[1:], SHORT])
    confirmed, received = plant.tell(confirmation(0, "0020", 3_000))

    back = plant.tell(action("reverse", posting_id=str(confirmed.posting_id)))

    assert [(p.kind, p.reverses, p.number) for p in back] == [
        ("reversal", str(received.posting_id), 2),
        ("reversal", str(confirmed.posting_id), 3),
    ]
    assert back[0].movements[0].movement_type == "102"
    assert plant.desk.orders.look("A", "4711").made == {"0020": [0, 0, 0]}
    assert plant.tell(action("reverse", 1, posting_id=str(confirmed.posting_id))) == []


def test_what_is_to_be_taken_back_waits_while_the_order_is_locked_and_nothing_of_it_is_forgotten():
    plant = Plant(told=[*references()[1:], SHORT])
    confirmed, _ = plant.tell(confirmation(0, "0020"))
    plant.tell(order(operations=(LAST,), status="locked", changed_us=3))
    assert plant.tell(action("reverse", posting_id=str(confirmed.posting_id))) == []
    assert kinds(plant.tell(order(operations=(LAST,), changed_us=4))) == [("reversal", "102"), ("reversal", "")]


def test_a_posting_that_is_not_known_cannot_be_taken_back_and_somebody_is_told():
    plant = Plant()
    assert plant.tell(action("reverse", posting_id="nothing")) == []
    assert plant.codes() == ["POSTING_UNKNOWN"]
    plant.tell(action("discard", 1, exception_id=str(plant.open()[0].exception_id)))
    assert plant.codes() == []


def test_a_higher_revision_takes_back_what_the_lower_one_posted_and_posts_its_own():
    plant = Plant(told=[*references()[1:], SHORT])
    first = plant.tell(confirmation(0, "0020", 3_000))
    told = plant.tell(confirmation(0, "0020", 2_000, revision=1))
    assert [(p.kind, p.good) for p in told] == [
        ("reversal", 3_000),
        ("reversal", 3_000),
        ("confirmation", 2_000),
        ("goods-receipt", 2_000),
    ]
    assert {p.reverses for p in told} == {"", *(str(p.posting_id) for p in first)}
    assert plant.desk.orders.look("A", "4711").good("0020") == 2_000
    assert plant.tell(confirmation(0, "0020", 3_000), confirmation(0, "0020", 2_000, revision=1)) == []
    assert plant.desk.counts == {"offered": 4, "posted": 2, "superseded": 1, "copies": 1}


def test_a_higher_revision_takes_the_place_of_a_lower_one_that_waits():
    plant = Plant(told=references()[1:])
    plant.tell(confirmation(0, good=1_000), confirmation(1, good=5_000), confirmation(0, good=2_000, revision=1))
    assert [p.good for p in plant.tell(order())] == [5_000, 2_000]
    assert plant.desk.counts == {"offered": 3, "posted": 2, "superseded": 1}


def test_a_receipt_that_waits_goes_with_the_confirmation_that_is_taken_back():
    plant = Plant(told=inspected())
    (confirmed,) = plant.tell(confirmation(0, "0020"))
    assert kinds(plant.tell(action("reverse", posting_id=str(confirmed.posting_id)))) == [("reversal", "")]
    assert plant.tell(word()) == []
    assert plant.desk.queues.size == 0


def test_a_receipt_in_quality_stock_that_is_taken_back_is_not_moved_later():
    plant = Plant(told=inspected())
    (confirmed,) = plant.tell(confirmation(0, "0020"))
    plant.later(24 * HOUR_US)
    assert kinds(plant.tell(action("reverse", posting_id=str(confirmed.posting_id)))) == [
        ("reversal", "102"),
        ("reversal", ""),
    ]
    assert plant.codes() == []
    assert plant.tell(word()) == []


def test_a_copy_is_not_posted_again():
    plant = Plant()
    assert len(plant.tell(confirmation(), confirmation())) == 1
    assert plant.desk.counts["copies"] == 1


def test_what_was_posted_is_remembered_over_restarts_and_none_takes_the_place_of_another():
    plant = Plant()
    for n in range(150):
        plant.tell(confirmation(n, good=1))
        if n % 40 == 39:
            plant.commit()
            plant.restart()
    plant.commit()
    plant.restart()
    assert plant.tell(*(confirmation(n, good=1) for n in range(150))) == []
    assert [len(rows) for rows in plant.desk.history._chunks.values()] == [64, 64, 22]
    first = plant.postings[0], plant.postings[70], plant.postings[-1]
    assert len(plant.tell(*(action("reverse", n, posting_id=str(p.posting_id)) for n, p in enumerate(first)))) == 3


def test_nothing_is_kept_of_what_waited_once_it_goes_on():
    plant = Plant(told=references()[1:])
    plant.tell(*map(confirmation, range(9)))
    plant.tell(order())
    queues, causes = plant.desk.queues, plant.desk.causes
    assert not any((queues.size, queues._lines, queues._awaits, queues._awaiting, queues._bases, queues._asked))
    assert not any((causes._causes, causes._of))
    plant.commit()
    assert not [name for name in plant.parts if name.startswith(("case:", "exception:"))]


# -- people (M12, M29) ---------------------------------------------------------------------------


def parked(*confirmations):
    """Return a plant with an exception about an over-delivery, and the exception."""
    plant = Plant()
    plant.tell(*(confirmations or (confirmation(0, good=200_000), confirmation(1))))
    plant.later(HOUR_US)
    (told,) = plant.open()
    return plant, told


def test_release_lets_through_what_waits_and_what_comes_after_is_checked_again():
    plant, told = parked()
    assert [p.good for p in plant.tell(action("release", exception_id=str(told.exception_id)))] == [200_000, 1_000]
    ended = plant.exceptions[-1]
    assert (ended.resolution, ended.actor, ended.reason, ended.waiting) == ("released", "anna", "seen", 0)
    assert plant.tell(confirmation(2)) == []


def test_reprocess_asks_again_and_says_so():
    plant, told = parked()
    assert plant.tell(action("reprocess", exception_id=str(told.exception_id))) == []
    assert plant.codes() == ["OVER_DELIVERY"]


def test_discard_takes_out_what_fails_and_posts_what_stood_behind_it():
    plant, told = parked()
    assert [p.good for p in plant.tell(action("discard", exception_id=str(told.exception_id)))] == [1_000]
    assert plant.exceptions[-1].resolution == "discarded"
    assert plant.desk.counts == {"offered": 2, "posted": 1, "discarded": 1}


def test_an_action_that_comes_twice_is_one():
    plant, told = parked(confirmation(0, good=200_000))
    once = action("discard", exception_id=str(told.exception_id))
    plant.tell(once, confirmation(1, good=300_000))
    plant.later(HOUR_US)
    plant.tell(once)
    assert plant.codes() == ["OVER_DELIVERY"]


# -- owners, echoes, lanes (M14, M16, M43) -------------------------------------------------------


def test_only_its_owner_may_tell_of_a_thing():
    plant = Plant(PostingPolicy(owners={"lot": ("laboratory",), "release": ("quality",)}), references()[:4])
    for record in (lot(), lot("L2"), word(source="terminal")):
        with pytest.raises(Refused, match="may"):
            plant.tell(record)
    plant.tell(word())
    assert [(each.item, each.waiting) for each in plant.open()] == [("lot from north", 2), ("release from terminal", 1)]
    assert plant.desk.lots.look("M", "L1") is not None
    assert plant.desk.book.lot("M", "L1", NOW_US) is None


def test_the_echo_of_an_own_command_is_no_news_and_what_it_asked_for_holds_at_once():
    plant = Plant(told=inspected())
    name = posting_id("A", "hold", "", 0, "command")
    plant.tell(word(at_us=NOW_US))
    asked = Command(command_id=name, kind="quality-hold", plant="A", material="M", lot="L1", occurred_us=NOW_US + 1)
    plant.desk.command(asked)
    plant.desk.command(asked)
    plant.tell(confirmation(0, "0020"))
    assert plant.commands == [asked]
    assert kinds(plant.postings) == [("confirmation", "")]
    plant.tell(word("hold", at_us=NOW_US + 9, correlation_id=str(name)))
    assert plant.desk.counts["echoes"] == 1
    assert kinds(plant.tell(word(at_us=NOW_US + 5))) == [("goods-receipt", "101")]


def test_lanes_are_those_of_the_table():
    plant = Plant(PostingPolicy(lanes={Sort.CONFIRMATION: Lane.BULK, Sort.GOODS_RECEIPT: "analytics-only"}))
    told = plant.tell(
        confirmation(0, good=9_000),
        confirmation(1, final=True),
        confirmation(2, kind="supplementary"),
        confirmation(0, "0020"),
    )
    assert [(p.lane, p.kind) for p in told] == [
        ("bulk", "confirmation"),
        ("critical", "confirmation"),
        ("bulk", "confirmation"),
        ("bulk", "confirmation"),
    ]


# -- what delivery withdraws ---------------------------------------------------------------------


def test_what_was_withdrawn_before_it_was_sent_is_not_made():
    """Over-delivery and what follows count what the ERP will have (M11, M30)."""
    plant = Plant()
    (first,) = plant.tell(confirmation(0, good=100_000))
    plant.tell(confirmation(1, good=20_000))
    plant.later(plant.policy.patience_us)
    assert plant.codes() == ["OVER_DELIVERY"]
    plant.desk.withdrawn(str(first.posting_id), plant.now_us)
    (second,) = plant.take()
    assert second.good == 20_000
    plant.desk.withdrawn("nothing known of it", plant.now_us)
    plant.commit()
    plant.restart()
    assert plant.desk.orders.look("A", "4711").made == {"0010": [20_000, 0, 0]}


def test_a_reversal_that_was_withdrawn_takes_nothing_back():
    plant = Plant()
    (first,) = plant.tell(confirmation(0, good=5_000))
    (reversal,) = plant.tell(action("reverse", posting_id=str(first.posting_id)))
    assert plant.desk.orders.look("A", "4711").good("0010") == 0
    for name in (first, reversal):  # As delivery does where the first was not sent yet.
        plant.desk.withdrawn(str(name.posting_id), plant.now_us)
    assert plant.desk.orders.look("A", "4711").good("0010") == 0


def test_a_receipt_into_quality_stock_that_was_withdrawn_is_not_transferred():
    plant = Plant(PostingPolicy(quality_timeout_us=0), [*references(), material(inspected=True, changed_us=2)])
    made = plant.tell(confirmation(0), confirmation(0, "0020"))
    (receipt,) = (posting for posting in made if posting.kind == "goods-receipt")
    assert plant.codes() == ["QUALITY_RELEASE_MISSING"]
    plant.desk.withdrawn(str(receipt.posting_id), plant.now_us)
    plant.take()
    assert plant.codes() == []
    assert plant.tell(word()) == []


# -- drafts of others ----------------------------------------------------------------------------


def issue(cause="c", **fields):
    movement = Movement(movement_type="261", material="M", lot="L1", quantity=500, unit="H87", **fields)
    return Draft(
        "c" if cause is None else cause,
        "goods-issue",
        "critical",
        "A",
        DAY,
        NOW_US,
        NOW_US,
        order="4711",
        movements=(movement,),
    )


def test_a_draft_passes_the_gate_and_the_checks_of_its_lines_and_counts_among_its_order():
    plant = Plant(told=references()[:3])
    plant.tell(route(), period())
    plant.desk.offer(issue(), NOW_US)
    assert plant.take() == []
    plant.later(HOUR_US)
    assert plant.codes() == ["MATERIAL_UNKNOWN"]
    (posting,) = plant.tell(material())
    assert (posting.kind, posting.lane, posting.number) == ("goods-issue", "critical", 0)
    plant.desk.offer(issue(), NOW_US)
    assert plant.take() == []


# -- limits (DESIGN law 7) -----------------------------------------------------------------------


def test_when_no_more_may_wait_it_is_told_once_until_some_have_gone():
    plant = Plant(PostingPolicy(waiting_max=8), [*references()[1:], order("4712", "created")])
    plant.tell(*(confirmation(n) for n in range(6)), confirmation(7, order="4712"))
    assert not plant.desk.full
    plant.tell(confirmation(8, order="4712"))
    assert plant.desk.full
    plant.tell(confirmation(9))  # It had been read already: it waits like the others.
    (told,) = plant.open()
    assert (told.code, told.item, told.waiting) == ("BOUND_REACHED", "waiting_max", 9)
    plant.commit()
    plant.restart()
    plant.later(0)
    assert plant.desk.full
    plant.tell(confirmation(9, revision=1))  # One goes, one comes.
    assert plant.desk.full
    assert len(plant.tell(order())) == 7
    assert not plant.desk.full
    assert plant.open() == []
    assert plant.desk.counts == {"offered": 10, "superseded": 1, "posted": 7}


def test_a_closed_order_makes_room_for_another_and_an_open_one_does_not():
    plant = Plant(PostingPolicy(orders_max=1), [*references(), order("4712")])
    plant.tell(confirmation(0))
    with pytest.raises(Refused, match="orders_max"):
        plant.tell(confirmation(0, order="4712", source="b"))
    plant.tell(order(status="closed", changed_us=9))
    assert len(plant.tell(confirmation(1, order="4712", source="b"))) == 1


def test_the_other_bounds():
    full = Plant(PostingPolicy(references_max=8))
    with pytest.raises(Refused, match="references_max"):
        full.tell(lot("L2"))
    full.tell(lot(changed_us=5))  # What is known may change.

    lots = Plant(PostingPolicy(lots_max=2))
    lots.tell(*(word(of=f"L{n}") for n in range(5)))
    assert len(lots.desk.lots) == 2

    told = Plant(PostingPolicy(exceptions_max=1), references()[1:])
    told.tell(confirmation(0), confirmation(1, order="4712"))
    told.later(4 * HOUR_US)
    assert told.codes() == ["ORDER_NOT_RELEASED"]
    told.tell(order())
    told.later(HOUR_US)
    assert [each.order for each in told.open()] == ["4712"]

    few = Plant(PostingPolicy(remembered_max=1))
    few.tell(*map(confirmation, range(100)))
    assert few.tell(action("reverse", posting_id=str(few.postings[0].posting_id))) == []
    assert few.codes() == ["POSTING_UNKNOWN"]
