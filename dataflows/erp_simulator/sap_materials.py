"""API_MATERIAL_DOCUMENT_SRV: goods movements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dataflows.erp_simulator import fields, odata, sap_fields
from dataflows.erp_simulator.document import Document, DocumentKind, Line
from dataflows.erp_simulator.erp import day_of
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.posting import GoodsMovement, Movement, Reversal
from dataflows.erp_simulator.refusal import Code, Refused
from dataflows.erp_simulator.sap_service import Routes, SapService, Target

_ITEMS: Final = "to_MaterialDocumentItem"


class MaterialDocuments(SapService):
    """The service's entity sets and function imports."""

    NAME = "API_MATERIAL_DOCUMENT_SRV"

    def _table(self) -> Routes:
        return {
            ("POST", "A_MaterialDocumentHeader"): self._create,
            ("POST", "Cancel"): self._cancel,
            ("GET", "A_MaterialDocumentHeader"): self._read,
            ("GET", "A_MaterialDocumentItem"): self._lines,
        }

    def _read(self, call: Call, target: Target) -> Answer:
        if not target.keys:
            return odata.collection(call, self._headers(call))
        document = self._document(f"{target.key('MaterialDocument')}/{target.key('MaterialDocumentYear')}")
        if target.navigation:
            return odata.answer({"results": list(self._items(document))})
        return odata.answer(self._header(document, expand=_ITEMS in call.query.get("$expand", "")))

    def _create(self, call: Call, _: Target) -> Answer:
        body = call.json()
        sap_fields.only(body, sap_fields.MATERIAL_DOCUMENT)
        document = self._erp.move(
            GoodsMovement(
                tuple(_movement(item) for item in fields.nested(body, _ITEMS) or ()),
                fields.day(body.get("PostingDate"), "PostingDate") or day_of(call.now_us),
                code=fields.text(body, "GoodsMovementCode", 2),
                external_id=fields.text(body, "ReferenceDocument", 16),
                request_id=call.headers.get("requestid", ""),
                details={"fields": sap_fields.plain(body)},
            ),
            call.now_us,
        )
        return odata.answer(self._header(document, expand=True), 201)

    def _cancel(self, call: Call, _: Target) -> Answer:
        asked = odata.parameters(call.query)
        document = self._erp.reverse(
            Reversal(
                f"{asked.get('MaterialDocument', '')}/{asked.get('MaterialDocumentYear', '')}",
                fields.day(asked.get("PostingDate"), "PostingDate"),
                request_id=call.headers.get("requestid", ""),
            ),
            call.now_us,
        )
        return odata.answer(self._header(document, expand=False))

    def _documents(self, wanted: dict[str, str]) -> Iterator[Document]:
        book = self._erp.book
        if reference := wanted.get("ReferenceDocument"):
            numbers = list(book.by_external.get(reference, ()))
        elif {"ReversedMaterialDocument", "ReversedMaterialDocumentYear"} <= wanted.keys():
            original = f"{wanted['ReversedMaterialDocument']}/{wanted['ReversedMaterialDocumentYear']}"
            found = book.by_number.get(book.reversed_by.get(original, ""))
            numbers = [] if found is None else [found]
        elif order := wanted.get("ManufacturingOrder"):
            numbers = list(book.by_order.get(self._erp.register.order(order).order, ()))
        else:
            numbers = list(range(len(book.documents)))
        for number in numbers:
            if book.documents[number].kind is DocumentKind.GOODS_MOVEMENT:
                yield book.documents[number]

    def _headers(self, call: Call) -> Iterator[Row]:
        wanted = odata.conditions(call)
        if "ManufacturingOrder" in wanted:
            raise Refused(Code.FIELD_WRONG, field="$filter", reason="ManufacturingOrder is known on the item only")
        for document in self._documents(wanted):
            row = self._header(document, expand=_ITEMS in call.query.get("$expand", ""))
            if odata.matches(row, wanted):
                yield row

    def _lines(self, call: Call, target: Target) -> Answer:
        wanted = {**odata.conditions(call), **target.keys}
        rows = (row for document in self._documents(wanted) for row in self._items(document))
        return odata.collection(call, (row for row in rows if odata.matches(row, wanted)))

    def _header(self, document: Document, *, expand: bool) -> Row:
        number, _, year = document.number.partition("/")
        sent = document.details.get("fields", {})
        uri = f"A_MaterialDocumentHeader(MaterialDocumentYear='{year}',MaterialDocument='{number}')"
        return {
            "__metadata": {"uri": uri, "type": f"{self.NAME}.A_MaterialDocumentHeaderType"},
            "MaterialDocumentYear": year,
            "MaterialDocument": number,
            "InventoryTransactionType": "WR" if document.cause else "WA",
            "DocumentDate": sent.get("DocumentDate") or odata.date_of(document.posting_date),
            "PostingDate": odata.date_of(document.posting_date),
            "CreationDate": odata.date_of(day_of(document.accepted_us).isoformat()),
            "CreationTime": odata.time_of(document.accepted_us),
            "MaterialDocumentHeaderText": sent.get("MaterialDocumentHeaderText", ""),
            "ReferenceDocument": document.external_id,
            "GoodsMovementCode": sent.get("GoodsMovementCode", ""),
            _ITEMS: odata.children(list(self._items(document)) if expand else [], expand=expand, uri=f"{uri}/{_ITEMS}"),
        }

    def _items(self, document: Document) -> Iterator[Row]:
        number, _, year = document.number.partition("/")
        reversed_number, _, reversed_year = document.reverses.partition("/")
        for line in document.lines:
            yield {
                **item(line),
                "MaterialDocumentYear": year,
                "MaterialDocument": number,
                "MaterialDocumentItem": str(line.item),
                "IsAutomaticallyCreated": "X" if line.automatic else "",
                "GoodsMovementIsCancelled": document.number in self._erp.book.reversed_by,
                "ReversedMaterialDocumentYear": reversed_year or "0000",
                "ReversedMaterialDocument": reversed_number,
                "ReversedMaterialDocumentItem": str(line.item) if reversed_number else "0",
            }


