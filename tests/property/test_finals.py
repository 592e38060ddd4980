"""Finals: every completed operation is ended once, when nothing has come for it for a while (M17, M41)."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts import Confirmation
from canonical.identity import posting_id
from dataflows.processors.posting.finals import Finals

WAIT_US = 100
STEP = st.tuples(
    st.integers(0, 60), st.sampled_from("XY"), st.sampled_from(["0010", "0020"]), st.booleans(), st.integers(0, 9)
)
"""Time that passes, then a confirmation of an order and operation, whether it completes it, when it happened."""


def confirmation(number: int, order: str, operation: str, final: bool, occurred_us: int) -> Confirmation:
    return Confirmation(
        posting_id=posting_id("A", "m1", "", number, "confirmation"), plant="A", source="m1", first_seq=number,
        last_seq=number, order=order, operation=operation, posting_date=date(2026, 11, 17), events=1,
        first_occurred_us=occurred_us, last_occurred_us=occurred_us, first_offset=number, last_offset=number,
        final=final, close_reason="complete" if final else "time",
    )  # fmt: skip


class Twin:
    """Every confirmation of an operation, looked at again each time."""

    def __init__(self) -> None:
        self.come: list[tuple[int, Confirmation]] = []
        self.ended: list[tuple[str, int]] = []

    def wake(self, now_us: int) -> None:
        for key in sorted({(c.order, c.operation) for _, c in self.come}):
            own = [(at, c) for at, c in self.come if (c.order, c.operation) == key]
            done = [c for _, c in own if c.final]
            due = max(at for at, _ in own) + WAIT_US
            if done and due <= now_us:
                last = max(done, key=lambda c: c.last_occurred_us)
                latest = [c for c in done if c.last_occurred_us == last.last_occurred_us][-1]
                self.ended.append((f"final:{latest.posting_id}", due))
                self.come = [(at, c) for at, c in self.come if (c.order, c.operation) != key]


@given(steps=st.lists(STEP, max_size=30), restarts=st.sets(st.integers(0, 30)))
def test_an_operation_is_ended_when_nothing_has_come_for_a_while(steps: list, restarts: set[int]) -> None:
    finals, twin, now_us = Finals(WAIT_US, 100), Twin(), 0
    found: list[str] = []
    parts: dict[str, bytes] = {}
    for number, (wait_us, order, operation, final, occurred_us) in enumerate([*steps, (1_000, "Z", "0010", False, 0)]):
        now_us += wait_us
        found += [draft.cause for draft in finals.wake(now_us)]
        twin.wake(now_us)
        assert sorted(found) == sorted(cause for cause, _ in twin.ended)
        told = confirmation(number, order, operation, final, occurred_us)
        assert finals.take(told, now_us) == []
        twin.come.append((now_us, told))
        parts = {name: part for name, part in {**parts, **finals.parts()}.items() if part}
        if number in restarts:
            finals = Finals(WAIT_US, 100)
            finals.load(parts)
    assert finals.due_us() is None, "after so long nothing waits"


def test_what_ends_an_operation_has_no_quantities() -> None:
    finals = Finals(WAIT_US, 1)
    assert finals.take(confirmation(1, "X", "0010", True, 5), 0) == []
    (ended,) = finals.take(confirmation(2, "Y", "0010", True, 7), 1)  # there is room for one
    assert (ended.order, ended.final, ended.good, ended.scrap, ended.end_us) == ("X", True, 0, 0, 5)
    assert finals.wake(100) == []
    (ended,) = finals.wake(101)
    assert (ended.order, ended.start_us, ended.causes) == ("Y", 7, (str(posting_id("A", "m1", "", 2, "confirmation")),))
