"""API_INSPECTIONLOT_SRV: inspection lots, their usage decision, and the stock posting that follows it."""

from __future__ import annotations

from collections.abc import Iterator

from dataflows.erp_simulator import fields, inspections, odata, sap_fields
from dataflows.erp_simulator.document import Document
from dataflows.erp_simulator.erp import day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.posting import Decision, GoodsMovement, Movement
from dataflows.erp_simulator.refusal import Code, Refused
from dataflows.erp_simulator.sap_service import Routes, SapService, Target


class Inspections(SapService):
    """The service's entity sets."""

    NAME = "API_INSPECTIONLOT_SRV"

    def _table(self) -> Routes:
        return {
            ("GET", "A_InspectionLot"): self._read,
            ("POST", "A_InspLotUsageDecision"): self._decide,
            ("GET", "A_InspLotUsageDecision"): self._decision,
            ("POST", "A_InspLotMatlDocItem"): self._post,
            ("GET", "A_InspLotMatlDocItem"): self._posted,
        }

    def _read(self, call: Call, target: Target) -> Answer:
        wanted = {"InspectionLot": target.key("InspectionLot")} if target.keys else odata.conditions(call)
        return odata.collection(call, (row for row in self._lots() if odata.matches(row, wanted)))

    def _lots(self) -> Iterator[Row]:
        book = self._erp.book
        for lot, (number, item) in book.inspections.items():
            line = book.documents[book.by_number[number]].lines[item - 1]
            material_document, _, year = number.partition("/")
            yield {
                "InspectionLot": lot,
                "Material": line.material,
                "Plant": line.plant,
                "Batch": line.lot,
                "ManufacturingOrder": line.order,
                "InspectionLotQuantity": odata.decimal(line.quantity),
                "InspectionLotQuantityUnit": sap_fields.unit(line.unit),
                "InspLotQtyToBePosted": odata.decimal(line.quantity - book.inspected[lot]),
                "MaterialDocument": material_document,
                "MaterialDocumentYear": year,
                "InspectionLotHasUsageDecision": lot in book.decisions,
            }

    def _decide(self, call: Call, _: Target) -> Answer:
        body = call.json()
        sap_fields.only(body, sap_fields.USAGE_DECISION)
        valuation = fields.text(body, "InspLotUsageDecisionValuation", 1)
        code = fields.text(body, "InspectionLotUsageDecisionCode", 4)
        if not code:
            raise Refused(Code.FIELD_WRONG, field="InspectionLotUsageDecisionCode", reason="it is empty")
        lot = fields.text(body, "InspectionLot", 12)
        inspections.decide(
            self._erp,
            Decision(
                lot,
                accepted=(valuation or code[0].upper()) == "A",
                request_id=call.headers.get("requestid", ""),
                details={"fields": sap_fields.plain(body)},
            ),
            fields.day(body.get("InspectionLotUsageDecidedOn"), "InspectionLotUsageDecidedOn") or day_of(call.now_us),
            call.now_us,
        )
        return odata.answer(self._row(lot), 201)

    def _decision(self, _: Call, target: Target) -> Answer:
        lot = target.key("InspectionLot")
        if lot not in self._erp.book.decisions:
            raise Refused(Code.INSPECTION_LOT_UNKNOWN, lot=lot)
        return odata.answer(self._row(lot))

    def _row(self, lot: str) -> Row:
        book = self._erp.book
        document = book.documents[book.by_number[book.decisions[lot]]]
        return {
            **document.details.get("fields", {}),
            "InspectionLot": lot,
            "InspLotUsageDecisionValuation": "A" if document.details["accepted"] else "R",
            "InspectionLotUsageDecidedOn": odata.date_of(document.posting_date),
        }

    def _post(self, call: Call, _: Target) -> Answer:
        body = call.json()
        sap_fields.only(body, sap_fields.INSPECTION_STOCK)
        lot = fields.text(body, "InspectionLot", 12)
        document = inspections.post_inspected(
            self._erp,
            lot,
            sap_fields.coded(body, "UsageDecisionStockType", sap_fields.DECISION_MOVES),
            Movement(
                "",
                "",
                fields.quantity(body, "InspLotQtyPosted"),
                fields.text(body, "InspLotMatlDocItmQtyUnit", 3),
                receiving_location=fields.text(body, "StorageLocation", 4),
                receiving_lot=fields.text(body, "InspLotBatchTransferredTo", 10),
            ),
            GoodsMovement(
                (),
                day_of(call.now_us),
                external_id=fields.text(body, "MaterialDocumentItemText", 50),
                request_id=call.headers.get("requestid", ""),
            ),
            call.now_us,
        )
        return odata.answer({**body, **_item(document)}, 201)

    def _posted(self, call: Call, _: Target) -> Answer:
        wanted = odata.conditions(call)
        book = self._erp.book
        documents = [book.documents[n] for n in book.by_external.get(wanted.get("MaterialDocumentItemText", ""), ())]
        rows = (_item(document) for document in documents if document.lines and document.lines[0].inspection_lot)
        return odata.collection(call, (row for row in rows if odata.matches(row, wanted)))


def _item(document: Document) -> Row:
    (line,) = document.lines
    number, year = document.number.split("/")
    return {
        "InspectionLot": line.inspection_lot,
        "InspLotQtyPosted": odata.decimal(line.entry_quantity),
        "InspLotMatlDocItmQtyUnit": sap_fields.unit(line.entry_unit),
        "StorageLocation": line.receiving_location,
        "MaterialDocumentItemText": document.external_id,
        "MaterialDocument": number,
        "MaterialDocumentYear": year,
        "MaterialDocumentItem": str(line.item),
        "CreationDate": odata.date_of(day_of(document.accepted_us).isoformat()),
    }
