"""Oracle Fusion Cloud SCM over REST: transactions of work orders here; stock and what can be read, beside.

Each detail of a request is booked or refused by itself, and the answer is 201 all the same: whoever
looks at the status alone takes refusals for successes. Transactions cannot be read back (405), and
nothing stops a second copy; what a work order has come to is seen in ``workOrders``.
Source: DOMAIN 3.8. The names of the error fields are assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from dataflows.erp_simulator import fields, oracle_queries, oracle_staged
from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.document import Document
from dataflows.erp_simulator.erp import Erp, day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.oracle_staged import StagedTransactions
from dataflows.erp_simulator.order_events import post_activity
from dataflows.erp_simulator.posting import Activity, Confirmation, GoodsMovement, Movement
from dataflows.erp_simulator.refusal import Code, Refused

ROOT: Final = "/fscmRestApi/resources/11.13.18.05/"
DETAILS_MAX: Final = 500
_STATES: Final = {"COMPLETE": "yield_quantity", "SCRAP": "scrap_quantity", "REJECT": "rework_quantity"}
_MOVES: Final = {
    "MATERIAL_ISSUE": "261",
    "MATERIAL_RETURN": "262",
    "PRODUCT_COMPLETION": "101",
    "PRODUCT_RETURN": "102",
    "BYPRODUCT_COMPLETION": "531",
    "BYPRODUCT_RETURN": "532",
}


class Oracle:
    """The dialect of Oracle Fusion."""

    def __init__(self, erp: Erp, *, delay_us: int) -> None:
        """Translate for ``erp``; staged lines that take too long are processed ``delay_us`` later."""
        self._erp = erp
        self.staged = StagedTransactions(erp, delay_us=delay_us)
        self._readable: dict[str, Callable[[Call], Iterable[Row]]] = {
            "workOrders": lambda _: oracle_queries.work_orders(erp),
            "workOrderTransactionHistory": lambda call: oracle_queries.history(erp, call),
            "inventoryCompletedTransactions": lambda call: oracle_queries.completed(erp, call),
        }
        self._resources: dict[str, tuple[str, Callable[[Row, Call], list[Document]]]] = {
            "operationTransactions": ("OperationTransactionDetail", self._operation),
            "materialTransactions": ("MaterialTransactionDetail", self._material),
            "resourceTransactions": ("ResourceTransactionDetail", self._resource),
        }

    def answer(self, call: Call) -> Answer:
        """Work on a request."""
        resource = call.path.removeprefix(ROOT)
        if not call.path.startswith(ROOT):
            return self.failure(404, "Not Found")
        try:
            if resource in self._readable and call.method == "GET":
                return oracle_queries.collection(call, self._readable[resource](call))
            name, _, number = resource.partition("/")
            if name == oracle_staged.RESOURCE:
                return self.staged.answer(call, number)
            if name not in self._resources:
                return self.failure(404, "Not Found")
            if call.method != "POST" or resource not in self._resources:
                return Answer(405, b"The GET action is not supported.", "text/plain", {"Allow": "POST"})
            return self._transactions(call, *self._resources[resource])
        except Refused as refused:
            return self.refusal(refused)

    def refusal(self, refused: Refused, status: int | None = None) -> Answer:
        """Return a refusal of the whole request."""
        return self._problem(status or refused.words.status, str(refused), refused.words.oracle)

    def failure(self, status: int, text: str) -> Answer:
        """Return a failure of the server."""
        return self._problem(status, text, f"HTTP-{status}")

    @staticmethod
    def _problem(status: int, text: str, code: str) -> Answer:
        body = {"title": "Bad Request" if status == 400 else "Error", "status": str(status), "o:errorCode": code}
        return Answer.of({**body, "detail": text, "o:errorDetails": [{"detail": text, "o:errorCode": code}]}, status)

    def _transactions(self, call: Call, name: str, book: Callable[[Row, Call], list[Document]]) -> Answer:
        body = call.json()
        details = fields.nested(body, name)
        if not details or len(details) > DETAILS_MAX:
            raise Refused(Code.FIELD_WRONG, field=name, reason=f"between 1 and {DETAILS_MAX} entries are needed")
        unlucky = None if call.trouble.partial is None else int(call.trouble.partial * len(details))
        answered = [self._one(d, call, book, broken=n == unlucky) for n, d in enumerate(details)]
        failed = any(detail["ErrorsExistFlag"] == "true" for detail in answered)
        return Answer.of({**body, name: answered, "ErrorsExistFlag": "true" if failed else "false"}, 201)

    def _one(self, detail: Row, call: Call, book: Callable[[Row, Call], list[Document]], *, broken: bool) -> Row:
        try:
            if broken:
                return _with_error(detail, "WIE_UNEXPECTED_ERROR", "The transaction wasn't processed; try again later")
            with self._erp.book.unit():
                documents = book(detail, call)
        except Refused as refused:
            return _with_error(detail, refused.words.oracle, str(refused))
        return {
            **detail,
            "TransactionId": documents[0].number,
            "ErrorsExistFlag": "false",
            "ErrorMessages": None,
            "ErrorMessageNames": None,
        }

    def _operation(self, detail: Row, call: Call) -> list[Document]:
        before = fields.text(detail, "FromDispatchState", 30)
        after = fields.text(detail, "ToDispatchState", 30)
        made, sign = (_STATES.get(after), 1) if before == "READY" else (_STATES.get(before), -1)
        if made is None or (before != "READY" and after != "READY"):
            raise Refused(Code.FIELD_WRONG, field="ToDispatchState", reason=f"{before} to {after} is not possible")
        quantity = fields.real(detail, "TransactionQuantity")
        if quantity <= 0:
            raise Refused(Code.QUANTITY_NOT_POSITIVE)
        lots = [fields.text(lot, "LotNumber", 80) for lot in fields.nested(detail, "TransactionLot") or ()]
        if len(lots) > 1:
            raise Refused(Code.FIELD_WRONG, field="TransactionLot", reason="one lot a transaction")
        document = self._erp.confirm(
            Confirmation(
                order=fields.text(detail, "WorkOrderNumber", 40),
                operation=_sequence(detail),
                posting_date=fields.day(detail.get("TransactionDate"), "TransactionDate") or day_of(call.now_us),
                yield_quantity=sign * quantity if made == "yield_quantity" else 0,
                scrap_quantity=sign * quantity if made == "scrap_quantity" else 0,
                rework_quantity=sign * quantity if made == "rework_quantity" else 0,
                unit=fields.text(detail, "TransactionUnitOfMeasure", 25),
                plant=fields.text(detail, "OrganizationCode", 18),
                lot=lots[0] if lots else "",
                reason=fields.text(detail, "ReasonCode", 30),
                external_id=fields.text(detail, "TransactionNote", 240),
                details={"part": made, "back": sign < 0, "fields": detail},
            ),
            call.now_us,
        )
        documents = [document]
        for number, material in enumerate(fields.nested(detail, "MaterialTransactionDetail") or (), 1):
            inherited = {name: detail.get(name) for name in ("WorkOrderNumber", "WoOperationSequenceNumber")}
            documents += self._material({**inherited, **material}, call, f"{document.external_id}/{number}")
        return documents

    def _material(self, detail: Row, call: Call, external_id: str = "") -> list[Document]:
        code = fields.text(detail, "TransactionTypeCode", 30)
        if code not in _MOVES:
            raise Refused(Code.FIELD_WRONG, field="TransactionTypeCode", reason=f"none of {', '.join(_MOVES)}")
        lots = fields.nested(detail, "TransactionLot") or [{}]
        whole = fields.real(detail, "TransactionQuantity")
        subinventory = fields.text(detail, "SubinventoryCode", 10)
        shares = [fields.real(lot, "TransactionQuantity") if "TransactionQuantity" in lot else whole for lot in lots]
        if sum(shares) != whole:
            raise Refused(Code.FIELD_WRONG, field="TransactionLot", reason="the lots' sum is not the quantity")
        movement_type, item = _MOVES[code], fields.text(detail, "InventoryItemNumber", 300)
        back = movement_type not in types.FORWARD
        forward = types.reversal(movement_type) if back else movement_type
        named = ",".join(fields.text(lot, "LotNumber", 80) for lot in lots)
        movements = tuple(
            Movement(
                movement_type=movement_type,
                material=item,
                quantity=share,
                unit=fields.text(detail, "TransactionUnitOfMeasure", 25),
                storage_location=subinventory,
                stock_type=oracle_staged.stock_type(subinventory) if subinventory else "",
                lot=fields.text(lot, "LotNumber", 80),
                order=fields.text(detail, "WorkOrderNumber", 40),
            )
            for lot, share in zip(lots, shares, strict=True)
        )
        day = fields.day(detail.get("TransactionDate"), "TransactionDate") or day_of(call.now_us)
        return [
            self._erp.move(
                GoodsMovement(
                    movements,
                    day,
                    external_id=external_id or fields.text(detail, "TransactionNote", 240),
                    operation=_sequence(detail),
                    details={"part": f"{forward} {item} {named} {whole}", "back": back, "fields": detail},
                ),
                call.now_us,
            )
        ]

    def _resource(self, detail: Row, call: Call) -> list[Document]:
        resource = fields.text(detail, "ResourceCode", 30)
        activity = Activity(
            order=fields.text(detail, "WorkOrderNumber", 40),
            operation=_sequence(detail),
            posting_date=fields.day(detail.get("TransactionDate"), "TransactionDate") or day_of(call.now_us),
            resource=resource,
            quantity=fields.real(detail, "TransactionQuantity"),
            unit=fields.text(detail, "TransactionUnitOfMeasure", 25) or "HR",
            plant=fields.text(detail, "OrganizationCode", 18),
            external_id=fields.text(detail, "TransactionNote", 240),
            part=resource,
        )
        return [post_activity(self._erp, activity, call.now_us)]


def _sequence(detail: Row) -> str:
    value = detail.get("WoOperationSequenceNumber")
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10_000:
        raise Refused(Code.FIELD_WRONG, field="WoOperationSequenceNumber", reason="not a number of an operation")
    return f"{value:04d}"


def _with_error(detail: Row, name: str, text: str) -> Row:
    return {**detail, "ErrorsExistFlag": "true", "ErrorMessages": text, "ErrorMessageNames": name}
