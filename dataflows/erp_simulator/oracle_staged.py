"""Oracle's interface of inventory transactions: lines that are staged, then processed.

Of its modes there is online (1): a line is processed before the answer, and gone once it is. One that cannot be
processed stays, with its error. One that takes too long is answered with 408, stays, and is processed later.
Only transfers between subinventories can be staged here. A subinventory is of a stock type, as its material status
says in Oracle: here its last letter does, Q for quality and B for blocked stock.
Source: Oracle's REST API for SCM, inventoryStagedTransactions; readiness notes of Inventory 24A (408).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from dataflows.erp_simulator import fields, oracle_queries
from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.document import Document, Message, MessageState
from dataflows.erp_simulator.erp import Erp, day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.message_queue import MessageQueue
from dataflows.erp_simulator.oracle_queries import TRANSFER
from dataflows.erp_simulator.posting import GoodsMovement, Movement
from dataflows.erp_simulator.refusal import Code, Refused

RESOURCE: Final = "inventoryStagedTransactions"
ONLINE: Final = "1"
_SOURCE_MAX: Final = 2**63
_STOCK_TYPES: Final = {"Q": types.QUALITY, "B": types.BLOCKED}


class StagedTransactions:
    """The lines of one ERP."""

    def __init__(self, erp: Erp, *, delay_us: int) -> None:
        """Take up what is staged; a line that took too long is processed ``delay_us`` after it came."""
        self._erp = erp
        self.queue = MessageQueue(erp.book, self._process, delay_us=delay_us, retry_us=0, attempts_max=1)

    def answer(self, call: Call, number: str) -> Answer:
        """Work on a request to the resource, or to one line of it.

        Raises: Refused.
        """
        match call.method:
            case "POST" if not number:
                return self._stage(call)
            case "GET" if not number:
                return oracle_queries.collection(call, self._rows())
            case "DELETE" if number:
                return self._delete(number)
            case _:
                return Answer(405, b"The action is not supported.", "text/plain", {"Allow": "GET, POST, DELETE"})

    def _stage(self, call: Call) -> Answer:
        line = call.json()
        for name in ("OrganizationName", "ItemNumber", "SourceCode", "TransactionUnitOfMeasure", "UseCurrentCostFlag"):
            if not fields.text(line, name, 300):
                raise Refused(Code.FIELD_WRONG, field=name, reason="it is mandatory")
        if line.get("TransactionTypeName") != TRANSFER or line.get("TransactionMode") != ONLINE:
            raise Refused(Code.FIELD_WRONG, field="TransactionTypeName", reason=f"only {TRANSFER}, in mode {ONLINE}")
        for name in ("SourceHeaderId", "SourceLineId"):
            if not isinstance(line.get(name), int) or not 0 <= line[name] < _SOURCE_MAX:
                raise Refused(Code.FIELD_WRONG, field=name, reason="an int64 is mandatory")
        source = f"{line['SourceCode']}/{line['SourceHeaderId']}/{line['SourceLineId']}"
        late = call.trouble.failing_attempts > 0
        message = self.queue.accept(
            line["OrganizationName"], RESOURCE, source, call.body.decode(), call.now_us, 0, at_once=not late
        )
        if late:
            detail = {"title": "Request Timeout", "status": "408", "detail": "The line is processed in the background"}
            return Answer.of({**detail, "o:errorCode": "INV_TXN_TIMEOUT"}, 408)
        self.queue.wake(call.now_us)
        return Answer.of(_row(self._erp.book.messages[message.number]), 201)

    def _rows(self) -> Iterator[Row]:
        """Yield the lines that are not processed."""
        for message in self._erp.book.messages.values():
            if message.state in {MessageState.QUEUED, MessageState.FAILED}:
                yield _row(message)

    def _delete(self, number: str) -> Answer:
        found = self._erp.book.messages.get(int(number)) if number.isascii() and number.isdigit() else None
        if found is None or found.state is not MessageState.FAILED:
            raise Refused(Code.DOCUMENT_UNKNOWN, document=number[:20])
        self.queue.remove(found)
        return Answer(204)

    def _process(self, message: Message, now_us: int) -> list[Document]:
        line = orjson.loads(message.content)
        source, target = (fields.text(line, name, 10) for name in ("SubinventoryCode", "TransferSubinventory"))
        if not source or not target or source == target:
            raise Refused(Code.FIELD_WRONG, field="TransferSubinventory", reason="it is no other subinventory")
        movement_type = types.TRANSFERS[stock_type(source), stock_type(target)]
        whole = fields.real(line, "TransactionQuantity")
        lots = fields.nested(line, "lotItemLots") or [{"TransactionQuantity": line.get("TransactionQuantity")}]
        if sum(fields.real(lot, "TransactionQuantity") for lot in lots) != whole:
            raise Refused(Code.FIELD_WRONG, field="lotItemLots", reason="the lots' sum is not the quantity")
        movements = tuple(
            Movement(
                movement_type,
                fields.text(line, "ItemNumber", 300),
                fields.real(lot, "TransactionQuantity"),
                fields.text(line, "TransactionUnitOfMeasure", 25),
                plant=message.company,
                storage_location=source,
                lot=fields.text(lot, "LotNumber", 80),
                receiving_location=target,
            )
            for lot in lots
        )
        day = fields.day(line.get("TransactionDate"), "TransactionDate") or day_of(now_us)
        reference = fields.text(line, "TransactionReference", 240)
        return [
            self._erp.move(GoodsMovement(movements, day, external_id=reference, details={"part": TRANSFER}), now_us)
        ]


def stock_type(subinventory: str) -> str:
    """Return the stock type of a subinventory."""
    return _STOCK_TYPES.get(subinventory[-1:], types.UNRESTRICTED)


def _row(message: Message) -> Row:
    failed = message.state is MessageState.FAILED
    return {
        **orjson.loads(message.content),
        "TransactionInterfaceId": message.number,
        "ErrorCode": message.code if failed else None,
        "ErrorExplanation": message.error if failed else None,
    }