def item(line: Line) -> Row:
    """Return the fields of an item that its document does not decide."""
    return {
        "Material": line.material,
        "Plant": line.plant,
        "StorageLocation": line.storage_location,
        "Batch": line.lot,
        "GoodsMovementType": line.movement_type,
        "InventoryStockType": sap_fields.stock_type(line.stock_type),
        "ManufacturingOrder": line.order,
        "ManufacturingOrderItem": "1" if line.order else "0",
        "GoodsMovementRefDocType": "F" if line.order else "",
        "Reservation": line.reservation or "0",
        "ReservationItem": line.reservation_item or "0",
        "MaterialBaseUnit": sap_fields.unit(line.unit),
        "QuantityInBaseUnit": odata.decimal(line.quantity),
        "EntryUnit": sap_fields.unit(line.entry_unit),
        "QuantityInEntryUnit": odata.decimal(line.entry_quantity),
        "IssuingOrReceivingStorageLoc": line.receiving_location,
        "IssgOrRcvgMaterial": line.receiving_material,
        "IssgOrRcvgBatch": line.receiving_lot,
    }


def _movement(body: Row) -> Movement:
    sap_fields.only(body, sap_fields.MATERIAL_DOCUMENT_ITEM)
    return Movement(
        movement_type=fields.text(body, "GoodsMovementType", 3),
        material=fields.text(body, "Material"),
        quantity=fields.quantity(body, "QuantityInEntryUnit"),
        unit=fields.text(body, "EntryUnit", 3),
        plant=fields.text(body, "Plant", 4),
        storage_location=fields.text(body, "StorageLocation", 4),
        lot=fields.text(body, "Batch", 10),
        stock_type=sap_fields.coded(body, "InventoryStockType", sap_fields.STOCK_TYPES),
        order=fields.text(body, "ManufacturingOrder", 12),
        reservation=fields.text(body, "Reservation", 10),
        reservation_item=fields.text(body, "ReservationItem", 4),
        receiving_location=fields.text(body, "IssuingOrReceivingStorageLoc", 4),
        receiving_material=fields.text(body, "IssgOrRcvgMaterial"),
        receiving_lot=fields.text(body, "IssgOrRcvgBatch", 10),
    )
