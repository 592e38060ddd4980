"""The confirmation: what a range of one source's sequence amounts to, ready to be posted.

Laws (DESIGN 5, M15): over all confirmations of a source and session the ranges
``first_seq..last_seq`` tile the accounted input without overlap, never span a declared gap,
and their quantities sum to the quantities of the events they account for.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Sequence, Text, Thousandths


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
    kind: ConfirmationKind = ConfirmationKind.CONFIRMATION
    revision: int = Field(0, ge=0)
    plant: Text
    source: Text
    session: Text = ""
    first_seq: Sequence
    last_seq: Sequence
    order: Text = ""
    operation: Text = ""
    work_center: Text = ""
    material: Text = ""
    lot: Text = ""
    reason: Text = Field("", description="Scrap reason; empty where the plant does not split by it.")
    unit: Text = "H87"
    shift: Text = ""
    posting_date: date = Field(description="Plant-local date of the shift's start, or of the event where there are no shifts.")
    good: Thousandths = 0
    scrap: Thousandths = 0
    rework: Thousandths = 0
    setup_us: Micros = 0
    machine_us: Micros = 0
    labour_us: Micros = 0
    energy_mwh: Thousandths = 0
    events: int = Field(ge=1, description="Number of events accounted for.")
    first_occurred_us: Micros
    last_occurred_us: Micros
    first_offset: int = Field(description="Smallest input position of the events accounted for.")
    last_offset: int = Field(description="Largest input position of the events accounted for.")
    final: bool = Field(False, description="The operation was reported complete.")
    close_reason: CloseReason
