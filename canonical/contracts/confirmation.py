"""The confirmation: what a range of one source's sequence amounts to, ready to be posted.

Laws (DESIGN 5, M15): over all confirmations of a source and session the ranges
``first_seq..last_seq`` tile the accounted input without overlap, never span a declared gap,
and their quantities sum to the quantities of the events they account for. Where a plant has
confirmations open side by side (``aggregation.open_max``) a range stands for the numbers of its own
work centre, and that holds for each work centre: ranges of several may interleave.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canonical.contracts.event import INT64_MAX, Micros, Offset, Sequence, Text, Thousandths


class ConfirmationKind(StrEnum):
    """Why the confirmation exists."""

    CONFIRMATION = "confirmation"
    SUPPLEMENTARY = "supplementary"  # late events that fill a declared gap, under an id of their own


class CloseReason(StrEnum):
    """What ended the aggregation."""

    KEY = "key"  # order, operation, work centre, lot, reason or another split column changed
    COUNT = "count"
    TIME = "time"
    SHIFT = "shift"  # shift or posting date changed
    COMPLETE = "complete"
    GAP = "gap"
    IDLE = "idle"


class Confirmation(BaseModel):
    """One ERP confirmation, before it is mapped to an ERP document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    posting_id: UUID = Field(description="UUIDv5 of plant, source, session, first_seq, kind, revision.")
    kind: ConfirmationKind = Field(ConfirmationKind.CONFIRMATION, description="Why the confirmation exists.")
    revision: int = Field(0, ge=0, le=INT64_MAX, description="0, or which correction of the confirmation it is.")
    plant: Text = Field(description="Canonical key of the plant.")
    source: Text = Field(description="The machine, terminal or system whose events are accounted for.")
    session: Text = Field("", description="Session of the source; sequence numbers count within it.")
    first_seq: Sequence = Field(description="Sequence number of the first event accounted for.")
    last_seq: Sequence = Field(description="Sequence number of the last event accounted for.")
    order: Text = Field("", description="Production order.")
    operation: Text = Field("", description="Operation of the order's routing.")
    work_center: Text = Field("", description="Work centre at which it was made.")
    material: Text = Field("", description="Material made.")
    lot: Text = Field("", description="Lot or batch of the material.")
    reason: Text = Field("", description="Scrap reason; empty where the plant does not split by it.")
    unit: Text = Field("H87", description="UN/ECE Recommendation 20 code of the quantities.")
    shift: Text = Field("", description="Shift in which it was made; empty where the plant has none.")
    posting_date: date = Field(
        description="Plant-local date of the shift's start, or of the event where there are no shifts."
    )
    good: Thousandths = Field(0, description="Good output in thousandths of the unit.")
    scrap: Thousandths = Field(0, description="Scrap in thousandths of the unit.")
    rework: Thousandths = Field(0, description="Output to be reworked, in thousandths of the unit.")
    setup_us: Micros = Field(0, description="Setup time in microseconds.")
    machine_us: Micros = Field(0, description="Machine time in microseconds.")
    labour_us: Micros = Field(0, description="Labour time in microseconds.")
    energy_mwh: Thousandths = Field(0, description="Energy used, in thousandths of a watt hour (WHR).")
    events: int = Field(ge=1, le=INT64_MAX, description="Number of events accounted for.")
    first_occurred_us: Micros = Field(description="Instant of the first event, UTC, in microseconds since 1970-01-01.")
    last_occurred_us: Micros = Field(description="Instant of the last event, UTC, in microseconds since 1970-01-01.")
    first_offset: Offset = Field(description="Smallest input position of the events accounted for.")
    last_offset: Offset = Field(description="Largest input position of the events accounted for.")
    final: bool = Field(False, description="The operation was reported complete.")
    close_reason: CloseReason = Field(description="What ended the aggregation.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        """Refuse a range that ends before it starts: it could not tile anything."""
        if self.last_seq < self.first_seq:
            msg = f"last_seq {self.last_seq} is below first_seq {self.first_seq}"
            raise ValueError(msg)
        return self
