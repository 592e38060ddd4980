"""Delivery against a naive ERP: one document a posting, in order, at its pace, whatever goes wrong (M24-M27, M42)."""

from __future__ import annotations

import dataclasses
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import Lane
from tests.property.erp_twin import MS, POLICY, World, movement, posting

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
)
def test_the_laws_hold_whatever_goes_wrong(seed, count, orders, trouble, crashing, bulk, blind):
    rng = random.Random(seed)
    queue = [p for p in traffic(rng, count, orders) if p.order]
    world = World(seed, queue, trouble, dataclasses.replace(POLICY, bulk_max=bulk))
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
    accepted = {key: r.document for key, r in receipts.items() if r.status == "accepted"}
    assert accepted.items() <= documents.items()
    seen_by_a_person = {e.posting_id for e in world.log.exceptions.values() if e.code == "ERP_ANSWER_UNKNOWN"}
    assert documents.keys() - accepted.keys() <= seen_by_a_person
    assert [e for e in world.log.exceptions.values() if e.resolution == "open"] == []
