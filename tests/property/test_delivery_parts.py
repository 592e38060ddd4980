"""The parts of delivery by themselves: tokens, turns, the breaker, documents, the gate (M16, M24, M42)."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from canonical.records import NO_RECORDS, RawRecords
from dataflows.processors.delivery.access import Access, Change
from dataflows.processors.delivery.breaker import Breaker
from dataflows.processors.delivery.bucket import Bucket
from dataflows.processors.delivery.documents import SEGMENT, Documents
from dataflows.processors.delivery.policy import DeliveryPolicy, backoff_us
from dataflows.processors.delivery.reply import Call, CallKind, Reply, ReplyKind
from dataflows.processors.delivery.turns import Turns
from dataflows.sources.gated import Gated

waits = st.lists(st.integers(0, 3_000_000), max_size=80)


@given(steps=waits, rate_milli=st.integers(1, 50_000), burst=st.integers(1, 10), restarts=st.sets(st.integers(0, 80)))
def test_no_span_of_time_has_more_tokens_than_burst_and_rate(steps, rate_milli, burst, restarts):
    now_us, taken = 10**15, []
    bucket = Bucket(rate_milli, burst, now_us)
    for number, step in enumerate(steps):
        now_us += step
        if number in restarts:
            bucket = Bucket(rate_milli, burst, now_us)
        while bucket.has(now_us):
            bucket.take()
            taken.append(now_us)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - taken[first]) * rate_milli / 1e9 + 1e-9


def test_a_bucket_gives_what_its_rate_promises():
    bucket = Bucket(2_000, 1, 0)
    given_at = []
    for now_us in range(0, 10_000_001, 100_000):
        if bucket.has(now_us):
            bucket.take()
            given_at.append(now_us)

    assert len(given_at) == 20


@given(
    weights=st.lists(st.integers(1, 16), min_size=1, max_size=5),
    arrivals=st.lists(st.integers(0, 4), max_size=200),
    seed=st.integers(0, 2**32),
)
def test_no_queue_starves_and_each_keeps_its_order(weights, arrivals, seed):
    names = [str(i) for i in range(len(weights))]
    turns: Turns[tuple[str, int]] = Turns(dict(zip(names, weights, strict=True)))
    waiting: dict[str, list[int]] = {name: [] for name in names}
    passed = dict.fromkeys(names, 0)
    rng = random.Random(seed)
    for number, queue in enumerate(arrivals):
        name = names[queue % len(names)]
        turns.push(name, number, (name, number))
        waiting[name].append(number)
        while rng.random() < 0.5 and (picked := turns.pick(lambda _: True)) is not None:
            name, rank = picked
            assert waiting[name].pop(0) == rank
            passed[name] = 0
            for other in names:
                passed[other] += bool(waiting[other]) and other != name
                bound = -(-sum(weights) // weights[int(other)]) + len(names)
                assert passed[other] <= bound, f"{other} waited {passed[other]} turns"
                if not waiting[other]:
                    passed[other] = 0
    left = 0
    while turns.pick(lambda _: True) is not None:
        left += 1
    assert left == sum(map(len, waiting.values()))


def test_turns_are_shared_by_weight():
    turns: Turns[str] = Turns({"critical": 16, "standard": 4, "bulk": 1})
    for number in range(500):
        for name in ("bulk", "standard", "critical"):
            turns.push(name, number, name)
    first = [turns.pick(lambda _: True) for _ in range(210)]

    assert (first.count("critical"), first.count("standard"), first.count("bulk")) == (160, 40, 10)


def test_what_has_become_stale_is_dropped():
    turns: Turns[int] = Turns({"a": 1, "b": 1})
    for number in range(6):
        turns.push("ab"[number % 2], number, number)

    assert turns.pick(lambda item: item > 3) == 4
    assert turns.pick(lambda item: item > 5) is None
    assert turns.size() == 0


@given(seed=st.integers(0, 2**32), failures=st.integers(1, 6))
def test_an_open_breaker_lets_one_call_through_at_a_time_and_waits_between(seed, failures):
    rng = random.Random(seed)
    policy = DeliveryPolicy(breaker_failures=failures, probe_us=1000, probe_max_us=16_000)
    breaker = Breaker(policy)
    now_us, opened = 1, 0
    for _ in range(200):
        now_us += rng.choice([1, 100, 1000, 20_000])
        if breaker.is_open:
            before_us = breaker.due_us
            lets = breaker.lets(now_us)
            assert lets == (now_us >= before_us)
            if lets:
                breaker.probing = True
                assert not breaker.lets(now_us)
                if rng.random() < 0.5:
                    assert breaker.answered()
                else:
                    assert not breaker.failed(now_us, rng.random(), at_once=True, began_us=now_us)
                    assert now_us + 500 <= breaker.due_us <= now_us + 16_000
        elif rng.random() < 0.7:
            run = breaker.failures + 1
            opened = breaker.failed(now_us, 1.0, at_once=False, began_us=now_us)
            assert opened == (run >= failures)
        else:
            assert not breaker.answered()
            assert breaker.failures == 0


@given(failures=st.integers(1, 100), chance=st.floats(0, 1))
def test_a_wait_doubles_up_to_its_bound_and_half_of_it_is_chance(failures, chance):
    wait_us = backoff_us(failures, 1000, 60_000, chance)
    whole = min(1000 * 2 ** (failures - 1), 60_000)

    assert whole / 2 <= wait_us <= whole


@given(count=st.integers(0, 1500), restarts=st.sets(st.integers(0, 1500), max_size=5))
def test_the_newest_documents_are_known_over_restarts(count, restarts):
    documents, state = Documents(600), {}
    for number in range(count):
        documents.add(f"p{number}", f"d{number}")
        if number % 7 == 0:
            state |= documents.take()
        if number in restarts:
            state = {part: value for part, value in {**state, **documents.take()}.items() if value}
            documents = Documents(600)
            documents.restore(state)
    for number in range(max(0, count - 600), count):
        assert documents.get(f"p{number}") == f"d{number}"
    assert documents.get("none") is None
    state = {part: value for part, value in {**state, **documents.take()}.items() if value}
    assert len(state) <= 600 // SEGMENT + 2


class Numbers:
    """A reader of the numbers from 0, in batches."""

    def __init__(self, count: int, batch: int) -> None:
        self.count, self.batch, self.next = count, batch, 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position is all
        self.next = int(position or 0)

    def poll(self) -> RawRecords:
        numbers = range(self.next, min(self.next + self.batch, self.count))
        self.next = max(self.next, numbers.stop)
        if not numbers:
            return NO_RECORDS
        keys = [str(n).encode() for n in numbers]
        return RawRecords.from_values(keys, np.array(numbers, np.int64), "t", keys=keys, headers=[()] * len(keys))

    def position(self) -> str:
        return str(self.next)

    def state(self) -> Mapping[str, bytes]:
        return {}

    def at_end(self) -> bool:
        return self.next >= self.count

    def behind(self) -> int:
        return self.count - self.next

    def close(self) -> None:
        pass


@given(
    count=st.integers(0, 40),
    batch=st.integers(1, 9),
    rooms=st.lists(st.integers(-1, 12), max_size=60),
    restarts=st.sets(st.integers(0, 60)),
    batch_after=st.integers(1, 9),
)
def test_a_gate_neither_loses_nor_repeats_whatever_the_room(count, batch, rooms, restarts, batch_after):
    room = [0]
    gate = Gated(Numbers(count, batch), lambda: room[0])
    gate.seek(None, {})
    got: list[int] = []
    for number, free in enumerate([*rooms, *[5] * 60]):
        room[0] = free
        if number in restarts:
            position = gate.position()
            gate = Gated(Numbers(count, batch_after), lambda: room[0])
            gate.seek(position, {})
        raw = gate.poll()
        assert len(raw) <= max(free, 0)
        got += [int(raw.value(row)) for row in range(len(raw))]
        assert [int(key) for key in raw.keys or []] == got[len(got) - len(raw) :]
        if number < len(rooms):
            assert gate.behind() == count - len(got)
    assert got == list(range(count))
    assert gate.at_end()
    assert gate.behind() == 0


def test_what_came_out_before_a_restart_is_not_behind():
    gate = Gated(Numbers(5, 5), lambda: 2)
    gate.seek(None, {})
    gate.poll()
    position = gate.position()
    gate = Gated(Numbers(5, 5), lambda: 0)
    gate.seek(position, {})
    assert gate.behind() == 3


def test_an_erp_that_says_it_is_away_for_long_is_believed_at_once():
    policy = DeliveryPolicy(breaker_failures=5, probe_max_us=300_000_000)
    call = Call(CallKind.SEND, (), (), began_us=10_000_000, until_us=20_000_000)
    for wait_us, change in ((300_000_000, Change.NOTHING), (300_000_001, Change.AWAY)):
        access = Access(policy, lambda: 1.0, 0)
        access.lease_us = 20_000_000
        assert access.lets(10_000_000)
        access.begin()
        assert access.answered(call, [Reply(ReplyKind.UNAVAILABLE, retry_after_us=wait_us)], 10_000_001) is change
