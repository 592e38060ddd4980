"""Placing: the kernel and its twin in numpy put every row in the same place (M08, M09; DESIGN law 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.policy import SequencePolicy
from dataflows.processors import placed_by_kernel
from tests.property.test_sequence import FAR_ROW, INPUT, POLICY, SECOND, Machine, by_kind, run

pytestmark = pytest.mark.skipif(
    placed_by_kernel._PLACE is None, reason="the kernel is not compiled: no C compiler here"
)


@contextmanager
def without_kernel() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placed_by_kernel, "_PLACE", None)
        yield


def alike(policy: SequencePolicy, batches: list) -> None:
    """Both go the same way, step by step, and are in the same state after each."""
    kernel, numpy = Machine(policy), Machine(policy)
    now = offset = 0
    for rows, wait, again in batches:
        now += wait * SECOND
        told = [(offset + i, *row) for i, row in enumerate(rows)]
        offset += len(rows)
        for machine in (kernel, numpy):
            with without_kernel() if machine is numpy else pytest.MonkeyPatch.context():
                machine.wake(now)
                if told:
                    machine.step(told, now)
                if again:
                    machine.restart(f"noise {now}")
        assert kernel.out == numpy.out
        assert kernel.totals() == numpy.totals()
        assert state(kernel) == state(numpy)
        assert kernel.sequence.due_us() == numpy.sequence.due_us()


def state(machine: Machine) -> dict[str, pa.Table]:
    """Return the state as tables: bits of no row, at the end of a column of truths, are as they happen to be."""
    return {part: pa.ipc.open_stream(data).read_all() for part, data in machine.sequence.encode().items()}


def batch(*numbers: int, body: int = 7, wait: int = 0) -> tuple:
    return [("m1", "", number, body) for number in numbers], wait, False


@pytest.mark.parametrize(
    ("policy", "batches"),
    [
        ({"start": 3, "conflict_horizon_rows": 4}, [batch(*range(3, 11)), batch(2), batch(1, body=8)]),
        ({"conflict_horizon_rows": 4}, [batch(*range(10)), batch(6, body=8), batch(5, body=8), batch(6)]),
        ({"gap_timeout_s": 1, "gaps_max": 1, "conflict_horizon_rows": 1}, [batch(0, 5, 9), batch(2, 7, 0, wait=10)]),
        (
            {"gap_timeout_s": 1, "gaps_max": 1, "conflict_horizon_rows": 1},
            [batch(0, 5, 9), batch(6, 7, 8, wait=10), batch(2)],
        ),
        ({"held_rows_max": 3}, [batch(5, 4, 3, 2, 1, 0)]),
        ({"held_rows_max": 3}, [batch(5, 4, 3), batch(0, 2, 1)]),
        ({"held_rows_max": 1}, [batch(1, 2, 0)]),
    ],
    ids=[
        "below the start",
        "at the horizon",
        "in a forgotten gap",
        "no gap but a forgotten one",
        "too many at one time",
        "just few enough",
        "too many in their order",
    ],
)
def test_both_draw_the_same_lines(policy: dict, batches: list) -> None:
    alike(SequencePolicy(**policy), batches)


@given(policy=POLICY, batches=INPUT)
def test_both_put_every_row_in_the_same_place(policy: SequencePolicy, batches: list) -> None:
    alike(policy, batches)


@given(batches=st.lists(st.tuples(st.lists(FAR_ROW, max_size=12), st.just(0), st.booleans()), max_size=6))
def test_both_tell_numbers_far_ahead_apart(batches: list) -> None:
    alike(SequencePolicy(gap_timeout_s=1000), batches)


@given(
    count=st.integers(1, 600),
    seed=st.integers(0, 2**32 - 1),
    chunk=st.sampled_from([7, 90, 600]),
    spread=st.sampled_from([1, 5, 60, 600]),
    repeated=st.sampled_from([0.0, 0.1]),
    spoilt=st.sampled_from([0.0, 0.0, 0.01]),
    policy=st.builds(
        SequencePolicy,
        modulus=st.sampled_from([None, None, 256]),
        start=st.sampled_from([0, "any"]),
        held_rows_max=st.sampled_from([20, 1000]),
        conflict_horizon_rows=st.sampled_from([4, 64]),
        gap_timeout_s=st.just(1.0),
    ),
)
def test_both_sort_many_rows_alike(
    count: int, seed: int, chunk: int, spread: int, repeated: float, spoilt: float, policy: SequencePolicy
) -> None:
    rng = np.random.default_rng(seed)
    order = np.argsort(np.arange(count) + rng.integers(0, spread, count), kind="stable")
    order = np.repeat(order, 1 + (rng.random(count) < repeated))
    bodies = np.where(rng.random(len(order)) < spoilt, 8, 7)
    sources = rng.integers(0, 2, len(order))
    number = policy.modulus or 2**31
    rows = [(f"m{s}", "", int(n) % number, int(b)) for s, n, b in zip(sources, order, bodies, strict=True)]
    batches = [(rows[at : at + chunk], 0, False) for at in range(0, len(rows), chunk)]
    alike(policy, [*batches, ([], 2, True), (rows[:chunk], 0, False)])


@given(policy=POLICY, batches=INPUT)
def test_the_twin_in_numpy_keeps_the_laws(policy: SequencePolicy, batches: list) -> None:
    with without_kernel():
        machine, twin = run(policy, batches, whole=True, restart=True)
    assert by_kind(machine.out) == by_kind(twin.out)
