"""Exceptions that find their owner: one record per cause, with a count and not a flood (M11, M12, M39, M40).

Law: an exception is known by its cause (code and what it concerns); its record is written anew whenever it
changes, and the newest counts. Codes are stable: one is never renamed or reused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Count, Micros, Text


class ExceptionCode(StrEnum):
    """Why something could not be posted."""

    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    NO_ORDER_ACTIVE = "NO_ORDER_ACTIVE"  # it names none, and none was at its work centre
    ORDER_AMBIGUOUS = "ORDER_AMBIGUOUS"  # it names none, and several were at its work centre while it was made
    ORDER_NOT_RELEASED = "ORDER_NOT_RELEASED"
    ORDER_LOCKED = "ORDER_LOCKED"
    ORDER_CLOSED = "ORDER_CLOSED"
    ORDER_DELETED = "ORDER_DELETED"
    OPERATION_UNKNOWN = "OPERATION_UNKNOWN"
    OPERATION_UNMAPPED = "OPERATION_UNMAPPED"
    WORK_CENTER_UNKNOWN = "WORK_CENTER_UNKNOWN"
    MATERIAL_UNKNOWN = "MATERIAL_UNKNOWN"
    MATERIAL_WRONG = "MATERIAL_WRONG"
    LOT_MISSING = "LOT_MISSING"
    LOT_UNKNOWN = "LOT_UNKNOWN"
    LOT_NOT_VALID = "LOT_NOT_VALID"
    OVER_DELIVERY = "OVER_DELIVERY"
    YIELD_ABOVE_PREDECESSOR = "YIELD_ABOVE_PREDECESSOR"
    UNIT_NOT_CONVERTIBLE = "UNIT_NOT_CONVERTIBLE"
    REASON_UNMAPPED = "REASON_UNMAPPED"
    PERIOD_CLOSED = "PERIOD_CLOSED"
    ROUTE_MISSING = "ROUTE_MISSING"
    RESIDENCY_REFUSED = "RESIDENCY_REFUSED"  # the ERP may not receive what the plant makes
    BIN_UNMAPPED = "BIN_UNMAPPED"
    COMPONENT_UNKNOWN = "COMPONENT_UNKNOWN"
    COMPONENT_BACKFLUSHED = "COMPONENT_BACKFLUSHED"
    QUALITY_RELEASE_MISSING = "QUALITY_RELEASE_MISSING"
    SCRAP_ABOVE_LIMIT = "SCRAP_ABOVE_LIMIT"
    NOT_OWNER = "NOT_OWNER"
    ERP_REJECTED = "ERP_REJECTED"
    ERP_UNAVAILABLE = "ERP_UNAVAILABLE"
    ERP_ORDER_LOCKED = "ERP_ORDER_LOCKED"
    ERP_ANSWER_UNKNOWN = "ERP_ANSWER_UNKNOWN"
    MOVEMENT_FAILED = "MOVEMENT_FAILED"
    POSTING_UNKNOWN = "POSTING_UNKNOWN"  # what is to be taken back is not known, or not any more
    BOUND_REACHED = "BOUND_REACHED"


class Owner(StrEnum):
    """Who can settle it."""

    PLANT_SUPERVISOR = "plant-supervisor"
    INTEGRATION_SUPPORT = "integration-support"


class Severity(StrEnum):
    """What it does to the business, worst first."""

    LINE_STOP = "line-stop"
    FINANCIAL = "financial-distortion"
    DELAY = "delay"


_C: Final = ExceptionCode
OWNERS: Final = {
    code: Owner.PLANT_SUPERVISOR
    if code
    in {
        _C.NO_ORDER_ACTIVE,
        _C.ORDER_AMBIGUOUS,
        _C.ORDER_NOT_RELEASED,
        _C.ORDER_CLOSED,
        _C.MATERIAL_WRONG,
        _C.LOT_MISSING,
        _C.LOT_UNKNOWN,
        _C.LOT_NOT_VALID,
        _C.OVER_DELIVERY,
        _C.YIELD_ABOVE_PREDECESSOR,
        _C.QUALITY_RELEASE_MISSING,
        _C.SCRAP_ABOVE_LIMIT,
        _C.COMPONENT_UNKNOWN,
        _C.COMPONENT_BACKFLUSHED,
        _C.MOVEMENT_FAILED,
        _C.ERP_ORDER_LOCKED,
    }
    else Owner.INTEGRATION_SUPPORT
    for code in ExceptionCode
}
"""Who settles each code (M39)."""

SEVERITIES: Final = {
    code: Severity.LINE_STOP
    if code in {_C.ORDER_NOT_RELEASED, _C.LOT_NOT_VALID, _C.SCRAP_ABOVE_LIMIT, _C.ERP_UNAVAILABLE, _C.BOUND_REACHED}
    else Severity.DELAY
    if code in {_C.ORDER_LOCKED, _C.ERP_ORDER_LOCKED, _C.QUALITY_RELEASE_MISSING, _C.ERP_ANSWER_UNKNOWN}
    else Severity.FINANCIAL
    for code in ExceptionCode
}
"""What each code does to the business (M40)."""


class Resolution(StrEnum):
    """How an exception ended."""

    OPEN = "open"
    REVALIDATED = "revalidated"  # reference data or another event settled it
    RELEASED = "released"  # a person let it through
    REPROCESSED = "reprocessed"  # a person had it tried again
    DISCARDED = "discarded"  # a person decided that it is not to be posted


class BusinessException(BaseModel):
    """Something that waits for a person, or did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exception_id: UUID = Field(description="UUIDv5 of the code and of what it concerns.")
    code: ExceptionCode = Field(description="Why; stable.")
    resolution: Resolution = Field(default=Resolution.OPEN, description="How it ended; open while it has not.")
    owner: Owner = Field(description="Who can settle it.")
    severity: Severity = Field(description="What it does to the business.")
    erp: Text = Field(default="", description="Name of the ERP instance.")
    plant: Text = Field(default="", description="Canonical key of the plant.")
    order: Text = Field(default="", description="Production order.")
    operation: Text = Field(default="", description="Operation.")
    work_center: Text = Field(default="", description="Work centre.")
    material: Text = Field(default="", description="Material.")
    lot: Text = Field(default="", description="Lot.")
    item: Text = Field(default="", description="What else it concerns: a reason, a month, a bin, a bound.")
    posting_id: Text = Field(default="", description="The first posting or confirmation it concerns.")
    document: Text = Field(default="", description="ERP document, where there is one.")
    message: str = Field(max_length=1024, description="What happened, to what.")
    remedy: str = Field(default="", max_length=1024, description="What to do.")
    waiting: Count = Field(description="Confirmations, events or postings that wait because of it.")
    opened_us: Micros = Field(description="Instant of the first, UTC, in microseconds since 1970-01-01.")
    changed_us: Micros = Field(description="Instant of this record.")
    resolved_us: Micros | None = Field(default=None, description="Instant at which it ended.")
    actor: Text = Field(default="", description="Who ended it, where a person did.")
    reason: str = Field(default="", max_length=1024, description="Why, in that person's words.")
