"""The posting: one document that an ERP is to make, in canonical words; an adapter translates it.

Laws: a posting id is a function of what is posted and why, never of when or how often it was tried, and
the same id always has the same content (M25). A posting is one transaction in its ERP, never a part of one (M17).
Postings of an order in an ERP carry numbers without holes, and are made in that order (M24).

Source: M12, M13, M17-M20, M24, M25, M30, M32; DOMAIN 3.7-3.10.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Count, Micros, Text, Thousandths
from canonical.contracts.reference import StockType


class PostingKind(StrEnum):
    """What document it becomes."""

    CONFIRMATION = "confirmation"  # of an operation: yield, scrap, rework, activities; no movement of goods
    GOODS_ISSUE = "goods-issue"  # of components to an order
    GOODS_RECEIPT = "goods-receipt"  # of the product from an order
    STOCK_TRANSFER = "stock-transfer"  # between places or stock types
    REVERSAL = "reversal"  # of an earlier posting


class Lane(StrEnum):
    """Which queue of its ERP it waits in (M16)."""

    CRITICAL = "critical"
    STANDARD = "standard"
    BULK = "bulk"


class Movement(BaseModel):
    """One line of a document that moves goods."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    movement_type: Text = Field(description="Three digits, as 261 for an issue to an order; a reversal's is one more.")
    material: Text = Field(description="Material moved.")
    lot: Text = Field(default="", description="Lot moved.")
    quantity: Thousandths = Field(description="In thousandths of the unit.")
    unit: Text = Field(description="UN/ECE Recommendation 20 code.")
    storage_location: Text = Field(default="", description="Where it is taken from, or received.")
    stock_type: StockType = Field(default=StockType.UNRESTRICTED, description="As what.")
    to_storage_location: Text = Field(default="", description="Of a transfer: where it goes.")
    to_stock_type: StockType = Field(default=StockType.UNRESTRICTED, description="Of a transfer: as what.")
    reservation: Text = Field(default="", description="Reservation of the order's component.")
    reservation_item: Text = Field(default="", description="Item of the reservation.")


class Posting(BaseModel):
    """One document to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    posting_id: UUID = Field(description="UUIDv5 of what is posted and why.")
    kind: PostingKind = Field(description="What document it becomes.")
    erp: Text = Field(description="Name of the ERP instance.")
    lane: Lane = Field(default=Lane.STANDARD, description="Queue it waits in.")
    plant: Text = Field(description="Canonical key of the plant.")
    erp_plant: Text = Field(description="The plant's key in the ERP.")
    order: Text = Field(default="", description="Production order; empty where none is concerned.")
    number: Count = Field(description="Place among the postings of its ERP, plant and order, from 0 without holes.")
    operation: Text = Field(default="", description="Operation confirmed.")
    work_center: Text = Field(default="", description="Work centre of the ERP.")
    material: Text = Field(default="", description="Material made.")
    lot: Text = Field(default="", description="Lot made.")
    reason: Text = Field(default="", description="The ERP's variance reason, where there is scrap.")
    unit: Text = Field(default="H87", description="UN/ECE Recommendation 20 code of the quantities.")
    shift: Text = Field(default="", description="Shift in which it was made.")
    posting_date: date = Field(description="Day it is posted to: that of the shift, or of the open period.")
    document_date: date = Field(description="Day of the shift, or of the event.")
    good: Thousandths = Field(default=0, description="Yield, in thousandths of the unit.")
    scrap: Thousandths = Field(default=0, description="Scrap, in thousandths of the unit.")
    rework: Thousandths = Field(default=0, description="To be reworked, in thousandths of the unit.")
    setup_us: Micros = Field(default=0, description="Setup time in microseconds.")
    machine_us: Micros = Field(default=0, description="Machine time in microseconds.")
    labour_us: Micros = Field(default=0, description="Labour time in microseconds.")
    start_us: Micros = Field(description="Instant of the first event, UTC, in microseconds since 1970-01-01.")
    end_us: Micros = Field(description="Instant of the last event.")
    final: bool = Field(default=False, description="Nothing more comes for the operation.")
    movements: tuple[Movement, ...] = Field(default=(), description="Lines, where goods are moved.")
    reverses: Text = Field(default="", description="Of a reversal: the id of the posting whose document it takes back.")
    causes: Annotated[tuple[str, ...], Field(max_length=10_000)] = Field(
        default=(), description="Ids of the confirmations and events it accounts for (M34)."
    )
    correlation_id: Text = Field(default="", description="Names the business transaction (M34).")


class ReceiptStatus(StrEnum):
    """What the ERP made of a posting; each is final but ``accepted``, which a failed movement may follow."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    MOVEMENT_FAILED = "movement-failed"  # the confirmation is there, goods did not move
    MOVED = "moved"  # they did after all
    WITHDRAWN = "withdrawn"  # not sent: a person took it back


class Receipt(BaseModel):
    """What became of a posting, with the instants it passed each hop (M26, M38)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    posting_id: UUID = Field(description="The posting.")
    status: ReceiptStatus = Field(description="What became of it.")
    kind: PostingKind = Field(description="What document it was to become.")
    erp: Text = Field(description="Name of the ERP instance.")
    lane: Lane = Field(description="Queue it waited in.")
    plant: Text = Field(description="Canonical key of the plant.")
    order: Text = Field(default="", description="Production order.")
    document: Text = Field(default="", description="The ERP's document, as its parts joined by a slash.")
    reverses: Text = Field(default="", description="Of a reversal: the document that it takes back.")
    code: Text = Field(default="", description="The ERP's message class and number.")
    message: str = Field(default="", max_length=1024, description="The ERP's words.")
    attempts: Count = Field(description="Times it was sent.")
    found: bool = Field(default=False, description="The document was found by asking for it, after an answer was lost.")
    occurred_us: Micros = Field(description="Instant of the last event it accounts for.")
    enqueued_us: Micros = Field(description="Instant at which it entered the queue.")
    first_sent_us: Micros = Field(description="Instant at which it was first sent.")
    sent_us: Micros = Field(description="Instant at which it was last sent.")
    committed_us: Micros | None = Field(default=None, description="Instant at which the ERP says it made the document.")
    answered_us: Micros = Field(description="Instant at which the answer came.")
    correlation_id: Text = Field(default="", description="Names the business transaction (M34).")
