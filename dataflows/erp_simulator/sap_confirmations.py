"""API_PROD_ORDER_CONFIRMATION_2_SRV: confirmations of production orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from dataflows.erp_simulator import fields, odata, sap_fields
from dataflows.erp_simulator.document import Document, DocumentKind, Line, OpenState
from dataflows.erp_simulator.erp import day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.posting import Confirmation, Movement, Reversal
from dataflows.erp_simulator.proposal import proposal
from dataflows.erp_simulator.refusal import Code, Refused
from dataflows.erp_simulator.sap_service import Routes, SapService, Target
from dataflows.erp_simulator.validation import in_unit

_ITEMS: Final = "to_ProdnOrdConfMatlDocItm"
_ZERO: Final = "00000000-0000-0000-0000-000000000000"


class Confirmations(SapService):
    """The service's entity sets and function imports."""

    NAME = "API_PROD_ORDER_CONFIRMATION_2_SRV"

    def _table(self) -> Routes:
        return {
            ("POST", "ProdnOrdConf2"): self._create,
            ("POST", "CancelProdnOrdConf"): self._cancel,
            ("GET", "ProdnOrdConf2"): self._read,
            ("GET", "ProdnOrdConfFailedGdsMvt"): self._failures,
            ("GET", "GetGdsMvtProposal"): self._proposal,
        }

    def _read(self, call: Call, target: Target) -> Answer:
        if not target.keys:
            return odata.collection(call, self._found(call))
        group, count = target.key("ConfirmationGroup"), target.key("ConfirmationCount")
        document = self._document(f"{group.zfill(10)}/{count.zfill(8)}")
        if target.navigation:
            return odata.answer({"results": list(self._items(document))})
        return self._said(document, 200, expand=_ITEMS in call.query.get("$expand", ""))

    def _failures(self, call: Call, _: Target) -> Answer:
        wanted = odata.conditions(call)
        return odata.collection(call, (row for row in self._failed() if odata.matches(row, wanted)))

    def _proposal(self, call: Call, _: Target) -> Answer:
        return odata.answer({"results": list(self._proposed(odata.parameters(call.query)))})

    def _create(self, call: Call, _: Target) -> Answer:
        body = call.json()
        sap_fields.only(body, sap_fields.CONFIRMATION)
        items = fields.nested(body, _ITEMS)
        movements = None if items is None else tuple(_movement(item) for item in items)
        if movements == () and not fields.flag(body, "APIConfHasNoGoodsMovements"):
            movements = None
        if fields.flag(body, "APIConfHasNoGoodsMovements"):
            if movements:
                raise Refused(Code.FIELD_WRONG, field="APIConfHasNoGoodsMovements", reason="there are goods movements")
            movements = ()
        activities = [fields.quantity(body, f"OpConfirmedWorkQuantity{n}") for n in range(1, 7)]
        document = self._erp.confirm(
            Confirmation(
                order=fields.text(body, "OrderID", 12),
                operation=fields.text(body, "OrderOperation", 4),
                posting_date=fields.day(body.get("PostingDate"), "PostingDate") or day_of(call.now_us),
                yield_quantity=fields.quantity(body, "ConfirmationYieldQuantity"),
                scrap_quantity=fields.quantity(body, "ConfirmationScrapQuantity"),
                rework_quantity=fields.quantity(body, "ConfirmationReworkQuantity"),
                unit=fields.text(body, "ConfirmationUnit", 3) or fields.text(body, "ConfirmationUnitISOCode", 3),
                plant=fields.text(body, "Plant", 4),
                work_center=fields.text(body, "WorkCenter", 8),
                reason=fields.text(body, "VarianceReasonCode", 4),
                final=fields.flag(body, "IsFinalConfirmation")
                or fields.text(body, "FinalConfirmationType", 1) in {"X", "1"},
                external_id=_external(fields.text(body, "ExternalSystemConfirmation", 36)),
                request_id=call.headers.get("requestid", ""),
                movements=movements,
                activities=any(activities),
                details={"fields": sap_fields.plain(body)},
            ),
            call.now_us,
            call.trouble.late,
        )
        return self._said(document, 201, expand=True)

    def _cancel(self, call: Call, _: Target) -> Answer:
        asked = odata.parameters(call.query)
        document = self._erp.reverse(
            Reversal(
                f"{asked.get('ConfirmationGroup', '').zfill(10)}/{asked.get('ConfirmationCount', '').zfill(8)}",
                fields.day(asked.get("PostingDate"), "PostingDate"),
                external_id=_external(asked.get("ExternalSystemConfirmation", "")),
                request_id=call.headers.get("requestid", ""),
                text=asked.get("ConfirmationText", "")[:40],
            ),
            call.now_us,
        )
        return self._said(document, 200, expand=False)

    def _said(self, document: Document, status: int, *, expand: bool) -> Answer:
        items = list(self._items(document))
        waiting = self._erp.book.open.get(document.number)
        failed = len(waiting.lines) if waiting and waiting.state is OpenState.FAILED else 0
        details = []
        if waiting is not None and failed:
            details = [{"code": waiting.message, "message": waiting.text, "severity": "error", "target": ""}]
        words = f"Confirmation saved (goods movements: {len(items)}, failed: {failed})"
        severity = "warning" if failed else "success"
        headers = {"sap-message": odata.message("RU/100", words, severity, details)}
        return odata.answer(self._row(document, items if expand else None), status, headers)

    def _found(self, call: Call) -> Iterator[Row]:
        wanted = odata.conditions(call)
        book = self._erp.book
        if external := wanted.get("ExternalSystemConfirmation"):
            numbers = list(book.by_external.get(_external(external), ()))
        elif order := wanted.get("OrderID"):
            numbers = list(book.by_order.get(self._erp.register.order(order).order, ()))
        else:
            numbers = list(range(len(book.documents)))
        expand = _ITEMS in call.query.get("$expand", "")
        for number in numbers:
            document = book.documents[number]
            if document.kind is DocumentKind.CONFIRMATION:
                row = self._row(document, list(self._items(document)) if expand else None)
                if odata.matches(row, wanted):
                    yield row

    def _row(self, document: Document, items: list[Row] | None) -> Row:
        group, _, count = document.number.partition("/")
        order = self._erp.register.order(document.order)
        row: Row = {
            **document.details.get("fields", {}),
            "ConfirmationGroup": group,
            "ConfirmationCount": count,
            "OrderID": document.order,
            "Sequence": document.details.get("fields", {}).get("Sequence") or "0",
            "OrderOperation": document.operation,
            "OrderType": order.order_type,
            "ConfirmationText": document.details.get("text")
            or document.details.get("fields", {}).get("ConfirmationText", ""),
            "Material": document.material,
            "Plant": document.plant,
            "WorkCenter": document.work_center,
            "OrderPlannedTotalQty": odata.decimal(order.planned_thousandths),
            "ProductionUnit": sap_fields.unit(order.unit),
            "FinalConfirmationType": "X" if document.final else "",
            "IsFinalConfirmation": document.final,
            "IsReversed": document.number in self._erp.book.reversed_by,
            "IsReversal": bool(document.reverses),
            "ConfirmationEntryDate": odata.date_of(day_of(document.accepted_us).isoformat()),
            "ConfirmationEntryTime": odata.time_of(document.accepted_us),
            "ExternalSystemConfirmation": document.external_id or _ZERO,
            "PostingDate": odata.date_of(document.posting_date),
            "ConfirmationUnit": sap_fields.unit(document.unit),
            "ConfirmationUnitISOCode": document.unit,
            "ConfirmationYieldQuantity": odata.decimal(document.yield_quantity),
            "ConfirmationScrapQuantity": odata.decimal(document.scrap_quantity),
            "ConfirmationReworkQuantity": odata.decimal(document.rework_quantity),
            "VarianceReasonCode": document.reason,
        }
        uri = f"ProdnOrdConf2(ConfirmationGroup='{group}',ConfirmationCount='{count}')"
        row["__metadata"] = {"uri": uri, "type": f"{self.NAME}.ProdnOrdConf2Type"}
        row[_ITEMS] = odata.children(items or [], expand=items is not None, uri=f"{uri}/{_ITEMS}")
        return row

    def _items(self, document: Document) -> Iterator[Row]:
        """Yield goods movements; those that are not posted have no document number."""
        book = self._erp.book
        for number in book.by_cause.get(document.number, ()):
            posted = book.documents[number]
            for line in posted.lines:
                yield _item(line, posted.number)
        waiting = book.open.get(document.number)
        if waiting is not None and waiting.state in {OpenState.PENDING, OpenState.FAILED}:
            for line in waiting.lines:
                yield _item(line, "/")

    def _failed(self) -> Iterator[Row]:
        """Yield goods movements that wait for reprocessing: what a person sees in COGI."""
        for waiting in self._erp.book.open.values():
            if waiting.state is OpenState.FAILED:
                group, _, count = waiting.confirmation.partition("/")
                message_class, _, message_number = waiting.message.partition("/")
                for line in waiting.lines:
                    yield {
                        "ConfirmationGroup": group,
                        "ConfirmationCount": count,
                        **{k: v for k, v in _item(line, "/").items() if not k.startswith("MaterialDocument")},
                        "MessageClass": message_class,
                        "MessageNumber": message_number,
                        "MessageText": waiting.text,
                    }

    def _proposed(self, asked: Row) -> Iterator[Row]:
        order = self._erp.register.order(asked.get("OrderID", ""))
        made = fields.quantity(asked, "ConfirmationYieldQuantity")
        unit = asked.get("ConfirmationUnit", "")
        confirmation = Confirmation(
            order.order,
            asked.get("OrderOperation", ""),
            day_of(0),
            yield_quantity=in_unit(made, unit, order.unit, self._erp.register.material(order.material)),
        )
        for item, movement in enumerate(proposal(order, confirmation), 1):
            line = Line(
                item=item,
                movement_type=movement.movement_type,
                material=movement.material,
                plant=movement.plant,
                storage_location=movement.storage_location,
                lot=movement.lot,
                stock_type="",
                quantity=movement.quantity,
                unit=movement.unit,
                entry_quantity=movement.quantity,
                entry_unit=sap_fields.unit(movement.unit),
                order=movement.order,
                reservation=movement.reservation,
                reservation_item=movement.reservation_item,
            )
            yield _item(line, "/")


