"""A posting as SAP's services want it: paths, parameters and bodies.

Laws: a posting always becomes the same bytes. Quantities are exact: thousandths are Dec(13,3)'s own grain. What
a service has no room for is refused (``Unmappable``) rather than cut.

A material document has no field for a UUID. ReferenceDocument (C16) and MaterialDocumentHeaderText (C25) hold the
two halves of the posting id, and ``find`` asks for both.

Source: API_PROD_ORDER_CONFIRMATION_2_SRV, API_MATERIAL_DOCUMENT_SRV (DOMAIN 3.7, 3.10); M17, M25, M30.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from sinks.erp.amounts import DECIMAL_13_3_MAX, decimal, duration, edm_date, edm_time, local
from sinks.erp.settings import SapSettings
from sinks.erp.unmappable import Unmappable

CONFIRMATIONS: Final = "ProdnOrdConf2"
CONFIRMATION_ITEMS: Final = "to_ProdnOrdConfMatlDocItm"
CANCEL_CONFIRMATION: Final = "CancelProdnOrdConf"
MATERIAL_DOCUMENTS: Final = "A_MaterialDocumentHeader"
MATERIAL_ITEMS: Final = "to_MaterialDocumentItem"
MATERIAL_DOCUMENT_ITEMS: Final = "A_MaterialDocumentItem"
CANCEL_MATERIAL_DOCUMENT: Final = "Cancel"

SAP_UNITS: Final[Mapping[str, str]] = {
    "H87": "PC",
    "C62": "EA",
    "EA": "EA",
    "PR": "PAA",
    "DZN": "DZ",
    "GRO": "GRO",
    "MIL": "TS",
    "SET": "SET",
    "KT": "KIT",
    "MGM": "MG",
    "GRM": "G",
    "KGM": "KG",
    "TNE": "TO",
    "ONZ": "OZ",
    "LBR": "LB",
    "MLT": "ML",
    "CLT": "CL",
    "LTR": "L",
    "HLT": "HL",
    "MTQ": "M3",
    "CMQ": "CCM",
    "DMQ": "DM3",
    "GLL": "GLL",
    "4H": "µM",
    "MMT": "MM",
    "CMT": "CM",
    "DMT": "DM",
    "MTR": "M",
    "KMT": "KM",
    "INH": '"',
    "FOT": "FT",
    "YRD": "YD",
    "MMK": "MM2",
    "CMK": "CM2",
    "MTK": "M2",
    "SEC": "S",
    "MIN": "MIN",
    "HUR": "H",
    "DAY": "DAY",
    "KWH": "KWH",
    "MWH": "MWH",
    "P1": "%",
}
"""SAP's units as table T006 is delivered; others, and those a customer has changed, are settings."""

STOCK_TYPES: Final[Mapping[StockType, str]] = {
    StockType.UNRESTRICTED: "01",
    StockType.QUALITY: "02",
    StockType.BLOCKED: "07",
}
MOVEMENT_CODES: Final[Mapping[PostingKind, str]] = {
    PostingKind.GOODS_RECEIPT: "02",
    PostingKind.GOODS_ISSUE: "03",
    PostingKind.STOCK_TRANSFER: "04",
}


def confirms(posting: Posting) -> bool:
    """Return whether a posting, or what a reversal takes back, is a confirmation and no movement of goods."""
    return posting.kind is PostingKind.CONFIRMATION or (posting.kind is PostingKind.REVERSAL and not posting.movements)


def confirmation(posting: Posting, settings: SapSettings) -> dict[str, Any]:
    """Return the ``ProdnOrdConf2`` of a posting; backflush and receipt are left to the ERP.

    Raises: Unmappable.
    """
    if posting.movements:
        raise Unmappable("movements", "a confirmation with goods movements; post these as documents of their own")
    zone = settings.plant_time_zones.get(posting.erp_plant, settings.time_zone)
    begin, end = local(posting.start_us, zone), local(posting.end_us, zone)
    body: dict[str, Any] = {
        "OrderID": order_number(posting.order),
        "Sequence": "0",
        "OrderOperation": operation_number(posting.operation),
        "Plant": posting.erp_plant,
        "WorkCenter": posting.work_center,
        "FinalConfirmationType": "X" if posting.final else "",
        "IsFinalConfirmation": posting.final,
        "ExternalSystemConfirmation": str(posting.posting_id),
        "PostingDate": edm_date(posting.posting_date),
        "ConfirmationText": posting.lot,
        "ConfirmedExecutionStartDate": edm_date(begin.date()),
        "ConfirmedExecutionStartTime": edm_time(begin),
        "ConfirmedExecutionEndDate": edm_date(end.date()),
        "ConfirmedExecutionEndTime": edm_time(end),
        "ConfirmationUnit": sap_unit(posting.unit, settings),
        "ConfirmationYieldQuantity": quantity(posting.good),
        "ConfirmationScrapQuantity": quantity(posting.scrap),
        "ConfirmationReworkQuantity": quantity(posting.rework),
        "VarianceReasonCode": posting.reason,
    }
    times = {"setup": posting.setup_us, "machine": posting.machine_us, "labour": posting.labour_us}
    for number, activity in enumerate(settings.activities, 1):
        # What is absent counts as none, and an operation without standard values refuses the field.
        if activity is not None and times[activity.time]:
            body[f"OpWorkQuantityUnit{number}"] = sap_unit(activity.unit, settings)
            body[f"OpConfirmedWorkQuantity{number}"] = quantity(duration(times[activity.time], activity.unit))
    return body


