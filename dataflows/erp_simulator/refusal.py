"""Why an ERP refuses a posting: one table, and each protocol's words for it.

SAP's class and number are those its users meet where they are well known (BS, M7, M3, CO); those of
class RU and the names of Oracle and Dynamics are chosen to look alike, and no list of theirs.
``TRANSIENT`` refusals go away by themselves; all others need a person or other data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """What was wrong."""

    ORDER_UNKNOWN = "order_unknown"
    ORDER_NOT_RELEASED = "order_not_released"
    ORDER_BLOCKED = "order_blocked"  # by a person, until further notice
    ORDER_LOCKED = "order_locked"  # by somebody who edits it right now
    ORDER_COMPLETE = "order_technically_complete"
    ORDER_CLOSED = "order_closed"
    ORDER_DELETED = "order_deleted"
    OPERATION_UNKNOWN = "operation_unknown"
    LEVEL_MIXED = "order_and_operation_level_mixed"
    WORK_CENTER_UNKNOWN = "work_center_unknown"
    PLANT_WRONG = "plant_wrong"
    MATERIAL_UNKNOWN = "material_unknown"
    LOT_UNKNOWN = "lot_unknown"
    LOT_MISSING = "lot_missing"
    UNIT_UNKNOWN = "unit_unknown"
    QUANTITY_NOT_POSITIVE = "quantity_not_positive"
    QUANTITY_TOO_FINE = "quantity_too_fine"
    OVER_DELIVERY = "over_delivery"
    YIELD_ABOVE_PREDECESSOR = "yield_above_predecessor"
    FINAL_ALREADY = "final_confirmation_exists"
    PERIOD_CLOSED = "period_closed"
    EXTERNAL_ID_EXISTS = "external_id_exists"
    MOVEMENT_TYPE_UNKNOWN = "movement_type_unknown"
    MOVEMENT_CODE_WRONG = "movement_type_not_of_code"
    STOCK_MISSING = "stock_missing"
    MATERIAL_LOCKED = "material_locked"
    DOCUMENT_UNKNOWN = "document_unknown"
    REVERSED_ALREADY = "reversed_already"
    INSPECTION_LOT_UNKNOWN = "inspection_lot_unknown"
    DECIDED_ALREADY = "decided_already"
    NOT_DECIDED = "not_decided"
    FIELD_WRONG = "field_wrong"
    REQUEST_OUTDATED = "request_outdated"


@dataclass(frozen=True, slots=True)
class Words:
    """The message of a code: SAP's ``class/number`` and HTTP status, Oracle's name, and the text of all.

    SAP answers 400 for a locked order too: only the message tells it from wrong data.
    """

    sap: str
    oracle: str
    text: str
    status: int = 400


WORDS: Final[Mapping[Code, Words]] = {
    Code.ORDER_UNKNOWN: Words("CO/017", "WIE_WORK_ORDER_INVALID", "Order {order} not found"),
    Code.ORDER_NOT_RELEASED: Words("BS/013", "WIE_WORK_ORDER_NOT_RELEASED", "Order {order} is not released"),
    Code.ORDER_BLOCKED: Words("BS/007", "WIE_WORK_ORDER_ON_HOLD", "System status LKD is active (ORD {order})"),
    Code.ORDER_LOCKED: Words("CO/469", "WIE_WORK_ORDER_LOCKED", "Order {order} is locked by user {user}"),
    Code.ORDER_COMPLETE: Words("BS/007", "WIE_WORK_ORDER_COMPLETED", "System status TECO is active (ORD {order})"),
    Code.ORDER_CLOSED: Words("BS/007", "WIE_WORK_ORDER_CLOSED", "System status CLSD is active (ORD {order})"),
    Code.ORDER_DELETED: Words("BS/007", "WIE_WORK_ORDER_CANCELED", "System status DLFL is active (ORD {order})"),
    Code.OPERATION_UNKNOWN: Words(
        "RU/012", "WIE_OPERATION_INVALID", "Operation {operation} of order {order} does not exist"
    ),
    Code.LEVEL_MIXED: Words(
        "RU/148", "WIE_LEVEL_MIXED", "Order {order}: confirmations of the order and of its operations cannot be mixed"
    ),
    Code.WORK_CENTER_UNKNOWN: Words(
        "RU/021", "WIE_RESOURCE_INVALID", "Work center {work_center} does not exist in plant {plant}"
    ),
    Code.PLANT_WRONG: Words("RU/024", "WIE_ORGANIZATION_INVALID", "Order {order} does not belong to plant {plant}"),
    Code.MATERIAL_UNKNOWN: Words("M7/001", "INV_ITEM_INVALID", "Material {material} does not exist"),
    Code.LOT_UNKNOWN: Words("M7/042", "INV_LOT_INVALID", "Batch {lot} of material {material} does not exist"),
    Code.LOT_MISSING: Words("M7/018", "INV_LOT_REQUIRED", "Enter Batch (material {material})"),
    Code.UNIT_UNKNOWN: Words("BM/302", "INV_UOM_INVALID", "Unit {unit} is not defined for material {material}"),
    Code.QUANTITY_NOT_POSITIVE: Words("RU/036", "WIE_QUANTITY_INVALID", "Enter a quantity greater than zero"),
    Code.QUANTITY_TOO_FINE: Words("BM/304", "WIE_QUANTITY_PRECISION", "{quantity} has more decimals than allowed"),
    Code.OVER_DELIVERY: Words(
        "RU/254", "WIE_OVERCOMPLETION", "Overdelivery: {total} exceeds {limit} of order {order} {operation}"
    ),
    Code.YIELD_ABOVE_PREDECESSOR: Words(
        "RU/257",
        "WIE_QTY_EXCEEDS_PREDECESSOR",
        "Operation {operation} of order {order}: yield {total} exceeds that of operation {predecessor}, {limit}",
    ),
    Code.FINAL_ALREADY: Words(
        "RU/112", "WIE_OPERATION_COMPLETED", "Operation {operation} of order {order} is finally confirmed"
    ),
    Code.PERIOD_CLOSED: Words("M7/053", "INV_PERIOD_NOT_OPEN", "Posting only possible in periods {periods}"),
    Code.EXTERNAL_ID_EXISTS: Words(
        "RU/363", "WIE_DUPLICATE", "Confirmation with external key {external_id} already exists: {document}"
    ),
    Code.MOVEMENT_TYPE_UNKNOWN: Words("M7/002", "INV_TXN_TYPE_INVALID", "Movement type {movement_type} is not known"),
    Code.MOVEMENT_CODE_WRONG: Words(
        "M7/108",
        "INV_TXN_ACTION_INVALID",
        "Movement type {movement_type} is not allowed with code {goods_movement_code}",
    ),
    Code.STOCK_MISSING: Words(
        "M7/021", "INV_INSUFFICIENT_QTY", "Deficit of {quantity} {unit}: {material} {plant} {storage_location} {lot}"
    ),
    Code.MATERIAL_LOCKED: Words("M3/024", "INV_ITEM_LOCKED", "Material {material} is locked by user {user}"),
    Code.DOCUMENT_UNKNOWN: Words("M7/061", "WIE_TXN_INVALID", "Document {document} does not exist", 404),
    Code.REVERSED_ALREADY: Words("RU/469", "WIE_TXN_REVERSED", "Document {document} is already reversed"),
    Code.INSPECTION_LOT_UNKNOWN: Words("QA/101", "QA_INSPECTION_INVALID", "Inspection lot {lot} does not exist", 404),
    Code.DECIDED_ALREADY: Words("QV/104", "QA_DECIDED", "Inspection lot {lot}: usage decision has already been made"),
    Code.NOT_DECIDED: Words("QV/117", "QA_NOT_DECIDED", "Inspection lot {lot}: no usage decision has been made"),
    Code.FIELD_WRONG: Words("/IWBEP/CM_MGW_RT/019", "JBO-25009", "Property {field} has an invalid value: {reason}"),
    Code.REQUEST_OUTDATED: Words("/IWBEP/CM_COS/005", "REQUEST_OUTDATED", "Idempotent service: RequestID is outdated"),
}
TRANSIENT: Final = frozenset({Code.ORDER_LOCKED, Code.MATERIAL_LOCKED})


class Refused(Exception):
    """The ERP does not accept a posting; nothing of it has been booked."""

    retryable = False

    def __init__(self, code: Code, **values: object) -> None:
        self.code = code
        self.words = WORDS[code]
        super().__init__(self.words.text.format(**values))
