"""Dynamics 365 Supply Chain Management: the MES integration's message service.

A message is accepted when it can be read; whether it can be booked shows later, in its state. The
service knows no id of the sender, so a message that is sent twice is booked twice. The list of
messages stands for the page "Manufacturing execution systems integration"; it has no public API.
A route card says what an operation yielded, a report as finished puts the product on stock. The message that moves
stock stands for a type of one's own.
Source: learn.microsoft.com, "Integrate with third-party manufacturing execution systems"; DOMAIN 3.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from hashlib import sha256
from typing import Any, Final

import orjson

from dataflows.erp_simulator import fields
from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.document import Document, Message
from dataflows.erp_simulator.erp import Erp, day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.master_data import Order, OrderStatus
from dataflows.erp_simulator.message_queue import MessageQueue
from dataflows.erp_simulator.order_events import post_activity, set_status
from dataflows.erp_simulator.posting import Activity, Confirmation, GoodsMovement, Movement
from dataflows.erp_simulator.refusal import Code, Refused

SERVICE: Final = "/api/services/SysMessageServices/SysMessageService/"
QUEUE: Final = "JmgMES3P"
LINES_MAX: Final = 500
_CONTENT_MAX: Final = 1_000_000
_PAGE_MAX: Final = 1000
_CAUSES: Final = frozenset({"None", "Material", "Machine", "OperatingStaff"})
_STATUSES: Final = {"": "", "Available": types.UNRESTRICTED, "Quality": types.QUALITY, "Blocking": types.BLOCKED}
TRANSFER: Final = "InventoryTransfer"


class Dynamics:
    """The dialect of Dynamics 365."""

    def __init__(self, erp: Erp, *, delay_us: int, retry_us: int) -> None:
        """Translate for ``erp``; messages are processed ``delay_us`` after they came, again ``retry_us`` later."""
        self._erp = erp
        self._types: dict[str, Callable[[Message, Row, int], list[Document]]] = {
            "ProdProductionOrderStart": self._start,
            "ProdProductionOrderReportFinished": self._report_finished,
            "ProdProductionOrderPickingList": self._picking_list,
            "ProdProductionOrderRouteCard": self._route_card,
            "ProdProductionOrderEnd": self._end,
            TRANSFER: self._transfer,
        }
        self.queue = MessageQueue(erp.book, self._process, delay_us=delay_us, retry_us=retry_us)

    def answer(self, call: Call) -> Answer:
        """Work on a request."""
        try:
            match call.method, call.path.removeprefix(SERVICE):
                case "POST", "SendMessage":
                    return self._send(call)
                case "GET", "Messages":
                    return self._messages(call)
                case _:
                    return self.failure(404, "No HTTP resource was found that matches the request URI")
        except Refused as refused:
            return self.refusal(refused)

    def refusal(self, refused: Refused, status: int | None = None) -> Answer:
        """Return a refusal of a message that cannot be read."""
        return self.failure(status or 400, f"An exception occured when invoking the operation - {refused}")

    def failure(self, status: int, text: str) -> Answer:
        """Return a failure of the server."""
        return Answer.of({"Message": text, "ExceptionType": "FaultException"}, status)

    def _send(self, call: Call) -> Answer:
        body = call.json()
        kind, queue = fields.text(body, "_messageType", 60), fields.text(body, "_messageQueue", 60)
        content = body.get("_messageContent")
        if queue != QUEUE or kind not in self._types:
            raise Refused(Code.FIELD_WRONG, field="_messageType", reason=f"no type {kind} in queue {queue}")
        if not isinstance(content, str) or len(content) > _CONTENT_MAX:
            raise Refused(Code.FIELD_WRONG, field="_messageContent", reason="it is a string that holds JSON")
        order = fields.text(call.within("POST", call.path, {}, content.encode()).json(), "ProductionOrderNumber", 40)
        if not order and kind != TRANSFER:
            raise Refused(Code.FIELD_WRONG, field="ProductionOrderNumber", reason="it is mandatory")
        company = fields.text(body, "_companyId", 4)
        self.queue.accept(company, kind, order, content, call.now_us, call.trouble.failing_attempts)
        return Answer.of({"$id": "1"})

    def _messages(self, call: Call) -> Answer:
        """Return messages, ascending: ``order``, ``after`` (a number) and ``limit`` narrow them."""
        after, limit = call.number("after", 0), min(call.number("limit", 100), _PAGE_MAX)
        order = call.query.get("order")
        found = [m for m in self._erp.book.messages.values() if m.number > after and order in {None, m.order}][
            : limit + 1
        ]
        rows = [
            {
                "MessageNumber": m.number,
                "CompanyId": m.company,
                "MessageType": m.type,
                "ProductionOrderNumber": m.order,
                "MessageState": m.state.value,
                "Attempts": m.attempts,
                "Error": m.error,
                "MessageContent": m.content,
            }
            for m in found[:limit]
        ]
        return Answer.of({"value": rows, "hasMore": len(found) > limit})

    def _process(self, message: Message, now_us: int) -> list[Document]:
        return self._types[message.type](message, orjson.loads(message.content), now_us)

    def _start(self, message: Message, content: Row, now_us: int) -> list[Document]:
        day = fields.day(content.get("StartedDate"), "StartedDate") or day_of(now_us)
        return [set_status(self._erp, message.order, OrderStatus.RELEASED, day, _external(message), now_us)]

    def _end(self, message: Message, content: Row, now_us: int) -> list[Document]:
        day = fields.day(content.get("EndedDate"), "EndedDate") or day_of(now_us)
        return [set_status(self._erp, message.order, OrderStatus.CLOSED, day, _external(message), now_us)]

    def _report_finished(self, message: Message, content: Row, now_us: int) -> list[Document]:
        order = self._erp.register.order(message.order)
        documents: list[Document] = []
        movements: list[Movement] = []
        day = day_of(now_us)
        for number, line in _lines(content, "ReportFinishedLines"):
            day = _day(line, "ReportAsFinishedDate", now_us)
            if failed := fields.real(line, "ReportedErrorQuantity"):
                scrapped = Confirmation(
                    order=order.order,
                    operation=_operation(line, "ToOperationNumber") or order.operations[-1].operation,
                    posting_date=day,
                    scrap_quantity=failed,
                    reason=_cause(line),
                    external_id=_external(message),
                    details={"part": f"line {number}"},
                )
                documents.append(self._erp.confirm(scrapped, now_us))
            movements += self._received(order, line)
        if movements or not documents:
            asked = GoodsMovement(tuple(movements), day, external_id=_external(message))
            documents.append(self._erp.move(asked, now_us))
        return documents

    @staticmethod
    def _received(order: Order, line: Row) -> Iterator[Movement]:
        if quantity := fields.real(line, "ReportedGoodQuantity"):
            yield Movement(
                types.RECEIPT if quantity > 0 else types.reversal(types.RECEIPT),
                fields.text(line, "ItemNumber", 40) or order.material,
                abs(quantity),
                order.unit,
                plant=fields.text(line, "ProductionSiteId", 10),
                storage_location=fields.text(line, "ProductionWarehouseId", 10),
                lot=fields.text(line, "ItemBatchNumber", 20),
                stock_type=_status(line, "InventoryStatusId"),
                order=order.order,
            )

    def _picking_list(self, message: Message, content: Row, now_us: int) -> list[Document]:
        movements = []
        day = day_of(now_us)
        operation = ""
        for _, line in _lines(content, "PickingListLines"):
            quantity = fields.real(line, "ConsumptionBOMQuantity")
            movements.append(
                Movement(
                    movement_type="261" if quantity > 0 else "262",
                    material=fields.text(line, "ItemNumber", 40),
                    quantity=abs(quantity),
                    unit=fields.text(line, "BOMUnitSymbol", 10),
                    lot=fields.text(line, "ItemBatchNumber", 20),
                    storage_location=fields.text(line, "ProductionWarehouseId", 10),
                    order=message.order,
                )
            )
            day = _day(line, "ConsumptionDate", now_us)
            operation = _operation(line, "OperationNumber")
        asked = GoodsMovement(tuple(movements), day, external_id=_external(message), operation=operation)
        return [self._erp.move(asked, now_us)]

    def _route_card(self, message: Message, content: Row, now_us: int) -> list[Document]:
        documents = []
        for number, line in _lines(content, "RouteCardLines"):
            operation, day = _operation(line, "OperationNumber"), _day(line, "ConsumptionDate", now_us)
            resource, hours = fields.text(line, "OperationsResourceId", 20), fields.real(line, "Hours")
            good, failed = (fields.real(line, name) for name in ("GoodQuantity", "ErrorQuantity"))
            done = fields.text(line, "OperationCompleted", 3) == "Yes"
            if good or failed or done or not hours:
                made = Confirmation(
                    order=message.order,
                    operation=operation,
                    posting_date=day,
                    yield_quantity=good,
                    scrap_quantity=failed,
                    work_center=resource,
                    reason=_cause(line),
                    final=done,
                    external_id=_external(message),
                    details={"part": f"line {number}"},
                )
                documents.append(self._erp.confirm(made, now_us))
            if hours:
                spent = Activity(
                    order=message.order,
                    operation=operation,
                    posting_date=day,
                    resource=resource,
                    quantity=hours,
                    unit="HUR",
                    external_id=_external(message),
                    part=f"line {number}",
                )
                documents.append(post_activity(self._erp, spent, now_us))
        return documents

    def _transfer(self, message: Message, content: Row, now_us: int) -> list[Document]:
        movements = []
        day = day_of(now_us)
        for _, line in _lines(content, "TransferJournalLines"):
            source, target = _status(line, "SourceInventoryStatusId"), _status(line, "DestinationInventoryStatusId")
            day = _day(line, "TransactionDate", now_us)
            movements.append(
                Movement(
                    types.TRANSFERS[source or types.UNRESTRICTED, target or types.UNRESTRICTED],
                    fields.text(line, "ItemNumber", 40),
                    fields.real(line, "InventoryQuantity"),
                    fields.text(line, "InventoryUnitSymbol", 10),
                    plant=fields.text(line, "SourceInventorySiteId", 10),
                    storage_location=fields.text(line, "SourceWarehouseId", 10),
                    lot=fields.text(line, "ItemBatchNumber", 20),
                    receiving_location=fields.text(line, "DestinationWarehouseId", 10),
                )
            )
        return [self._erp.move(GoodsMovement(tuple(movements), day, external_id=_external(message)), now_us)]


def _external(message: Message) -> str:
    """Return what tells copies of a message: ``PostingId``, which Dynamics overlooks, else a digest of it."""
    posting_id = orjson.loads(message.content).get("PostingId")
    if isinstance(posting_id, str) and posting_id:
        return posting_id
    return sha256(f"{message.company}/{message.type}/{message.content}".encode()).hexdigest()


def _cause(line: Row) -> str:
    """Return why something failed; empty where it is not said."""
    cause = fields.text(line, "ErrorCause", 20) or "None"
    if cause not in _CAUSES:
        raise Refused(Code.FIELD_WRONG, field="ErrorCause", reason=f"none of {', '.join(sorted(_CAUSES))}")
    return "" if cause == "None" else cause


def _status(line: Row, name: str) -> str:
    """Return the stock type of an inventory status; empty where none is named."""
    status = fields.text(line, name, 10)
    if status not in _STATUSES:
        raise Refused(Code.FIELD_WRONG, field=name, reason=f"none of {', '.join(filter(None, _STATUSES))}")
    return _STATUSES[status]


def _lines(content: Row, name: str) -> list[tuple[int, Row]]:
    lines = fields.nested(content, name)
    if not lines or len(lines) > LINES_MAX:
        raise Refused(Code.FIELD_WRONG, field=name, reason=f"between 1 and {LINES_MAX} lines are needed")
    return list(enumerate(lines, 1))


def _operation(line: Row, name: str) -> str:
    value: Any = line.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10_000:
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a number of an operation")
    return f"{value:04d}"


def _day(line: Row, name: str, now_us: int) -> date:
    return fields.day(line.get(name), name) or day_of(now_us)