def _movement(item: Row) -> Movement:
    sap_fields.only(item, sap_fields.CONFIRMATION_ITEM)
    return Movement(
        movement_type=fields.text(item, "GoodsMovementType", 3),
        material=fields.text(item, "Material"),
        quantity=fields.quantity(item, "QuantityInEntryUnit"),
        unit=fields.text(item, "EntryUnit", 3) or fields.text(item, "EntryUnitISOCode", 3),
        plant=fields.text(item, "Plant", 4),
        storage_location=fields.text(item, "StorageLocation", 4),
        lot=fields.text(item, "Batch", 10),
        stock_type=sap_fields.coded(item, "InventoryUsabilityCode", sap_fields.USABILITY),
        order=fields.text(item, "OrderID", 12),
        reservation=fields.text(item, "Reservation", 10),
        reservation_item=fields.text(item, "ReservationItem", 4),
    )


def _item(line: Line, document: str) -> dict[str, Any]:
    number, _, year = document.partition("/")
    return {
        "MaterialDocument": number,
        "MaterialDocumentItem": str(line.item) if number else "",
        "MaterialDocumentYear": year,
        "OrderID": line.order,
        "Material": line.material,
        "Plant": line.plant,
        "StorageLocation": line.storage_location,
        "Batch": line.lot,
        "GoodsMovementType": line.movement_type,
        "Reservation": line.reservation,
        "ReservationItem": line.reservation_item,
        "EntryUnit": sap_fields.unit(line.entry_unit),
        "QuantityInEntryUnit": odata.decimal(line.entry_quantity),
    }


def _external(value: str) -> str:
    """Return an external key as it is kept: lower case, nothing for the empty UUID."""
    value = value.lower()
    return "" if value == _ZERO else value
