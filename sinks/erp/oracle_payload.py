"""A posting as Oracle Fusion's work execution takes it: details of operation and material transactions.

Laws: a posting always becomes the same details. Quantities are exact JSON numbers, and no float on the way. What
a resource cannot say is refused (``Unmappable``).

An operation's yield, scrap and rework are moves from READY to COMPLETE, SCRAP and REJECT, each a detail of its own;
a reversal is the same moves back. Times are not sent: Oracle charges resources when the operation is completed.

Source: DOMAIN 3.8, 3.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import orjson

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from sinks.erp.amounts import decimal
from sinks.erp.settings import OracleSettings
from sinks.erp.unmappable import Unmappable

OPERATIONS: Final = ("operationTransactions", "OperationTransactionDetail")
MATERIALS: Final = ("materialTransactions", "MaterialTransactionDetail")
READY: Final = "READY"
TYPES: Final[Mapping[str, str]] = {
    "101": "PRODUCT_COMPLETION",
    "102": "PRODUCT_RETURN",
    "261": "MATERIAL_ISSUE",
    "262": "MATERIAL_RETURN",
    "531": "BYPRODUCT_COMPLETION",
    "532": "BYPRODUCT_RETURN",
}
OPPOSITE: Final[Mapping[str, str]] = {
    TYPES[one]: TYPES[other]
    for pair in (("101", "102"), ("261", "262"), ("531", "532"))
    for one, other in (pair, pair[::-1])
}

Detail = dict[str, Any]


def details(posting: Posting, settings: OracleSettings) -> tuple[tuple[str, str], list[Detail]]:
    """Return (resource, name of its details) and the details; none where there is nothing to book.

    Raises: Unmappable.
    """
    if posting.movements:
        return MATERIALS, [_material(posting, line, settings) for line in posting.movements]
    moves = (("COMPLETE", posting.good), ("SCRAP", posting.scrap), ("REJECT", posting.rework))
    found = [_operation(posting, state, quantity, settings) for state, quantity in moves if quantity]
    if posting.kind is PostingKind.REVERSAL:
        # What was scrapped or finished last is taken back first.
        found = [opposite(detail) for detail in reversed(found)]
    return OPERATIONS, found


def request(resource: tuple[str, str], found: list[Detail], settings: OracleSettings) -> bytes:
    """Return the body of a request to make these details."""
    head = {"SourceSystemCode": settings.source_system, "SourceSystemType": "EXTERNAL"}
    return orjson.dumps({**head, resource[1]: found})


def opposite(detail: Detail) -> Detail:
    """Return the detail that takes another back."""
    if code := detail.get("TransactionTypeCode"):
        return {**detail, "TransactionTypeCode": OPPOSITE[code]}
    before, after = detail["FromDispatchState"], detail["ToDispatchState"]
    return {**detail, "FromDispatchState": after, "ToDispatchState": before}


def number(thousandths: int) -> orjson.Fragment:
    """Return thousandths as a JSON number of three decimals, exact."""
    return orjson.Fragment(decimal(thousandths))


def noon(day: date) -> str:
    """Return an instant that is this day in almost every zone: which one Oracle takes is its own setting."""
    return f"{day.isoformat()}T12:00:00+00:00"


def operation_sequence(operation: str) -> int:
    """Return the number of an operation.

    Raises: Unmappable.
    """
    if not (operation.isascii() and operation.isdigit() and len(operation) < 10):
        raise Unmappable("operation", f"operation {operation!r} is no number, as the ERP's operations are")
    return int(operation)


def _operation(posting: Posting, state: str, quantity: int, settings: OracleSettings) -> Detail:
    detail: Detail = {
        "SourceSystemCode": settings.source_system,
        "OrganizationCode": posting.erp_plant,
        "WorkOrderNumber": posting.order,
        "WoOperationSequenceNumber": operation_sequence(posting.operation),
        "TransactionDate": noon(posting.posting_date),
        "TransactionNote": str(posting.posting_id),
        "TransactionQuantity": number(quantity),
        "TransactionUnitOfMeasure": settings.units.get(posting.unit, posting.unit),
        "FromDispatchState": READY,
        "ToDispatchState": state,
    }
    return detail | ({"ReasonCode": posting.reason} if posting.reason and state != "COMPLETE" else {})


def _material(posting: Posting, line: Movement, settings: OracleSettings) -> Detail:
    code = TYPES.get(line.movement_type)
    if code is None:
        raise Unmappable("movement", f"movement type {line.movement_type} has no transaction of a work order")
    if line.stock_type is not StockType.UNRESTRICTED:
        raise Unmappable("stock-type", f"stock that is {line.stock_type} is a matter of its subinventory in Oracle")
    quantity = number(line.quantity)
    detail: Detail = {
        "SourceSystemCode": settings.source_system,
        "OrganizationCode": posting.erp_plant,
        "WorkOrderNumber": posting.order,
        "InventoryItemNumber": line.material,
        "TransactionTypeCode": code,
        "TransactionDate": noon(posting.posting_date),
        "TransactionNote": str(posting.posting_id),
        "TransactionQuantity": quantity,
        "TransactionUnitOfMeasure": settings.units.get(line.unit, line.unit),
        "SubinventoryCode": line.storage_location,
    }
    if posting.operation:
        detail["WoOperationSequenceNumber"] = operation_sequence(posting.operation)
    if line.lot:
        detail["TransactionLot"] = [{"LotNumber": line.lot, "TransactionQuantity": quantity}]
    return detail
