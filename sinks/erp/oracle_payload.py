"""A posting as Oracle Fusion takes it: details of a work order's transactions, or a line to be staged.

Laws: a posting always becomes the same details. Quantities are exact JSON numbers, and no float on the way. What
a resource cannot say is refused (``Unmappable``).

An operation's yield, scrap and rework are moves from READY to COMPLETE, SCRAP and REJECT, each a detail of its own;
a reversal is the same moves back. Times are not sent: Oracle charges resources when the operation is completed.
Stock types are no matter of a transaction in Oracle, but of the subinventory (its material status), so settings say
in which one stock of a type lies.

Source: DOMAIN 3.8, 3.10; Oracle's REST API for SCM, inventoryStagedTransactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from sinks.erp.amounts import json_number, operation_number
from sinks.erp.settings import OracleSettings
from sinks.erp.transfers import Place, Transfer
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
    if settings.receipts == "operation" and _received(posting):
        return MATERIALS, []
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


def noon(day: date) -> str:
    """Return an instant that is this day in almost every zone: which one Oracle takes is its own setting."""
    return f"{day.isoformat()}T12:00:00+00:00"


def staged(posting: Posting, move: Transfer, settings: OracleSettings) -> bytes:
    """Return the body of a line to be staged and processed at once.

    Raises: Unmappable.
    """
    line, quantity = move.line, json_number(move.line.quantity)
    body: Detail = {
        "OrganizationName": settings.organizations.get(posting.erp_plant, posting.erp_plant),
        "TransactionTypeName": "Subinventory Transfer",
        "TransactionMode": "1",
        "SourceCode": settings.source_system,
        "SourceHeaderId": source_header(posting.posting_id),
        "SourceLineId": 1,
        "TransactionReference": str(posting.posting_id),
        "TransactionDate": noon(posting.posting_date),
        "ItemNumber": line.material,
        "TransactionQuantity": quantity,
        "TransactionUnitOfMeasure": settings.units.get(line.unit, line.unit),
        "SubinventoryCode": subinventory(move.source, settings),
        "TransferSubinventory": subinventory(move.target, settings),
        "UseCurrentCostFlag": "true",
    }
    if line.lot:
        body["lotItemLots"] = [{"LotNumber": line.lot, "TransactionQuantity": quantity}]
    if body["SubinventoryCode"] == body["TransferSubinventory"]:
        raise Unmappable(
            "stock-type", f"{body['SubinventoryCode']} is source and target; see the setting subinventories"
        )
    return orjson.dumps(body)


def subinventory(place: Place, settings: OracleSettings) -> str:
    """Return where stock lies.

    Raises: Unmappable where settings do not say where stock of this type does.
    """
    found = settings.subinventories.get(place.stock_type, {}).get(place.storage_location)
    if found is None and place.stock_type is not StockType.UNRESTRICTED:
        words = f"in Oracle {place.stock_type} stock is a matter of its subinventory; say which one it is for"
        raise Unmappable("stock-type", f"{words} {place.storage_location!r}: subinventories.{place.stock_type}")
    return found or place.storage_location


def source_header(posting_id: UUID) -> int:
    """Return SourceHeaderId, an int64: the first 63 bits of the posting id."""
    return posting_id.int >> 65


def _operation(posting: Posting, state: str, quantity: int, settings: OracleSettings) -> Detail:
    detail: Detail = {
        "SourceSystemCode": settings.source_system,
        "OrganizationCode": posting.erp_plant,
        "WorkOrderNumber": posting.order,
        "WoOperationSequenceNumber": operation_number(posting.operation),
        "TransactionDate": noon(posting.posting_date),
        "TransactionNote": str(posting.posting_id),
        "TransactionQuantity": json_number(quantity),
        "TransactionUnitOfMeasure": settings.units.get(posting.unit, posting.unit),
        "FromDispatchState": READY,
        "ToDispatchState": state,
    }
    return detail | ({"ReasonCode": posting.reason} if posting.reason and state != "COMPLETE" else {})


def _received(posting: Posting) -> bool:
    """Return whether a posting receives its product, or takes that back; not where it is to be quality stock.

    Raises: Unmappable.
    """
    if not posting.movements or not {line.movement_type for line in posting.movements} <= {"101", "102"}:
        return False
    if any(line.stock_type is not StockType.UNRESTRICTED for line in posting.movements):
        raise Unmappable("stock-type", "the last operation receives this product, and not as quality stock")
    return True


def _material(posting: Posting, line: Movement, settings: OracleSettings) -> Detail:
    code = TYPES.get(line.movement_type)
    if code is None:
        raise Unmappable("movement", f"movement type {line.movement_type} has no transaction of a work order")
    quantity = json_number(line.quantity)
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
        "SubinventoryCode": subinventory(Place(line.storage_location, line.stock_type), settings),
    }
    if posting.operation:
        detail["WoOperationSequenceNumber"] = operation_number(posting.operation)
    if line.lot:
        detail["TransactionLot"] = [{"LotNumber": line.lot, "TransactionQuantity": quantity}]
    return detail
