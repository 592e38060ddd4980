"""Moves between bins become transfers between places and stock types, or nothing (M13)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts import BinReference, Event, ExceptionCode, PostingKind, StockType
from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.moves import MOVEMENT_TYPES, moved, placed
from dataflows.processors.posting.reference_book import ReferenceBook

NOON_US = 1_772_539_200_000_000
CALENDARS = Calendars({"A": ShiftCalendar("Europe/Berlin", (ShiftPolicy(name="day", start="06:00", end="22:00"),))})
U, Q, B = StockType.UNRESTRICTED, StockType.QUALITY, StockType.BLOCKED


def move(**fields: object) -> Event:
    told = {"plant": "A", "source": "wms", "material": "STEEL", "lot": "L1", "unit": "KGM", "quantity": 1_500}
    bins = {"from_bin": "B-1", "to_bin": "B-2", "handling_unit": "LPN-1"}
    return Event.model_validate({"type": "move", "occurred_us": NOON_US, **told, **bins, **fields})


def book(*places: tuple[str, str, StockType]) -> ReferenceBook:
    found = ReferenceBook(100)
    for name, location, stock_type in places:
        record = BinReference(plant="A", bin=name, storage_location=location, stock_type=stock_type, changed_us=0)
        found.tell(record, NOON_US)
    return found


def drafted(**fields: object) -> Draft:
    draft = moved(move(**fields), "e1", CALENDARS)
    assert draft is not None
    return draft


def test_a_draft_keeps_the_bins_until_it_is_posted() -> None:
    draft = drafted()
    assert (draft.cause, draft.kind, draft.causes, draft.shift) == (
        "move/e1", PostingKind.STOCK_TRANSFER, ("e1",), "day",
    )  # fmt: skip
    assert (draft.movements[0].storage_location, draft.movements[0].to_storage_location) == ("B-1", "B-2")
    assert draft.correlation_id == "LPN-1"
    assert drafted(correlation_id="c").correlation_id == "c"
    assert moved(move(quantity=0), "e1", CALENDARS) is None


@pytest.mark.parametrize(
    ("source", "target", "movement_type"),
    [
        (("S1", U), ("S2", U), "311"),
        (("S1", Q), ("S2", Q), "323"),
        (("S1", B), ("S2", B), "325"),
        (("S1", Q), ("S1", U), "321"),
        (("S1", Q), ("S2", U), "321"),
        (("S1", U), ("S1", Q), "322"),
        (("S1", B), ("S1", U), "343"),
        (("S1", U), ("S2", B), "344"),
        (("S1", B), ("S1", Q), "349"),
        (("S1", Q), ("S1", B), "350"),
        (("S1", U), ("S1", U), None),
        (("S1", Q), ("S1", Q), None),
    ],
)
def test_places_decide_on_the_movement_type(source, target, movement_type) -> None:
    found = placed(drafted(), book(("B-1", *source), ("B-2", *target)))
    if movement_type is None:
        assert found is None
        return
    assert isinstance(found, Draft)
    (line,) = found.movements
    assert line.movement_type == movement_type
    assert (line.storage_location, line.stock_type, line.to_storage_location, line.to_stock_type) == (*source, *target)
    assert (line.material, line.lot, line.quantity, line.unit) == ("STEEL", "L1", 1_500, "KGM")


def test_every_pair_of_stock_types_has_a_type_and_none_is_309() -> None:
    assert set(MOVEMENT_TYPES) == set(itertools.product(StockType, repeat=2))
    assert "309" not in MOVEMENT_TYPES.values()


@pytest.mark.parametrize(("known", "missing"), [((), "B-1"), (("B-1",), "B-2"), (("B-2",), "B-1")])
def test_a_bin_that_is_not_known_is_waited_for(known, missing) -> None:
    found = placed(drafted(), book(*((name, name, U) for name in known)))
    assert isinstance(found, Failure)
    assert found.code is ExceptionCode.BIN_UNMAPPED
    assert dict(found.concerns) == {"plant": "A", "item": missing}


@given(
    places=st.dictionaries(
        st.sampled_from(["B-1", "B-2"]), st.tuples(st.sampled_from("12"), st.sampled_from(StockType))
    ),
    data=st.data(),
)
def test_reference_data_may_come_in_any_order(places, data) -> None:
    told = data.draw(st.permutations([(name, *place) for name, place in places.items()]))
    assert placed(drafted(), book(*told)) == placed(
        drafted(), book(*((name, *place) for name, place in places.items()))
    )
