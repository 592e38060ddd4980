"""Documents: what passed the checks becomes a posting, and what follows from one becomes a draft of its own.

Law: a posting's id and content are functions of what is posted and why; only its number tells of others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import orjson

from canonical.contracts import Lane, Movement, Posting, PostingKind, StockType
from canonical.identity import document_name
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.verdict import Ready

RECEIPT: Final = "101"
TO_UNRESTRICTED: Final = "321"
_K: Final = PostingKind


class Made(NamedTuple):
    """A posting that was made: what it is known by, its JSON, and when all it accounts for was known."""

    posting_id: str
    kind: PostingKind
    erp: str
    lane: Lane
    plant: str
    order: str
    number: int
    end_us: int
    correlation_id: str
    value: bytes
    known_us: int


def made(ready: Ready, number: int, lane: Lane, known_us: int) -> Made:
    """Return the posting of what passed the checks; its JSON is that of a ``Posting``, which a test sees to."""
    draft = ready.draft
    name = document_name(draft.plant, draft.cause, draft.kind, draft.operation)
    fields = {
        "posting_id": name,
        "kind": draft.kind,
        "erp": ready.erp,
        "lane": lane,
        "plant": draft.plant,
        "erp_plant": ready.erp_plant,
        "order": draft.order,
        "number": number,
        "operation": draft.operation,
        "work_center": draft.work_center,
        "material": draft.material,
        "lot": draft.lot,
        "reason": draft.reason,
        "unit": draft.unit,
        "shift": draft.shift,
        "posting_date": ready.posting_date,
        "document_date": draft.document_date,
        "good": draft.good,
        "scrap": draft.scrap,
        "rework": draft.rework,
        "setup_us": draft.setup_us,
        "machine_us": draft.machine_us,
        "labour_us": draft.labour_us,
        "start_us": draft.start_us,
        "end_us": draft.end_us,
        "final": draft.final,
        "movements": [movement.model_dump() for movement in draft.movements],
        "reverses": draft.reverses,
        "causes": draft.causes,
        "correlation_id": draft.correlation_id,
    }
    # A copy, as what orjson returns keeps the room it was written in.
    value = bytes(memoryview(orjson.dumps(fields)))
    return Made(
        posting_id=name,
        kind=draft.kind,
        erp=ready.erp,
        lane=lane,
        plant=draft.plant,
        order=draft.order,
        number=number,
        end_us=draft.end_us,
        correlation_id=draft.correlation_id,
        value=value,
        known_us=known_us,
    )


def receipt(ready: Ready, lane: Lane) -> Draft:
    """Return the receipt of what the last operation has yielded (M19)."""
    assert ready.received is not None
    draft = ready.draft
    movement = Movement(
        movement_type=RECEIPT,
        material=draft.material,
        lot=draft.lot,
        quantity=draft.good,
        unit=draft.unit,
        storage_location=ready.received.storage_location,
    )
    return _moving(draft, _K.GOODS_RECEIPT, lane, movement)


def to_unrestricted(received: Draft, lane: Lane) -> Draft:
    """Return the transfer of a receipt in quality stock, once its lot is released."""
    (movement,) = received.movements
    away = movement.model_copy(
        update={
            "movement_type": TO_UNRESTRICTED,
            "stock_type": StockType.QUALITY,
            "to_storage_location": movement.storage_location,
            "to_stock_type": StockType.UNRESTRICTED,
        }
    )
    return _moving(received, _K.STOCK_TRANSFER, lane, away)


def reversal(before: Posting, lane: Lane) -> Draft:
    """Return what takes a posting back (M30)."""
    return Draft(
        cause=str(before.posting_id),
        kind=_K.REVERSAL,
        lane=lane,
        plant=before.plant,
        document_date=before.document_date,
        start_us=before.start_us,
        end_us=before.end_us,
        order=before.order,
        operation=before.operation,
        work_center=before.work_center,
        material=before.material,
        lot=before.lot,
        reason=before.reason,
        unit=before.unit,
        shift=before.shift,
        good=before.good,
        scrap=before.scrap,
        rework=before.rework,
        setup_us=before.setup_us,
        machine_us=before.machine_us,
        labour_us=before.labour_us,
        movements=tuple(
            movement.model_copy(update={"movement_type": str(int(movement.movement_type) + 1)})
            for movement in before.movements
        ),
        reverses=str(before.posting_id),
        causes=before.causes,
        correlation_id=before.correlation_id,
    )


def _moving(draft: Draft, kind: PostingKind, lane: Lane, movement: Movement) -> Draft:
    """Return a draft that moves what another made, and nothing else."""
    return replace(
        draft,
        kind=kind,
        lane=lane,
        movements=(movement,),
        reason="",
        scrap=0,
        rework=0,
        setup_us=0,
        machine_us=0,
        labour_us=0,
        final=False,
    )
