"""Consumption gathers to the thousandth, however its calls are cut (M18); the bill of material decides on lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import (
    BinReference,
    Event,
    ExceptionCode,
    OrderComponent,
    OrderReference,
    OrderStatus,
    StockType,
)
from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.components import component_unknown, issue, taken_from
from dataflows.processors.posting.consumption import Consumption, ConsumptionPolicy
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.reference_book import ReferenceBook
from dataflows.processors.state import StateVersionUnknown
from tests.property import twin_consumption

MINUTE_US = 60_000_000
NOON_US = 1_772_539_200_000_000
POLICY = ConsumptionPolicy(window_us=5 * MINUTE_US, settle_us=MINUTE_US)
SHIFTS = (ShiftPolicy(name="early", start="06:00", end="14:00"), ShiftPolicy(name="late", start="14:00", end="22:00"))
CALENDARS = Calendars({"A": ShiftCalendar("Europe/Berlin", SHIFTS)})


def used(quantity: int = 1_000, minute: int = 0, **fields: object) -> Event:
    told = {"plant": "A", "order": "100", "operation": "0010", "material": "STEEL", "lot": "L1", "unit": "KGM"} | fields
    return Event.model_validate(
        {
            "source": "scale",
            "type": "consume",
            "occurred_us": NOON_US + minute * MINUTE_US,
            "quantity": quantity,
            **told,
        }
    )


events = st.builds(
    used,
    st.sampled_from([0, 1, 5, 1_000, 999_999]),
    st.integers(-90, 90),
    order=st.sampled_from(["100", "200"]),
    operation=st.sampled_from(["0010", "0020"]),
    material=st.sampled_from(["STEEL", "OIL"]),
    lot=st.sampled_from(["L1", ""]),
    from_bin=st.sampled_from(["", "B-1"]),
    correlation_id=st.sampled_from(["", "c1", "c2"]),
)
steps = st.lists(st.tuples(st.integers(0, 3), events | events | events | st.sampled_from(["100", "200"])), max_size=30)
"""Minutes to wait, then an event, or the order that ends."""


def run(steps, policy, wakes=frozenset(), restarts=frozenset()):
    """Return every draft, when nothing more comes; wake and restart after the steps that say so."""
    consumption, kept, drafts, now_us = Consumption(policy, CALENDARS), {}, [], NOON_US
    for number, (wait, what) in enumerate(steps):
        before_us, now_us = now_us, now_us + wait * MINUTE_US
        if number in wakes:
            for at_us in range(before_us, now_us + 1, MINUTE_US // 2):
                drafts += consumption.wake(at_us)
        if isinstance(what, str):
            drafts += consumption.end("A", what, now_us)
        else:
            drafts += consumption.take(what, f"e{number:03d}", now_us)
        if number in restarts:
            kept |= consumption.parts()
            consumption = Consumption(policy, CALENDARS)
            consumption.load(kept)
    while (due_us := consumption.due_us()) is not None:
        drafts += consumption.wake(due_us)
    kept |= consumption.parts()
    assert not any(kept.values()), "what is drafted leaves no state"
    return sorted(drafts, key=lambda draft: draft.cause)


def lines(drafts):
    quantities = Counter()
    for draft in drafts:
        for movement, operation in zip(draft.movements, draft.movement_operations, strict=True):
            m = movement
            quantities[draft.order, operation, m.material, m.lot, m.unit, m.storage_location] += m.quantity
    return quantities


@settings(max_examples=150, deadline=None)
@given(steps=steps, limit=st.sampled_from([10**12, 1_500, 1]), events_max=st.sampled_from([5_000, 3]))
def test_the_naive_twin_makes_the_same_documents(steps, limit, events_max) -> None:
    policy = replace(POLICY, line_quantity_max=limit, events_max=events_max)
    told, now_us = [], NOON_US
    for number, (wait, what) in enumerate(steps):
        now_us += wait * MINUTE_US
        told.append((what, f"e{number:03d}", now_us))
    expected = twin_consumption.documents(told, policy, lambda event: CALENDARS.day("A", event.occurred_us)[::-1])
    found = {
        draft.causes: (
            draft.plant, draft.order, draft.document_date, draft.shift,
            {(operation, m.material, m.lot, m.unit, m.storage_location): m.quantity
             for m, operation in zip(draft.movements, draft.movement_operations, strict=True)},
            draft.start_us, draft.end_us,
        )
        for draft in run(steps, policy)
    }  # fmt: skip
    assert found == expected


@settings(max_examples=150, deadline=None)
@given(steps=steps, data=st.data())
def test_calls_between_and_restarts_change_nothing(steps, data) -> None:
    some = st.sets(st.integers(0, max(len(steps) - 1, 0)))
    policy = replace(
        POLICY, line_quantity_max=data.draw(st.sampled_from([10**12, 1_500])), documents_max=3, lines_max=3
    )
    assert run(steps, policy, data.draw(some), data.draw(some)) == run(steps, policy)


@settings(max_examples=100, deadline=None)
@given(steps=steps, limit=st.sampled_from([10**12, 2_000]))
def test_what_was_told_is_what_is_drafted_and_what_waits(steps, limit) -> None:
    consumption, now_us, told, drafts = (
        Consumption(replace(POLICY, line_quantity_max=limit), CALENDARS),
        NOON_US,
        Counter(),
        [],
    )
    for number, (wait, what) in enumerate(steps):
        now_us += wait * MINUTE_US
        if isinstance(what, str):
            drafts += consumption.end("A", what, now_us)
            continue
        drafts += consumption.take(what, f"e{number}", now_us)
        told[what.order, what.operation, what.material, what.lot, what.unit, what.from_bin] += what.quantity
        waiting = Counter()
        for order in ("100", "200"):
            for line, quantity in consumption.waiting("A", order).items():
                waiting[order, *line] += quantity
        assert lines(drafts) + waiting == +told


def test_lines_of_one_order_are_one_document_and_shifts_are_not() -> None:
    consumption = Consumption(POLICY, CALENDARS)
    for number, event in enumerate((used(), used(500, material="OIL"), used(7, operation="0020"), used(1, 70))):
        assert consumption.take(event, f"e{number}", NOON_US + number) == []
    assert consumption.due_us() == NOON_US + POLICY.window_us
    first, second = sorted(consumption.wake(NOON_US + POLICY.window_us + 9), key=lambda draft: len(draft.movements))
    assert (first.shift, first.operation, [m.quantity for m in first.movements]) == ("late", "0010", [1])
    assert (second.shift, second.operation, second.cause) == ("early", "", "consumption/e0")
    assert [(m.material, m.quantity, m.movement_type) for m in second.movements] == [
        ("OIL", 500, ""), ("STEEL", 1_000, ""), ("STEEL", 7, ""),
    ]  # fmt: skip
    assert second.movement_operations == ("0010", "0010", "0020")


def test_the_end_of_an_order_takes_what_comes_just_after_it() -> None:
    consumption = Consumption(POLICY, CALENDARS)
    consumption.take(used(), "e1", NOON_US)
    assert consumption.end("A", "100", NOON_US + 10) == []
    assert consumption.take(used(), "e2", NOON_US + 20) == []
    (draft,) = consumption.wake(NOON_US + 10 + POLICY.settle_us)
    assert draft.causes == ("e1", "e2")


def test_a_line_never_exceeds_what_a_movement_may_hold() -> None:
    consumption = Consumption(replace(POLICY, line_quantity_max=10**16), CALENDARS)
    consumption.take(used(10**15 - 1), "e1", NOON_US)
    (full,) = consumption.take(used(2), "e2", NOON_US)
    assert [m.quantity for m in full.movements] == [10**15 - 1]
    assert consumption.take(used(0), "e3", NOON_US) == []


def test_as_many_events_as_a_document_may_have_are_one_at_once() -> None:
    consumption = Consumption(replace(POLICY, events_max=3), CALENDARS)
    drafts = [draft for number in range(7) for draft in consumption.take(used(), f"e{number}", NOON_US)]
    assert [draft.causes for draft in drafts] == [("e0", "e1", "e2"), ("e3", "e4", "e5")]


def test_as_many_lines_as_a_document_may_have_are_one_at_once() -> None:
    consumption = Consumption(replace(POLICY, lines_max=2), CALENDARS)
    drafts = [draft for lot in ("L1", "L2", "L3") for draft in consumption.take(used(lot=lot), lot, NOON_US)]
    assert [draft.causes for draft in drafts] == [("L1", "L2")]


def test_a_bound_makes_drafts_early_and_loses_nothing() -> None:
    consumption = Consumption(replace(POLICY, documents_max=1), CALENDARS)
    consumption.take(used(), "e1", NOON_US)
    (early,) = consumption.take(used(order="200"), "e2", NOON_US)
    assert (early.order, early.causes) == ("100", ("e1",))


def test_a_state_of_a_later_release_is_refused() -> None:
    consumption = Consumption(POLICY, CALENDARS)
    consumption.take(used(), "e1", NOON_US)
    ((name, part),) = consumption.parts().items()
    assert part.startswith(b"[1,")
    with pytest.raises(StateVersionUnknown, match="has version 2, this release knows 1 to 1"):
        Consumption(POLICY, CALENDARS).load({name: part.replace(b"[1,", b"[2,", 1)})


# --- the bill of material -------------------------------------------------------------------------


def component(item: str, material: str, operation: str = "", **fields: object) -> OrderComponent:
    told = {"quantity": 5_000, "unit": "KGM", "reservation": "77", "storage_location": "RAW"} | fields
    return OrderComponent.model_validate({"item": item, "material": material, "operation": operation, **told})


def order(*components: OrderComponent) -> OrderReference:
    return OrderReference(
        erp="S", plant="A", order="100", status=OrderStatus.RELEASED, changed_us=0, components=components
    )


def drafted(*events: Event):
    consumption = Consumption(POLICY, CALENDARS)
    for number, event in enumerate(events):
        consumption.take(event, f"e{number}", NOON_US)
    (draft,) = consumption.wake(NOON_US + POLICY.window_us)
    return draft


@settings(max_examples=100, deadline=None)
@given(
    told=st.lists(events.filter(lambda event: event.quantity and event.order == "100"), min_size=1, max_size=8),
    bill=st.lists(
        st.builds(component, st.sampled_from("1234"), st.sampled_from(["STEEL", "OIL"]), st.sampled_from(["", "0020"]),
                  backflush=st.booleans()), max_size=4),
)  # fmt: skip
def test_every_line_is_issued_or_backflushed_or_unknown(told, bill) -> None:
    consumption = Consumption(replace(POLICY, window_us=1), CALENDARS)
    drafts = [draft for n, event in enumerate(told) for draft in consumption.take(event, f"e{n}", NOON_US)]
    for draft in drafts + consumption.wake(NOON_US + 1):
        found = issue(draft, tuple(bill))
        plain = Counter()
        for movement in (*found.movements, *found.backflushed, *found.unknown):
            plain[movement.material, movement.lot, movement.unit] += movement.quantity
        expected = Counter()
        for movement in draft.movements:
            expected[movement.material, movement.lot, movement.unit] += movement.quantity
        assert plain == expected
        marked = {c.item: c.backflush for c in bill}
        if len(marked) == len(bill):
            assert not any(marked[movement.reservation_item] for movement in found.movements)
        assert [c.item for c in found.planned] == [m.reservation_item for m in found.movements]


def test_a_backflushed_component_is_never_issued_and_what_is_unknown_is_told() -> None:
    bill = order(
        component("1", "STEEL", "0010"), component("2", "STEEL", "0020"), component("3", "OIL", backflush=True)
    )
    draft = drafted(used(), used(7, operation="0020"), used(9, material="OIL"), used(4, material="GOLD"))
    found = issue(draft, bill.components)
    assert [(m.movement_type, m.reservation, m.reservation_item, m.quantity) for m in found.movements] == [
        ("261", "77", "1", 1_000), ("261", "77", "2", 7),
    ]  # fmt: skip
    assert [m.material for m in found.backflushed] == ["OIL"]
    assert [m.material for m in found.unknown] == ["GOLD"]
    assert found.planned == bill.components[:2]
    failure = component_unknown(draft, found.unknown[0])
    assert failure.code is ExceptionCode.COMPONENT_UNKNOWN
    assert dict(failure.concerns) == {"plant": "A", "order": "100", "material": "GOLD"}


def test_a_material_of_several_items_is_of_its_operation_else_of_any_else_of_the_first() -> None:
    bill = order(component("1", "STEEL", "0030"), component("2", "STEEL"), component("3", "STEEL", "0010"))
    assert issue(drafted(used()), bill.components).planned[0].item == "3"
    assert issue(drafted(used(operation="0099")), bill.components).planned[0].item == "2"
    assert issue(drafted(used(operation="0099")), (component("1", "STEEL", "0030"),)).planned[0].item == "1"


def test_a_line_is_taken_from_the_bin_it_names_else_from_where_its_item_is_planned() -> None:
    book = ReferenceBook(10)
    draft = drafted(used(from_bin="B-1"), used(5, material="OIL"), used(6, material="GOLD"))
    found = issue(draft, (component("1", "STEEL"), component("2", "OIL")))
    missing = taken_from(draft, found, book)
    assert isinstance(missing, Failure)
    assert missing.code is ExceptionCode.BIN_UNMAPPED
    assert dict(missing.concerns) == {"plant": "A", "item": "B-1"}
    place = BinReference(plant="A", bin="B-1", storage_location="LINE", stock_type=StockType.BLOCKED, changed_us=0)
    book.tell(place, NOON_US)
    taken = taken_from(draft, found, book)
    assert not isinstance(taken, Failure)
    assert [(m.material, m.storage_location, m.stock_type) for m in taken.movements] == [
        ("OIL", "RAW", "unrestricted"), ("STEEL", "LINE", "blocked"), ("GOLD", "", "unrestricted"),
    ]  # fmt: skip
