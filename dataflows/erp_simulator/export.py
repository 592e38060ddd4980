"""An ERP's documents as an audit takes them (``sinks.audit.erp_documents``): JSON lines, one for each line."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import Document, DocumentKind
from dataflows.erp_simulator.movement_types import FORWARD

EXPORTED: Final = (DocumentKind.CONFIRMATION, DocumentKind.GOODS_MOVEMENT, DocumentKind.ACTIVITY)


def exported(book: Book, erp: str) -> bytes:
    """Return what was booked of production: what was confirmed, what was moved, and times."""
    rows = (row for document in book.documents if document.kind in EXPORTED for row in _rows(document, erp))
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _rows(document: Document, erp: str) -> Iterator[dict[str, Any]]:
    common = {
        "erp": erp,
        "document": document.number,
        "posting_id": _posting_id(document),
        "order": document.order,
        "operation": document.operation,
        "reverses": document.reverses,
        "belongs_to": document.cause,
    }
    if document.kind is DocumentKind.ACTIVITY:
        yield common
    elif document.kind is DocumentKind.CONFIRMATION:
        made = {"good": document.yield_quantity, "scrap": document.scrap_quantity, "rework": document.rework_quantity}
        yield common | {name: _units(quantity) for name, quantity in made.items()}
    for line in document.lines:
        quantity = line.entry_quantity if line.movement_type in FORWARD else -line.entry_quantity
        yield common | {"material": line.material, "lot": line.lot, "quantity": _units(quantity)}


def _units(thousandths: int) -> str:
    return str(Decimal(thousandths).scaleb(-3))


def _posting_id(document: Document) -> str:
    """Return the id that a document carries: in full, or as the request that made it, which is its hexadecimal form."""
    for text in (document.external_id, document.request_id):
        try:
            return str(UUID(text[:36]))
        except ValueError:
            continue
    return ""
