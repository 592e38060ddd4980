"""A posting as Dynamics 365's message service takes it: a message type and its content.

Laws: a posting always becomes the same message. Quantities are exact JSON numbers, and no float on the way. What
the messages cannot say is refused (``Unmappable``).

What an operation yielded, and its times, are lines of a route card; a report as finished puts the product on stock,
as which the inventory status says, so it is what a receipt becomes. Routes are not consumed by it, as the route card
did. Dynamics ships no message that moves stock; the message processor takes types of one's own, and one for
transfers can be named in the settings. PostingId is no member of Dynamics' own: it ignores those it does not know,
and keeps the content.

Source: DOMAIN 3.9, 3.10; learn.microsoft.com, "Integrate with third-party manufacturing execution systems".
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from sinks.erp.amounts import duration, iso_utc, json_number, operation_number
from sinks.erp.settings import D365Settings
from sinks.erp.transfers import Place, Transfer, transfer
from sinks.erp.unmappable import Unmappable

RECEIPTS: Final = frozenset({"101", "102"})
CONSUMPTION: Final = frozenset({"261", "262"})
BACK: Final = frozenset({"102", "262"})

Line = dict[str, Any]


def message(posting: Posting, settings: D365Settings) -> tuple[str, str] | None:
    """Return (type, content) of the message of a posting; None where there is nothing to be told.

    Raises: Unmappable.
    """
    if (move := transfer(posting)) is not None:
        if settings.transfer_message is None:
            words = "Dynamics ships no message that moves stock; name one of your own as transfer_message"
            raise Unmappable("movement", words)
        return _message(settings.transfer_message, posting, "TransferJournalLines", [_moved(posting, move, settings)])
    if not posting.order:
        raise Unmappable("order", "a message is about a production order, and the posting has none")
    if posting.movements:
        types = {line.movement_type for line in posting.movements}
        numbered = enumerate(posting.movements, 1)
        if types <= RECEIPTS:
            lines = [_finished(posting, number, line, settings) for number, line in numbered]
            return _message("ProdProductionOrderReportFinished", posting, "ReportFinishedLines", lines)
        if types <= CONSUMPTION:
            lines = [_picked(posting, number, line, settings) for number, line in numbered]
            return _message("ProdProductionOrderPickingList", posting, "PickingListLines", lines)
        raise Unmappable("movement", f"no message moves goods as {', '.join(sorted(types - CONSUMPTION))} does")
    lines = _worked(posting, settings)
    return _message("ProdProductionOrderRouteCard", posting, "RouteCardLines", lines) if lines else None


def _message(kind: str, posting: Posting, name: str, lines: list[Line]) -> tuple[str, str]:
    content = {"ProductionOrderNumber": posting.order, "PostingId": str(posting.posting_id), name: lines}
    return kind, orjson.dumps(content).decode()


def _worked(posting: Posting, settings: D365Settings) -> list[Line]:
    """Return the lines of a route card: the process with its quantities, and the setup where there was one."""
    if posting.rework and settings.rework == "refuse":
        raise Unmappable("rework", "Dynamics has no quantity to be reworked; set rework, or withdraw and enter by hand")
    sign = -1 if posting.kind is PostingKind.REVERSAL else 1
    common = {
        "OperationNumber": operation_number(posting.operation),
        "ConsumptionDate": posting.posting_date.isoformat(),
    }
    if posting.work_center:
        common["OperationsResourceId"] = posting.work_center
    lines: list[Line] = []
    if posting.setup_us:
        lines.append({**common, "TaskType": "Setup", "Hours": json_number(sign * duration(posting.setup_us, "HUR"))})
    if posting.good or posting.scrap or posting.rework or posting.final or posting.machine_us:
        failed = posting.scrap or posting.rework
        process = {
            "TaskType": "Process",
            "Hours": json_number(sign * duration(posting.machine_us, "HUR")),
            "GoodQuantity": json_number(sign * posting.good),
            "ErrorQuantity": json_number(sign * (posting.scrap + posting.rework)),
            "ErrorCause": settings.error_causes.get(posting.reason, "None") if failed else "None",
            "OperationCompleted": "Yes" if posting.final and sign > 0 else "No",
        }
        lines.append(common | process)
    return lines


def _finished(posting: Posting, number: int, line: Movement, settings: D365Settings) -> Line:
    quantity = -line.quantity if line.movement_type in BACK else line.quantity
    finished: Line = {
        "LineNumber": number,
        "ItemNumber": line.material,
        "ProductionType": "MainItem",
        "ReportedGoodQuantity": json_number(quantity),
        "AutomaticRouteConsumptionRule": "Never",
        "ExecutedDateTime": iso_utc(posting.end_us),
        "ReportAsFinishedDate": posting.posting_date.isoformat(),
        "ItemBatchNumber": line.lot,
        "ProductionSiteId": posting.erp_plant,
        "ProductionWarehouseId": line.storage_location,
    }
    status = _status(line.stock_type, settings)
    return finished | ({"InventoryStatusId": status} if status else {})


def _status(stock_type: StockType, settings: D365Settings) -> str:
    """Return the inventory status of a stock type; empty for unrestricted stock where it needs none.

    Raises: Unmappable.
    """
    found = settings.inventory_statuses.get(stock_type, "")
    if not found and stock_type is not StockType.UNRESTRICTED:
        words = f"in Dynamics {stock_type} stock is one of an inventory status"
        raise Unmappable("stock-type", f"{words}; say which one: inventory_statuses.{stock_type}")
    return found


def _moved(posting: Posting, move: Transfer, settings: D365Settings) -> Line:
    line = move.line
    return {
        "LineNumber": 1,
        "ItemNumber": line.material,
        "ItemBatchNumber": line.lot,
        "InventoryQuantity": json_number(line.quantity),
        "InventoryUnitSymbol": settings.units.get(line.unit, line.unit),
        "TransactionDate": posting.posting_date.isoformat(),
        **_end("Source", posting, move.source, settings),
        **_end("Destination", posting, move.target, settings),
    }


def _end(end: str, posting: Posting, place: Place, settings: D365Settings) -> Line:
    return {
        f"{end}InventorySiteId": posting.erp_plant,
        f"{end}WarehouseId": place.storage_location,
        f"{end}InventoryStatusId": _status(place.stock_type, settings),
    }


def _picked(posting: Posting, number: int, line: Movement, settings: D365Settings) -> Line:
    quantity = json_number(-line.quantity if line.movement_type in BACK else line.quantity)
    picked: Line = {
        "LineNumber": number,
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
