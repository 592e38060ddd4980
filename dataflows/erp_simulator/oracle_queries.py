"""What can be read of Oracle: work orders, completed inventory transactions, and a history of work order transactions.

The history stands for a resource of one's own: Oracle ships one for maintenance orders only.
Source: DOMAIN 3.8; Oracle's REST API for SCM (q, limit, offset; inventoryCompletedTransactions).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from dataflows.erp_simulator.document import DocumentKind
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.master_data import Order
from dataflows.erp_simulator.refusal import Code, Refused

_CONDITION: Final = re.compile(r"\s*(\w+)\s*=\s*[\"']?([^\"';]*)[\"']?\s*")
_LIMIT_MAX: Final = 500
TRANSFER: Final = "Subinventory Transfer"


def conditions(call: Call) -> dict[str, str]:
    """Return the conditions of ``q``: ``Name=value`` joined by ``;``, and nothing else.

    Raises: Refused.
    """
    wanted: dict[str, str] = {}
    for part in filter(None, call.query.get("q", "").split(";")):
        if not (found := _CONDITION.fullmatch(part)):
            raise Refused(Code.FIELD_WRONG, field="q", reason="only Name=value joined by ';' is supported")
        wanted[found[1]] = found[2]
    return wanted


def collection(call: Call, rows: Iterable[Row]) -> Answer:
    """Return the page that is asked for of the rows that fulfil ``q``; a name that they have not is refused."""
    wanted = conditions(call)
    found = []
    for row in rows:
        if unknown := wanted.keys() - row.keys():
            raise Refused(Code.FIELD_WRONG, field="q", reason=f"attribute {min(unknown)} is not known")
        if all(str(row[name]) == value for name, value in wanted.items()):
            found.append(row)
    offset, limit = call.number("offset", 0), min(call.number("limit", 25), _LIMIT_MAX)
    page = found[offset : offset + limit]
    more = offset + limit < len(found)
    return Answer.of({"items": page, "count": len(page), "hasMore": more, "limit": limit, "offset": offset})


def history(erp: Erp, call: Call) -> Iterator[Row]:
    """Yield the details that were booked with a TransactionNote, oldest first."""
    note = conditions(call).get("TransactionNote")
    if note is None:
        raise Refused(Code.FIELD_WRONG, field="q", reason="TransactionNote is mandatory")
    for number in erp.book.by_external.get(note, ()):
        document = erp.book.documents[number]
        if "fields" in document.details:
            yield {**document.details["fields"], "TransactionId": document.number, "TransactionNote": note}


def completed(erp: Erp, call: Call) -> Iterator[Row]:
    """Yield inventory transactions; those of one reference, where it is asked for."""
    book = erp.book
    reference = conditions(call).get("Reference")
    numbers = range(len(book.documents)) if reference is None else book.by_external.get(reference, ())
    for document in (book.documents[number] for number in numbers):
        if document.kind is not DocumentKind.GOODS_MOVEMENT:
            continue
        for line in document.lines:
            yield {
                "TransactionId": document.number,
                "OrganizationCode": line.plant,
                "ItemNumber": line.material,
                "TransactionType": document.details.get("fields", {}).get("TransactionTypeCode", TRANSFER),
                "TransactionQuantity": line.entry_quantity / 1000,
                "TransactionUOM": line.entry_unit,
                "TransactionDate": document.posting_date,
                "SubinventoryCode": line.storage_location,
                "TransferSubinventory": line.receiving_location,
                "TransactionSourceName": line.order,
                "Reference": document.external_id if line.receiving_location else "",
            }


def work_orders(erp: Erp) -> Iterator[Row]:
    """Yield work orders with their operations and materials."""
    return (_work_order(erp, order) for order in erp.book.data.orders)


def _work_order(erp: Erp, order: Order) -> Row:
    book = erp.book

    def made(operation: str, name: str) -> float:
        return book.confirmed[order.order, operation, name] / 1000

    return {
        "WorkOrderNumber": order.order,
        "OrganizationCode": order.plant,
        "ItemNumber": order.material,
        "PlannedStartQuantity": order.planned_thousandths / 1000,
        "CompletedQuantity": book.received[order.order] / 1000,
        "WorkOrderStatusCode": f"ORA_{order.status.value.upper().replace(' ', '_')}",
        "Operation": [
            {
                "OperationSequenceNumber": int(step.operation),
                "WorkCenterCode": step.work_center,
                "CompletedQuantity": made(step.operation, "yield"),
                "ScrappedQuantity": made(step.operation, "scrap"),
                "RejectedQuantity": made(step.operation, "rework"),
            }
            for step in order.operations
        ],
        "Material": [
            {
                "ItemNumber": component.material,
                "Quantity": component.required_thousandths / 1000,
                "IssuedQuantity": book.withdrawn[order.order, component.material] / 1000,
                "SupplyType": "Operation Pull" if component.backflush else "Push",
            }
            for component in order.components
        ],
    }
