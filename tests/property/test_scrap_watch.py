"""A lot of which too much is scrap is held once for each time that it is too much (M20)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import CommandKind, Confirmation, ExceptionCode, StockType
from canonical.identity import posting_id
from dataflows.processors.posting.scrap_watch import ScrapPolicy, ScrapWatch

MINUTE_US = 60_000_000
NOON_US = 1_772_539_200_000_000
POLICY = ScrapPolicy(limit=100, hysteresis=40, window_us=30 * MINUTE_US, quantity_min=5_000)


def made(good: int, scrap: int, minute: int = 0, number: int = 0, **fields: object) -> Confirmation:
    at_us = NOON_US + minute * MINUTE_US
    told = {
        "plant": "A", "source": "m", "order": "100", "operation": "0010", "material": "SHAFT", "lot": "L1",
        "posting_date": "2026-03-03", "events": 1, "first_offset": 0, "last_offset": 0, "close_reason": "count",
        "first_seq": number, "last_seq": number, "first_occurred_us": at_us, "last_occurred_us": at_us,
        "good": good, "scrap": scrap, "posting_id": posting_id("A", "m", "", number, "confirmation"),
    }  # fmt: skip
    return Confirmation.model_validate(told | fields)


told = st.lists(
    st.tuples(
        st.sampled_from([0, 1_000, 5_000, 9_000]),
        st.sampled_from([0, 0, 0, 1_000, 2_000]),
        st.integers(0, 90),
        st.sampled_from(["L1", "L2"]),
    ),
    max_size=25,
).map(lambda rows: [made(good, scrap, at, i, lot=lot) for i, (good, scrap, at, lot) in enumerate(rows)])


def run(confirmations, policy=POLICY, restarts=frozenset()):
    watch, kept, found = ScrapWatch(policy), {}, []
    for number, confirmation in enumerate(confirmations):
        found += [(number, breach) for breach in watch.take(confirmation, NOON_US + number)]
        if number in restarts:
            kept |= watch.parts()
            watch = ScrapWatch(policy)
            watch.load(kept)
            watch.wake(NOON_US + number)
    return found


def by_the_rule(confirmations, policy=POLICY):
    """The naive twin: looks through all that a lot was told, for each confirmation anew."""
    found, breached = [], {}
    for number, c in enumerate(confirmations):
        rows = [other for other in confirmations[: number + 1] if other.lot == c.lot and (other.good or other.scrap)]
        if not (c.good or c.scrap):
            continue
        newest_us = max(row.last_occurred_us for row in rows)
        rows = [row for row in rows if row.last_occurred_us > newest_us - policy.window_us]
        total, scrap = sum(row.good + row.scrap for row in rows), sum(row.scrap for row in rows)
        if not breached.get(c.lot) and total >= policy.quantity_min and scrap / total > policy.limit / 1000:
            breached[c.lot] = True
            found.append((number, c.lot, True))
        elif breached.get(c.lot) and total and scrap / total < (policy.limit - policy.hysteresis) / 1000:
            breached[c.lot] = False
            found.append((number, c.lot, False))
    return found


def lot_of(breach):
    return dict(breach.failure.concerns)["lot"]


@settings(max_examples=300, deadline=None)
@given(confirmations=told)
def test_the_naive_twin_finds_the_same_breaches(confirmations) -> None:
    found = [(number, lot_of(breach), breach.begins) for number, breach in run(confirmations)]
    assert found == by_the_rule(confirmations)


@settings(max_examples=200, deadline=None)
@given(confirmations=told, data=st.data())
def test_restarts_change_nothing_and_every_breach_has_ids_of_its_own(confirmations, data) -> None:
    restarts = data.draw(st.sets(st.integers(0, max(len(confirmations) - 1, 0))))
    found = run(confirmations, restarts=restarts)
    assert found == run(confirmations)
    ids = [command.command_id for _, breach in found for command in breach.commands]
    assert len(set(ids)) == len(ids) == 2 * sum(breach.begins for _, breach in found)


def test_a_breach_is_one_hold_and_one_stock_status_until_it_ends() -> None:
    rows = [made(9_000, 0), made(0, 2_000, 1, 1), made(0, 1_000, 2, 2), made(40_000, 0, 3, 3), made(0, 9_000, 4, 4)]
    (first, breach), (second, end), (third, again) = run(rows)
    assert (first, second, third) == (1, 3, 4)
    assert [c.kind for c in breach.commands] == [CommandKind.QUALITY_HOLD, CommandKind.STOCK_STATUS]
    hold, status = breach.commands
    assert (hold.plant, hold.order, hold.operation, hold.material, hold.lot) == ("A", "100", "0010", "SHAFT", "L1")
    assert status.stock_type is StockType.QUALITY
    assert hold.reason == "lot L1 of order 100: 2 of 11 H87 are scrap, the limit is 10 %"
    assert breach.failure.code is ExceptionCode.SCRAP_ABOVE_LIMIT
    assert breach.failure.cause == end.failure.cause == again.failure.cause
    assert {c.command_id for c in breach.commands}.isdisjoint(c.command_id for c in again.commands)


def test_ids_do_not_depend_on_which_confirmation_of_the_day_passed_the_limit() -> None:
    one, other = made(5_000, 1_000, 1, 1), made(5_000, 2_000, 2, 2)
    assert [c.command_id for c in run([one, other])[0][1].commands] == [
        c.command_id for c in run([other, one])[0][1].commands
    ]


def test_what_is_not_judged() -> None:
    assert run([made(0, 4_999)]) == []  # too little to judge
    assert run([made(9_000, 1_000)]) == []  # the limit itself
    assert run([made(9_000, 1_001)]) != []
    assert run([made(0, 9_000, revision=1)]) == []
    late = [made(50_000, 0, 60, 0), made(0, 9_000, 30, 1)]
    assert run(late) == []  # before the window


def test_bounds() -> None:
    few = replace(POLICY, rows_max=1)
    assert [number for number, _ in run([made(90_000, 0), made(0, 5_000, 1, 1)], few)] == [1]
    one = replace(POLICY, lots_max=1)
    rows = [made(0, 9_000), made(0, 9_000, 1, 1, lot="L2"), made(0, 9_000, 2, 2)]
    assert [lot_of(breach) for _, breach in run(rows, one)] == ["L1", "L2", "L1"]  # L1 had been forgotten
    watch = ScrapWatch(POLICY)
    watch.take(made(9_000, 0), NOON_US)
    assert watch.due_us() == NOON_US + POLICY.keep_us
    watch.parts()
    watch.wake(NOON_US + POLICY.keep_us)
    assert watch.due_us() is None
    assert list(watch.parts().values()) == [b""]
    with pytest.raises(AssertionError):
        ScrapPolicy(limit=10, hysteresis=10)