def material_document(posting: Posting, settings: SapSettings) -> dict[str, Any]:
    """Return the ``A_MaterialDocumentHeader`` of a posting, with its items.

    Raises: Unmappable.
    """
    reference, header_text = references(posting.posting_id)
    return {
        "GoodsMovementCode": MOVEMENT_CODES[posting.kind],
        "PostingDate": edm_date(posting.posting_date),
        "DocumentDate": edm_date(posting.document_date),
        "ReferenceDocument": reference,
        "MaterialDocumentHeaderText": header_text,
        MATERIAL_ITEMS: {"results": [_item(posting, line, settings) for line in posting.movements]},
    }


def _item(posting: Posting, line: Movement, settings: SapSettings) -> dict[str, Any]:
    item = {
        "Material": line.material,
        "Plant": posting.erp_plant,
        "StorageLocation": line.storage_location,
        "Batch": line.lot,
        "GoodsMovementType": line.movement_type,
        "EntryUnit": sap_unit(line.unit, settings),
        "QuantityInEntryUnit": quantity(line.quantity),
        "MaterialDocumentItemText": str(posting.posting_id),
    }
    if posting.kind is PostingKind.STOCK_TRANSFER:
        # Which stock types are meant is what the movement type says.
        item["IssuingOrReceivingPlant"] = posting.erp_plant
        item["IssuingOrReceivingStorageLoc"] = line.to_storage_location or line.storage_location
        return item
    item["ManufacturingOrder"] = order_number(posting.order) if posting.order else ""
    if posting.kind is PostingKind.GOODS_RECEIPT:
        item["ManufacturingOrderItem"] = "1"
        item["GoodsMovementRefDocType"] = "F"
        item["InventoryStockType"] = STOCK_TYPES[line.stock_type]
    elif line.reservation:
        item["Reservation"] = line.reservation
        item["ReservationItem"] = line.reservation_item
    return item


def cancel_confirmation(posting: Posting, original: str) -> dict[str, str]:
    """Return the parameters of ``CancelProdnOrdConf`` for the document ``group/count``."""
    group, _, count = original.partition("/")
    return {
        "ConfirmationGroup": literal(group),
        "ConfirmationCount": literal(count),
        "PostingDate": f"datetime'{posting.posting_date.isoformat()}T00:00:00'",
        "ConfirmationText": literal(posting.reverses[:40]),
        "ExternalSystemConfirmation": f"guid'{posting.posting_id}'",
    }


def cancel_material_document(posting: Posting, original: str) -> dict[str, str]:
    """Return the parameters of ``Cancel`` for the document ``number/year``."""
    number, _, year = original.partition("/")
    return {
        "MaterialDocument": literal(number),
        "MaterialDocumentYear": literal(year),
        "PostingDate": f"datetime'{posting.posting_date.isoformat()}T00:00:00'",
    }


def references(posting_id: UUID) -> tuple[str, str]:
    """Return what a material document carries of a posting id: (ReferenceDocument, MaterialDocumentHeaderText)."""
    digits = posting_id.hex.upper()
    return digits[:16], digits[16:]


def order_number(order: str) -> str:
    """Return an order as SAP stores it: a number with leading zeros to twelve digits, anything else as it is."""
    return order.zfill(12) if order.isascii() and order.isdigit() else order


def operation_number(operation: str) -> str:
    """Return an operation as SAP stores it: a number with leading zeros to four digits."""
    return operation.zfill(4) if operation.isascii() and operation.isdigit() else operation


def sap_unit(code: str, settings: SapSettings) -> str:
    """Return SAP's unit for a Recommendation 20 code.

    Raises: Unmappable.
    """
    found = settings.units.get(code) or SAP_UNITS.get(code)
    if found is None:
        raise Unmappable("unit", f"SAP's unit for {code} is not known; add {code} to units in the ERP's settings")
    return found


def quantity(thousandths: int) -> str:
    """Return thousandths as SAP's Dec(13,3).

    Raises: Unmappable where it has more than ten digits before the point.
    """
    if thousandths > DECIMAL_13_3_MAX:
        raise Unmappable("quantity", f"{decimal(thousandths)} is beyond Dec(13,3); use a coarser unit")
    return decimal(thousandths)


def literal(value: str) -> str:
    """Return a text as a literal of OData."""
    return "'" + value.replace("'", "''") + "'"
