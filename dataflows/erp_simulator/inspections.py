"""Inspection lots: their usage decision, and what leaves quality stock because of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from dataflows.erp_simulator import validation as check
from dataflows.erp_simulator.document import Document, DocumentKind, Line
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.posting import Decision, GoodsMovement, Movement
from dataflows.erp_simulator.refusal import Code, Refused


def decide(erp: Erp, asked: Decision, day: date, now_us: int) -> Document:
    """Book the usage decision for an inspection lot; stock is posted apart (``post_inspected``).

    Raises: Refused.
    """
    line = _inspected(erp, asked.inspection_lot)
    if asked.inspection_lot in erp.book.decisions:
        raise Refused(Code.DECIDED_ALREADY, lot=asked.inspection_lot)
    document = Document(
        number=f"UD/{asked.inspection_lot}",
        kind=DocumentKind.USAGE_DECISION,
        posting_date=day.isoformat(),
        accepted_us=now_us,
        order=line.order,
        plant=line.plant,
        material=line.material,
        lot=asked.inspection_lot,
        request_id=asked.request_id,
        details={"accepted": asked.accepted, "batch": line.lot, **asked.details},
    )
    erp.book.record("document", document)
    return document


def post_inspected(
    erp: Erp, inspection_lot: str, movement_type: str, asked: Movement, posting: GoodsMovement, now_us: int
) -> Document:
    """Book the stock of a decided inspection lot out of quality stock; ``asked`` says how much of it.

    Raises: Refused.
    """
    line = _inspected(erp, inspection_lot)
    if inspection_lot not in erp.book.decisions:
        raise Refused(Code.NOT_DECIDED, lot=inspection_lot)
    movement = replace(
        asked,
        movement_type=movement_type,
        material=line.material,
        plant=line.plant,
        storage_location=line.storage_location,
        lot=line.lot,
    )
    check.period_open(erp.book.data, posting.posting_date)
    lines = (replace(check.line(1, movement, erp.register, erp.book, now_us), inspection_lot=inspection_lot),)
    taken = erp.book.inspected[inspection_lot] + lines[0].quantity
    if taken > line.quantity:
        raise Refused(
            Code.STOCK_MISSING,
            quantity=check.amount(taken - line.quantity),
            unit=line.unit,
            material=line.material,
            plant=line.plant,
            storage_location=line.storage_location,
            lot=line.lot,
        )
    check.stock_there(erp.book.data, lines, erp.book)
    return erp.post(lines, now_us, posting)


def _inspected(erp: Erp, inspection_lot: str) -> Line:
    if inspection_lot not in erp.book.inspections:
        raise Refused(Code.INSPECTION_LOT_UNKNOWN, lot=inspection_lot)
    number, item = erp.book.inspections[inspection_lot]
    return erp.book.documents[erp.book.by_number[number]].lines[item - 1]
