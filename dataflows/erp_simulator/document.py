"""What an ERP keeps: documents, and what is still to become one. All quantities are thousandths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self


class DocumentKind(StrEnum):
    """What a document is about."""

    CONFIRMATION = "confirmation"
    GOODS_MOVEMENT = "goods movement"
    ACTIVITY = "activity"  # time of a resource, where it is posted apart
    USAGE_DECISION = "usage decision"
    ORDER_STATUS = "order status"  # started or ended by a message


@dataclass(frozen=True, slots=True)
class Line:
    """An item of a goods movement: ``quantity`` of the base unit, ``entry_quantity`` as it was entered."""

    item: int
    movement_type: str
    material: str
    plant: str
    storage_location: str
    lot: str
    stock_type: str
    quantity: int
    unit: str
    entry_quantity: int
    entry_unit: str
    order: str = ""
    reservation: str = ""
    reservation_item: str = ""
    receiving_location: str = ""
    receiving_material: str = ""
    receiving_lot: str = ""
    automatic: bool = False
    inspection_lot: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One accepted posting. ``reverses`` names the document it takes back; ``cause`` the confirmation it belongs to.

    ``details`` keep what the protocol shows again when it is asked for: texts, dates, activities.
    """

    number: str
    kind: DocumentKind
    posting_date: str
    accepted_us: int
    order: str = ""
    operation: str = ""
    work_center: str = ""
    plant: str = ""
    material: str = ""
    lot: str = ""
    unit: str = ""
    yield_quantity: int = 0
    scrap_quantity: int = 0
    rework_quantity: int = 0
    reason: str = ""
    final: bool = False
    external_id: str = ""
    request_id: str = ""
    reverses: str = ""
    cause: str = ""
    lines: tuple[Line, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def decode(cls, body: Mapping[str, Any]) -> Self:
        """Return the document that was written as this JSON object."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in body.items() if name in known}
        values["kind"] = DocumentKind(values["kind"])
        values["lines"] = tuple(Line(**line) for line in values["lines"])
        return cls(**values)


class OpenState(StrEnum):
    """How far the goods movements of a confirmation are."""

    PENDING = "pending"
    FAILED = "failed"  # listed for reprocessing, as in SAP's COGI
    POSTED = "posted"
    DROPPED = "dropped"  # their confirmation was reversed first


@dataclass(frozen=True, slots=True)
class OpenMovement:
    """Goods movements of a confirmation that were not posted with it.

    At ``due_us`` they fail (``fails``) or are posted; failed ones are tried again ``repair_after_us``
    later, unless that is 0.
    """

    confirmation: str
    state: OpenState
    due_us: int
    fails: bool
    lines: tuple[Line, ...]
    repair_after_us: int = 0
    message: str = ""
    text: str = ""
    document: str = ""

    @classmethod
    def decode(cls, body: Mapping[str, Any]) -> Self:
        """Return the open movement that was written as this JSON object."""
        return cls(
            **{
                **body,
                "state": OpenState(body["state"]),
                "lines": tuple(Line(**line) for line in body["lines"]),
            }
        )


class MessageState(StrEnum):
    """State of a message of an asynchronous interface."""

    QUEUED = "Queued"
    PROCESSED = "Processed"
    FAILED = "Failed"
    REMOVED = "Removed"  # by a person or a client, after it had failed


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was accepted to be processed later; messages of an order are processed in ascending number."""

    number: int
    company: str
    type: str
    order: str
    content: str
    received_us: int
    due_us: int
    state: MessageState = MessageState.QUEUED
    failing_attempts: int = 0
    attempts: int = 0
    error: str = ""
    code: str = ""
    documents: tuple[str, ...] = ()

    @classmethod
    def decode(cls, body: Mapping[str, Any]) -> Self:
        """Return the message that was written as this JSON object."""
        return cls(**{**body, "state": MessageState(body["state"]), "documents": tuple(body["documents"])})
