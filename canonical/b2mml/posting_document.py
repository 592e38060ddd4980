"""A posting as B2MML V0700: a ProcessOperationsPerformance with one response, its id that of the posting.

Laws: the same posting gives the same bytes, so nothing but the posting is asked for, and the document is as old as the
last event it accounts for; ``segments`` of the document give back what is posted, to the thousandth and the
microsecond.

| posting | document |
|---|---|
| id, order | OperationsResponse/ID, OperationsRequestID |
| plant in the ERP | HierarchyScope, a Site |
| operation, start, end, day | SegmentRequirementID, ActualStartTime, ActualEndTime, PostingDate |
| final | SegmentState Completed, else Running |
| yield of a confirmation | MaterialActual *Yield Produced*: it moves no goods |
| scrap, reason, rework | SegmentData; the standard has no use for scrap |
| machine and setup time, labour | EquipmentActual, PersonnelActual, in seconds |
| goods issue, goods receipt | MaterialActual *Consumed*, *Produced* |
| stock transfer | OperationsType Inventory; *Material Consumed* there, *Material Produced* here |
| reversal | CancelOperationsPerformance of the response that it takes back, ResponseState Aborted |

Source: B2MML V0700, OperationsPerformance; DOMAIN 3.1, 3.10; M17, M30, M32.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape

from canonical.b2mml.document import NAMESPACES
from canonical.b2mml.event_lines import COMPLETED, REWORK, SCRAP, SCRAP_REASON, SETUP
from canonical.b2mml.orders import CONSUMED, PRODUCED
from canonical.contracts.posting import Movement, Posting, PostingKind

NAMESPACE, RELEASE = list(NAMESPACES.items())[-1]
"""The newest release that is read."""
SENDER: Final = "plantsync"

MOVEMENT_TYPE: Final = "MovementType"
STOCK_TYPE: Final = "StockType"
RESERVATION: Final = "Reservation"
RESERVATION_ITEM: Final = "ReservationItem"
DOCUMENT_DATE: Final = "DocumentDate"
SHIFT: Final = "Shift"
CORRELATION: Final = "CorrelationID"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNWRITABLE: Final = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]|^\\s|\\s$")
_CONSUMED, _MATERIAL_CONSUMED = CONSUMED
_PRODUCED, _YIELD, _MATERIAL_PRODUCED = PRODUCED


class Unwritable(ValueError):
    """What a document would not give back as it is.

    A text with control characters or blanks around it, a time beyond the calendar, a negative duration.
    """


def performance(posting: Posting) -> bytes:
    """Return the document of a posting. Raises: Unwritable."""
    reversal = posting.kind is PostingKind.REVERSAL
    verb = "Cancel" if reversal else "Process"
    inventory = posting.kind is PostingKind.STOCK_TRANSFER
    operations = _element("OperationsType", "Inventory" if inventory else "Production")
    response = posting.reverses if reversal else str(posting.posting_id)
    body = _of(
        f"{verb}OperationsPerformance",
        _of(
            "ApplicationArea",
            _of("Sender", _element("LogicalID", SENDER)),
            _element("CreationDateTime", _instant(posting.end_us)),
            _element("BODID", str(posting.posting_id)),
        ),
        _of(
            "DataArea",
            f"<{verb}/>",
            _of(
                "OperationsPerformance",
                _element("ID", response),
                operations,
                _of(
                    "OperationsResponse",
                    _element("ID", response),
                    _of(
                        "HierarchyScope", _element("EquipmentID", posting.erp_plant), _element("EquipmentLevel", "Site")
                    ),
                    operations,
                    _optional("OperationsRequestID", posting.order),
                    _element("ResponseState", "Aborted" if reversal else COMPLETED),
                    _segment(posting),
                ),
            ),
        ),
        attributes=f' xmlns="{NAMESPACE}" releaseID="{RELEASE}"',
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


def _segment(posting: Posting) -> str:
    facts = (
        (SCRAP, _decimal(posting.scrap) if posting.scrap else "", "decimal", posting.unit),
        (SCRAP_REASON, posting.reason, "string", ""),
        (REWORK, _decimal(posting.rework) if posting.rework else "", "decimal", posting.unit),
        (DOCUMENT_DATE, posting.document_date.isoformat(), "date", ""),
        (SHIFT, posting.shift, "string", ""),
        (CORRELATION, posting.correlation_id, "string", ""),
    )
    return _of(
        "SegmentResponse",
        _element("ID", str(posting.posting_id)),
        _element("PostingDate", f"{posting.posting_date.isoformat()}T00:00:00"),
        _element("ActualStartTime", _instant(posting.start_us)),
        _element("ActualEndTime", _instant(posting.end_us)),
        _optional("SegmentRequirementID", posting.operation),
        _element("SegmentState", COMPLETED if posting.final else "Running"),
        *(_of("SegmentData", _element("ID", name), _value(*fact)) for name, *fact in facts if fact[0]),
        _labour(posting),
        *_equipment(posting),
        *_materials(posting),
    )


def _labour(posting: Posting) -> str:
    if not posting.labour_us:
        return ""
    return _of(
        "PersonnelActual", _element("ID", "labour"), _element("PersonnelUse", "Labour"), _time(posting.labour_us)
    )


def _equipment(posting: Posting) -> list[str]:
    times = [("machine", "Machine", posting.machine_us), ("setup", SETUP, posting.setup_us)]
    return [
        _of(
            "EquipmentActual",
            _element("ID", name),
            _optional("EquipmentID", posting.work_center),
            _element("EquipmentUse", use),
            _time(spent_us) if spent_us else "",
        )
        for name, use, spent_us in times
        if spent_us or (name == "machine" and posting.work_center)
    ]


def _materials(posting: Posting) -> list[str]:
    lines: list[str] = []
    reverses_yield = posting.kind is PostingKind.REVERSAL and not posting.movements
    confirms = posting.kind is PostingKind.CONFIRMATION or reverses_yield
    if confirms and (posting.good or posting.material or posting.lot):
        good = Movement(
            movement_type="", material=posting.material, lot=posting.lot, quantity=posting.good, unit=posting.unit
        )
        lines.append(_material("yield", _YIELD, good))
    for ordinal, movement in enumerate(posting.movements, 1):
        if movement.to_storage_location or posting.kind is PostingKind.STOCK_TRANSFER:
            there = movement.model_copy(
                update={"storage_location": movement.to_storage_location, "stock_type": movement.to_stock_type}
            )
            lines += [
                _material(f"{ordinal}.from", _MATERIAL_CONSUMED, movement),
                _material(f"{ordinal}.to", _MATERIAL_PRODUCED, there),
            ]
        else:
            received = posting.kind is PostingKind.GOODS_RECEIPT or movement.movement_type[:1] == "1"
            lines.append(_material(str(ordinal), _PRODUCED if received else _CONSUMED, movement))
    return lines


def _material(name: str, use: str, movement: Movement) -> str:
    moved = bool(movement.movement_type)
    stated = (
        (MOVEMENT_TYPE, movement.movement_type),
        (STOCK_TYPE, movement.stock_type.value if moved else ""),
        (RESERVATION, movement.reservation),
        (RESERVATION_ITEM, movement.reservation_item),
    )
    at = movement.storage_location
    location = _element("Location", at) + _element("LocationType", "Operational Location")
    return _of(
        "MaterialActual",
        _element("ID", name),
        _optional("MaterialDefinitionID", movement.material),
        _optional("MaterialLotID", movement.lot),
        _element("MaterialUse", use),
        _of("StorageLocation", location) if at else "",
        _quantity(_decimal(movement.quantity), movement.unit),
        *(
            _of("MaterialActualProperty", _element("ID", name), _value(text, "string", ""))
            for name, text in stated
            if text
        ),
    )


def _time(spent_us: int) -> str:
    if spent_us < 0:
        raise Unwritable(f"a duration of {spent_us} us is negative; correct what it was derived from")
    return _quantity(f"{spent_us // 10**6}.{spent_us % 10**6:06d}", "SEC")


def _quantity(value: str, unit: str) -> str:
    return _of(
        "Quantity", _element("QuantityString", value), _element("DataType", "decimal"), _element("UnitOfMeasure", unit)
    )


def _value(text: str, kind: str, unit: str) -> str:
    return _of("Value", _element("ValueString", text), _element("DataType", kind), _optional("UnitOfMeasure", unit))


def _decimal(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _instant(us: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=us)
    except OverflowError as error:
        raise Unwritable(f"the instant {us} us lies beyond the calendar; correct what it was derived from") from error
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _optional(name: str, text: str) -> str:
    return _element(name, text) if text else ""


def _element(name: str, text: str) -> str:
    if found := _UNWRITABLE.search(text):
        raise Unwritable(f"{name}: {text[:48]!r} holds {found[0]!r}, which XML does not carry; rename the key")
    return f"<{name}>{escape(text)}</{name}>"


def _of(name: str, *parts: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{''.join(parts)}</{name}>"
