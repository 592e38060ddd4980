"""Delivery against a naive ERP: one document a posting, in order, at its pace, whatever goes wrong (M24-M27, M42)."""

from __future__ import annotations

import dataclasses
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import ActionKind, Lane, Posting, PostingKind
from tests.property.erp_twin import MS, POLICY, S, World, movement, posting

LANES = [Lane.CRITICAL, Lane.STANDARD, Lane.BULK]


def traffic(rng: random.Random, count: int, orders: int) -> list:
    """Postings of several orders, mixed as a queue mixes them: those of an order in its order."""
    numbers = dict.fromkeys(range(orders), 0)
    made = []
    for _ in range(count):
        order = rng.randrange(orders)
        number = numbers[order]
        numbers[order] += 1
        if order == 0:  # no order: each lot by itself
            lot = str(rng.randrange(3))
            made.append(posting("", number, rng.choice(LANES), movements=(movement("M", lot),)))
        else:
            made.append(posting(f"O{order}", number, rng.choice(LANES)))
    return made


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 60),
    orders=st.integers(2, 8),
    trouble=st.sampled_from([0.0, 0.3, 1.0]),
    crashing=st.sampled_from([0.0, 0.02, 0.1]),
    bulk=st.sampled_from([1, 4]),
    blind=st.booleans(),
    in_turn=st.booleans(),
)
def test_the_laws_hold_whatever_goes_wrong(seed, count, orders, trouble, crashing, bulk, blind, in_turn):
    rng = random.Random(seed)
    queue = [p for p in traffic(rng, count, orders) if p.order]
    world = World(seed, queue, trouble, dataclasses.replace(POLICY, bulk_max=bulk, in_turn=in_turn))
    world.erp.blind = blind
    world.erp.faulty = {str(p.posting_id) for p in queue if rng.random() < trouble / 8}
    for _ in range(rng.randrange(50, 400)):
        world.advance(rng.choice([10, 10, 50, 200]) * MS)
        world.tick()
        fate = rng.random()
        if fate < crashing / 3:
            world.crash()
        elif fate < crashing / 2:
            world.restart()
        elif fate < crashing:
            world.commit(rng.choice(["before", "after"]))
        elif fate < 0.5 and world.delivery.pending:
            world.commit()
        elif fate < 0.53:
            world.person()
        world.check_always()
    world.settle()

    world.check_always()
    world.check_committed()
    documents = {str(p.posting_id): document for p, document in world.erp.documents}
    receipts = {str(r.posting_id): r for r in world.log.receipts if r.status in ("accepted", "withdrawn")}
    assert world.delivery.held == 0
    assert receipts.keys() == {str(p.posting_id) for p in queue}
    told = {key: r.document for key, r in receipts.items() if r.status == "accepted"}
    assert told.items() <= documents.items()
    seen_by_a_person = {e.posting_id for e in world.log.exceptions.values() if e.code == "ERP_ANSWER_UNKNOWN"}
    assert documents.keys() - told.keys() <= seen_by_a_person
    # An ERP from which nothing more is wanted is not tried, and so not known to be back.
    assert set(open_codes(world)) <= {"ERP_UNAVAILABLE"}


def run(world: World, seconds: float, step_us: int = 50 * MS, read_max: int = 1_000) -> None:
    for _ in range(round(seconds * S / step_us)):
        world.advance(step_us)
        world.tick(read_max)
        world.commit()
    world.check_always()


def accepted(world: World) -> list[str]:
    return [str(r.posting_id) for r in world.log.receipts if r.status == "accepted"]


def open_codes(world: World) -> list[str]:
    return [e.code.value for e in world.log.exceptions.values() if e.resolution == "open"]


def test_a_refused_posting_stops_its_order_and_nothing_else():
    queue = [posting(f"O{i}", n) for n in range(4) for i in range(5)]
    world = World(1, queue, 0.0)
    world.erp.faulty = {str(queue[0].posting_id)}
    run(world, 10)

    refused = {str(p.posting_id) for p in queue if p.order == "O0"}
    assert set(accepted(world)) == {str(p.posting_id) for p in queue} - refused
    (opened,) = world.log.exceptions.values()
    assert (opened.code, opened.waiting, opened.order) == ("ERP_REJECTED", 4, "O0")
    assert [r.status.value for r in world.log.receipts if str(r.posting_id) in refused] == ["rejected"]


def test_goods_without_an_order_wait_only_for_the_same_lot():
    queue = [posting("", n, movements=(movement("M", str(n % 3)),)) for n in range(9)]
    world = World(1, queue, 0.0)
    world.erp.faulty = {str(queue[1].posting_id)}
    run(world, 5)

    assert set(accepted(world)) == {str(p.posting_id) for p in queue if p.number % 3 != 1}


