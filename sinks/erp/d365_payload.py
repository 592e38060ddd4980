"""A posting as Dynamics 365's message service takes it: a message type and its content.

Laws: a posting always becomes the same message. Quantities are exact JSON numbers, and no float on the way. What
the messages cannot say is refused (``Unmappable``).

A report as finished at the last operation receives the product by itself, so a receipt is no message. Times are
booked by the route when its consumption rule says so. PostingId is no member of Dynamics' own: it ignores those it
does not know, and keeps the content.

Source: DOMAIN 3.9, 3.10; learn.microsoft.com, "Integrate with third-party manufacturing execution systems".
"""

from __future__ import annotations

from typing import Any

import orjson

from canonical.contracts.posting import Movement, Posting, PostingKind
from sinks.erp.amounts import decimal, iso_utc
from sinks.erp.settings import D365Settings
from sinks.erp.unmappable import Unmappable

RECEIPTS = frozenset({"101", "102"})
CONSUMPTION = frozenset({"261", "262"})


def message(posting: Posting, settings: D365Settings) -> tuple[str, str] | None:
    """Return (type, content) of the message of a posting; None where there is nothing to be told.

    Raises: Unmappable.
    """
    if not posting.order:
        raise Unmappable("order", "a message is about a production order, and the posting has none")
    if posting.movements:
        types = {line.movement_type for line in posting.movements}
        if types <= RECEIPTS:
            return None
        if not types <= CONSUMPTION:
            raise Unmappable("movement", f"no message moves goods as {', '.join(sorted(types - CONSUMPTION))} does")
        lines = [_picked(posting, number, line, settings) for number, line in enumerate(posting.movements, 1)]
        return _message("ProdProductionOrderPickingList", posting, {"PickingListLines": lines})
    if not (posting.good or posting.scrap or posting.rework or posting.final):
        return None
    return _message(
        "ProdProductionOrderReportFinished", posting, {"ReportFinishedLines": [_finished(posting, settings)]}
    )


def _message(kind: str, posting: Posting, lines: dict[str, Any]) -> tuple[str, str]:
    content = {"ProductionOrderNumber": posting.order, "PostingId": str(posting.posting_id), **lines}
    return kind, orjson.dumps(content).decode()


def _finished(posting: Posting, settings: D365Settings) -> dict[str, Any]:
    if posting.rework and settings.rework == "refuse":
        raise Unmappable("rework", "Dynamics has no quantity to be reworked; set rework, or withdraw and enter by hand")
    sign = -1 if posting.kind is PostingKind.REVERSAL else 1
    operation = operation_number(posting.operation)
    cause = settings.error_causes.get(posting.reason, "None") if posting.scrap or posting.rework else "None"
    return {
        "LineNumber": 1,
        "ItemNumber": posting.material,
        "ProductionType": "MainItem",
        "ReportedGoodQuantity": number(sign * posting.good),
        "ReportedErrorQuantity": number(sign * (posting.scrap + posting.rework)),
        "ErrorCause": cause,
        "ExecutedDateTime": iso_utc(posting.end_us),
        "ReportAsFinishedDate": posting.posting_date.isoformat(),
        "FromOperationNumber": operation,
        "ToOperationNumber": operation,
        "ItemBatchNumber": posting.lot,
        "ProductionSiteId": posting.erp_plant,
        "EndJob": "Yes" if posting.final and sign > 0 else "No",
    }


def _picked(posting: Posting, line_number: int, line: Movement, settings: D365Settings) -> dict[str, Any]:
    quantity = number(-line.quantity if line.movement_type == "262" else line.quantity)
    picked: dict[str, Any] = {
        "LineNumber": line_number,
        "ItemNumber": line.material,
        "ConsumptionBOMQuantity": quantity,
        "ProposalBOMQuantity": quantity,
        "BOMUnitSymbol": settings.units.get(line.unit, line.unit),
        "ConsumptionDate": posting.posting_date.isoformat(),
        "ItemBatchNumber": line.lot,
        "ProductionSiteId": posting.erp_plant,
        "ProductionWarehouseId": line.storage_location,
    }
    return picked | ({"OperationNumber": operation_number(posting.operation)} if posting.operation else {})


def number(thousandths: int) -> orjson.Fragment:
    """Return thousandths as a JSON number of three decimals, exact."""
    return orjson.Fragment(decimal(thousandths))


def operation_number(operation: str) -> int:
    """Return the number of an operation.

    Raises: Unmappable.
    """
    if not (operation.isascii() and operation.isdigit() and len(operation) < 10):
        raise Unmappable("operation", f"operation {operation!r} is no number, as the ERP's operations are")
    return int(operation)
