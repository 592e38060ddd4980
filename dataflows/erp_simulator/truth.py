"""What an ERP's documents amount to, for comparison with the truth. Quantities in thousandths."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import DocumentKind


def document_row(book: Book, number: int) -> dict[str, Any]:
    """Return a document with its place in the order of acceptance (from 1) and what reversed it."""
    document = book.documents[number]
    return {
        "number_of_acceptance": number + 1,
        **asdict(document),
        "reversed_by": book.reversed_by.get(document.number, ""),
    }


def totals(book: Book) -> dict[str, Any]:
    """Return net sums: confirmed by order and operation; received and issued by order, and by lot."""
    operations: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(
        lambda: {"yield": 0, "scrap": 0, "rework": 0}
    )
    for (order, operation, made), quantity in book.confirmed.items():
        operations[order, operation][made] = quantity
    lots: Counter[tuple[str, str, str]] = Counter()
    for document in book.documents:
        for line in document.lines:
            if line.lot:
                forward = (
                    line.movement_type if line.movement_type in types.FORWARD else types.reversal(line.movement_type)
                )
                lots[line.material, line.lot, forward] += types.order_effect(line)
    return {
        "documents": Counter(document.kind.value for document in book.documents),
        "operations": [
            {"order": order, "operation": operation, **made} for (order, operation), made in sorted(operations.items())
        ],
        "received": [{"order": order, "quantity": q} for order, q in sorted(book.received.items())],
        "issued": [{"order": o, "material": m, "quantity": q} for (o, m), q in sorted(book.withdrawn.items())],
        "lots": [
            {"material": m, "lot": lot, "movement_type": t, "quantity": q} for (m, lot, t), q in sorted(lots.items())
        ],
    }


def stocks(book: Book) -> list[dict[str, Any]]:
    """Return every stock that is not zero."""
    return [
        {
            "material": material,
            "plant": plant,
            "storage_location": location,
            "lot": lot,
            "stock_type": stock_type,
            "quantity": quantity,
        }
        for (material, plant, location, lot, stock_type), quantity in sorted(book.stocks.items())
        if quantity
    ]


def duplicates(book: Book) -> dict[str, Any]:
    """Return external ids and request ids under which more is booked than one posting.

    What was taken back under the same id, where a protocol takes back by quantity, is booked no more.
    """

    def twice(index: dict[str, list[int]]) -> dict[str, list[str]]:
        found = {}
        for key, numbers in index.items():
            parts: Counter[tuple[DocumentKind, bool, str]] = Counter()
            for document in (book.documents[number] for number in numbers):
                if document.kind is not DocumentKind.ORDER_STATUS:
                    part = (document.kind, bool(document.reverses), document.details.get("part", ""))
                    parts[part] += -1 if document.details.get("back") else 1
            if any(abs(count) > 1 for count in parts.values()):
                found[key] = [book.documents[n].number for n in numbers]
        return found

    return {"external_ids": twice(book.by_external), "request_ids": twice(book.by_request)}