def test_a_locked_order_is_tried_in_its_place_and_told_after_a_while():
    queue = [posting("O1", 0), posting("O1", 1), posting("O2", 0)]
    world = World(1, queue, 0.0)
    world.erp.locked = {"O1"}
    run(world, 2)
    assert accepted(world) == [str(queue[2].posting_id)]
    assert open_codes(world) == []
    run(world, 4)
    assert open_codes(world) == ["ERP_ORDER_LOCKED"]
    world.erp.locked = set()
    run(world, 4)

    assert accepted(world) == [str(queue[n].posting_id) for n in (2, 0, 1)]
    assert open_codes(world) == []


def test_an_outage_is_told_once_tried_seldom_and_caught_up_without_a_flood():
    queue = [posting(f"O{i % 10}", i // 10) for i in range(50)]
    world = World(1, queue, 0.0)
    world.erp.away_until_us = world.now_us + 30 * S
    run(world, 30)

    assert open_codes(world) == ["ERP_UNAVAILABLE"]
    assert world.told.count("ERP_UNAVAILABLE") == 1
    assert len(world.erp.calls) < 30
    assert accepted(world) == []
    back_us = world.now_us
    run(world, 20)

    assert sorted(accepted(world)) == sorted(str(p.posting_id) for p in queue)
    assert world.told.count("ERP_UNAVAILABLE") == 2
    first = [us for us in world.erp.calls if us >= back_us][:3]
    assert first[1] > first[0]  # one, and only after its answer another
    assert not any(r.status == "rejected" for r in world.log.receipts)


def test_an_erp_that_was_away_is_tried_again_before_a_process_thinks_that_all_is_done():
    """So that runs with ``--until-end`` get on when the ERP is back (M42)."""
    world = World(1, [posting("O1", 0)], 0.0)
    world.erp.away_until_us = world.now_us + 20 * S
    run(world, 10)
    assert world.delivery.idle
    world.restart()
    assert not world.delivery.idle
    run(world, 5)
    assert world.delivery.idle, "it has been tried, and is away"
    world.advance(10 * S)
    world.restart()
    run(world, 5)
    assert len(accepted(world)) == 1


def test_credentials_that_do_not_hold_are_told_at_once():
    world = World(1, [posting("O1", 0)], 0.0)
    world.erp.unauthorised = True
    run(world, 1)
    assert open_codes(world) == ["ERP_UNAVAILABLE"]
    assert len(world.erp.calls) <= 2
    world.erp.unauthorised = False
    (opened,) = world.log.exceptions
    world.act(ActionKind.REPROCESS, exception_id=opened)  # try now
    run(world, 1)

    assert len(accepted(world)) == 1


def test_a_posting_that_always_fails_is_given_up_and_the_others_go_on():
    queue = [posting("O1", 0)] + [posting(f"P{n}", 0) for n in range(60)]
    world = World(1, queue, 0.0)
    world.erp.poison = {str(queue[0].posting_id)}
    run(world, 20, read_max=1)

    (opened,) = world.log.exceptions.values()
    assert opened.code == "ERP_REJECTED"
    assert "given up after 4 failures" in opened.message
    assert len(accepted(world)) == 60


def test_what_waits_for_persons_fills_the_book_and_the_queue_waits():
    queue = [posting("O1", n) for n in range(100)] + [posting("O2", 0)]
    world = World(1, queue, 0.0)
    world.erp.faulty = {str(queue[0].posting_id)}
    run(world, 5)
    assert world.delivery.held == POLICY.held_max
    assert world.read == POLICY.held_max
    assert sorted(open_codes(world)) == ["BOUND_REACHED", "ERP_REJECTED"]
    (refused,) = [key for key, e in world.log.exceptions.items() if e.code == "ERP_REJECTED"]
    world.act(ActionKind.DISCARD, exception_id=refused)
    run(world, 60)

    assert len(accepted(world)) == 100
    assert open_codes(world) == []


def test_a_critical_posting_overtakes_a_flood_and_the_flood_goes_on():
    queue = [posting(f"B{n}", 0, Lane.BULK) for n in range(40)]
    world = World(1, queue, 0.0)
    run(world, 0.3)
    assert len(accepted(world)) < 20
    world.queue = world.queue + [posting(f"C{n}", 0, Lane.CRITICAL) for n in range(10)]
    before = len(accepted(world))
    run(world, 10)

    lanes = [r.lane.value for r in world.log.receipts][before:]
    assert lanes.index("critical") <= POLICY.window_max + POLICY.in_flight_max
    assert "bulk" in lanes[: POLICY.window_max + 22]
    assert len(accepted(world)) == 50


def test_one_erp_that_is_away_does_not_slow_another():
    """Each ERP has a machine of its own: nothing of one is in the other."""
    away, there = World(1, [posting("O1", 0)], 0.0), World(1, [posting(f"O{n}", 0) for n in range(20)], 0.0)
    away.erp.away_until_us = 10**18
    for _ in range(200):
        for world in (away, there):
            world.advance(50 * MS)
            world.tick()
            world.commit()

    assert len(accepted(there)) == 20
    assert accepted(away) == []


def reversal(of: Posting, number: int) -> Posting:
    return posting(of.order, number, kind=PostingKind.REVERSAL, reverses=str(of.posting_id))


def test_a_reversal_names_the_document_it_takes_back():
    original = posting("O1", 0)
    world = World(1, [original, posting("O1", 1), reversal(original, 2)], 0.0)
    run(world, 5)

    first, _, last = world.log.receipts
    assert last.reverses == first.document != ""


def test_a_reversal_of_what_was_withdrawn_is_withdrawn():
    original = posting("O1", 0)
    world = World(1, [original, posting("O1", 1), reversal(original, 2)], 0.0)
    world.erp.faulty = {str(original.posting_id)}
    run(world, 2)
    world.act(ActionKind.REVERSE, posting_id=str(original.posting_id))
    run(world, 5)

    assert [r.status.value for r in world.log.receipts] == ["rejected", "withdrawn", "accepted", "withdrawn"]
    assert [p.number for p, _ in world.erp.documents] == [1]
    assert open_codes(world) == []


def test_a_reversal_in_another_line_waits_for_its_original():
    original = posting("", 0, movements=(movement("M", "1"),))
    back = posting("", 1, kind=PostingKind.REVERSAL, reverses=str(original.posting_id), movements=(movement("M", "2"),))
    world = World(1, [original, back], 0.0)
    world.erp.faulty = {str(original.posting_id)}
    run(world, 2)
    assert world.erp.documents == []
    world.erp.faulty = set()
    (opened,) = world.log.exceptions
    world.act(ActionKind.REPROCESS, exception_id=opened)
    run(world, 3)

    assert [p.number for p, _ in world.erp.documents] == [0, 1]


def test_movements_that_fail_are_told_and_repaired_ones_too():
    world = World(1, [posting("O1", 0), posting("O1", 1)], 0.0)
    first = str(world.queue[0].posting_id)
    world.erp.follows = {first}
    world.erp.failed = {first}
    run(world, 3)
    assert len(accepted(world)) == 2  # its order goes on
    assert open_codes(world) == ["MOVEMENT_FAILED"]
    (told,) = world.log.exceptions.values()
    assert told.document == world.log.receipts[0].document
    world.erp.failed = set()
    run(world, 10)

    assert [r.status.value for r in world.log.receipts if str(r.posting_id) == first] == [
        *("accepted", "movement-failed", "moved"),
    ]
    assert open_codes(world) == []
    assert world.delivery.held == 0


def test_where_postings_are_processed_in_turn_the_next_waits_for_it():
    """An ERP that processes later gives one message up and goes on: the next would overtake it (M24, M26)."""
    queue = [posting("O1", 0), posting("O1", 1), posting("O2", 0)]
    world = World(1, queue, 0.0, dataclasses.replace(POLICY, in_turn=True))
    first = str(world.queue[0].posting_id)
    world.erp.follows = world.erp.failed = {first}
    run(world, 3)
    assert [p.order for p, _ in world.erp.documents] == ["O1", "O2"]
    (told,) = world.log.exceptions.values()
    assert (told.code, told.waiting) == ("MOVEMENT_FAILED", 2)
    assert world.delivery.idle, "a person must repair it"
    world.restart()
    run(world, 2)
    assert len(world.erp.documents) == 2, "and a restart changes nothing"
    world.erp.failed = set()
    run(world, 10)
    assert [p.number for p, _ in world.erp.documents] == [0, 0, 1]
    assert open_codes(world) == []
    assert world.delivery.held == 0


def test_a_posting_that_comes_twice_is_one():
    one = posting("O1", 0)
    world = World(1, [one, one, posting("O1", 1)], 0.0)
    run(world, 2)
    world.queue = [*world.queue, one]
    run(world, 2)

    assert len(world.erp.documents) == 2
    assert world.delivery.held == 0


def test_nothing_is_sent_before_its_admission_is_committed():
    world = World(1, [posting("O1", 0)], 0.0)
    for _ in range(20):
        world.advance(100 * MS)
        world.tick()
    assert world.erp.calls == []
    world.commit("after")  # durable, and the process does not know it
    world.crash()
    run(world, 20)
    assert len(world.erp.documents) == 1
    assert world.log.receipts[0].attempts == 1


def test_what_was_answered_and_not_committed_is_found_again():
    world = World(1, [posting("O1", 0)], 0.0)
    world.tick()
    world.commit()
    world.advance(200 * MS)
    world.tick()
    world.advance(500 * MS)
    assert len(world.erp.documents) == 1
    world.crash()
    run(world, 20)

    assert len(world.erp.documents) == 1
    (receipt,) = world.log.receipts
    assert receipt.found


def test_an_orderly_end_leaves_nothing_to_ask_for():
    queue = [posting(f"O{n}", 0) for n in range(30)]
    world = World(1, queue, 0.0)
    for _ in range(8):
        world.advance(50 * MS)
        world.tick()
        world.commit()
    world.delivery.close(world.now_us)
    world.advance(S)  # the answers to what was under way come
    assert world.delivery.in_flight == 0
    world.commit()
    world._start()
    run(world, 10)

    assert len(accepted(world)) == 30
    assert not any(r.found for r in world.log.receipts)
