"""Moves: what the warehouse system moved between bins, as transfers between the ERP's places and stock types.

Laws: a move is one transfer of the whole quantity, or nothing where both bins stand for one place and stock type. The
transfer depends on the move and on the bins in force when it happened. The material stays the material: 309 is never
posted.

A move keeps its bins until it is posted, so that reference data may come later.

    draft = moves.moved(event, event_id, calendars)      in the plant's words; None where no quantity is concerned
    found = moves.placed(draft, book)                    in the ERP's words; None: nothing to post; or what is missing

Source: M13; DOMAIN 3.7 (movement types).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from canonical.contracts import Event, EventType, Lane, Movement, PostingKind, StockType
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.components import bin_unmapped
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.reference_book import ReferenceBook

_U, _Q, _B = StockType.UNRESTRICTED, StockType.QUALITY, StockType.BLOCKED
MOVEMENT_TYPES: Final[Mapping[tuple[StockType, StockType], str]] = {
    (_U, _U): "311",
    (_Q, _Q): "323",
    (_B, _B): "325",
    (_Q, _U): "321",
    (_U, _Q): "322",
    (_B, _U): "343",
    (_U, _B): "344",
    (_B, _Q): "349",
    (_Q, _B): "350",
}
"""Of a transfer from one stock type to another; the storage location may change with any of them."""


def moved(event: Event, event_id: str, calendars: Calendars) -> Draft | None:
    """Return what an event of type move asks to be posted, its bins where storage locations will be."""
    assert event.type is EventType.MOVE, event.type
    if not event.quantity:
        return None
    shift, day = calendars.day(event.plant, event.occurred_us)
    movement = Movement(
        movement_type="",
        material=event.material,
        lot=event.lot,
        quantity=event.quantity,
        unit=event.unit,
        storage_location=event.from_bin,
        to_storage_location=event.to_bin,
    )
    return Draft(
        cause=f"move/{event_id}",
        kind=PostingKind.STOCK_TRANSFER,
        lane=Lane.STANDARD,
        plant=event.plant,
        document_date=day,
        start_us=event.occurred_us,
        end_us=event.occurred_us,
        material=event.material,
        lot=event.lot,
        unit=event.unit,
        shift=shift,
        movements=(movement,),
        causes=(event_id,),
        correlation_id=event.correlation_id or event.handling_unit,
    )


def placed(draft: Draft, book: ReferenceBook) -> Draft | Failure | None:
    """Return the transfer between the places that its bins stand for; None where they stand for the same."""
    (movement,) = draft.movements
    source = book.bin(draft.plant, movement.storage_location, draft.end_us)
    if source is None:
        return bin_unmapped(draft, movement.storage_location)
    target = book.bin(draft.plant, movement.to_storage_location, draft.end_us)
    if target is None:
        return bin_unmapped(draft, movement.to_storage_location)
    if (source.storage_location, source.stock_type) == (target.storage_location, target.stock_type):
        return None
    transfer = movement.model_copy(
        update={
            "movement_type": MOVEMENT_TYPES[source.stock_type, target.stock_type],
            "storage_location": source.storage_location,
            "stock_type": source.stock_type,
            "to_storage_location": target.storage_location,
            "to_stock_type": target.stock_type,
        }
    )
    return replace(draft, movements=(transfer,))
