"""What is not posted, or not yet, and why: the other half of what became of each confirmation.

Law: each confirmation that the postings flow has read is under its id, and for each kind of document, in postings that
cite it, or here: waiting, or settled without a posting. The newest record of a cause and kind counts; a posting ends
what waits.

Source: M12, M14, M31, M34; docs/decisions/0015.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Text, Thousandths
from canonical.contracts.posting import PostingKind


class UnpostedState(StrEnum):
    """How it stands; all but the first and the last are final."""

    WAITING = "waiting"  # for what a check asks for, or behind what does
    RULED_OUT = "ruled-out"  # not to be posted by rule: its lane, its operation, its bins
    NOT_COUNTED = "not-counted"  # another source counts the same pieces (counting_sources of the order)
    DISCARDED = "discarded"  # a person decided so
    SUPERSEDED = "superseded"  # a newer revision stands for it, or what it follows from was taken back
    REFUSED = "refused"  # a bound was reached, and it is a dead letter; sent again it may be posted


class Unposted(BaseModel):
    """A confirmation, or what was gathered, that is not posted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cause: str = Field(max_length=2048, description="Id of the confirmation, or the keys of what was gathered.")
    kind: PostingKind = Field(description="What document it would have become.")
    state: UnpostedState = Field(description="How it stands.")
    plant: Text = Field(description="Canonical key of the plant.")
    order: Text = Field(default="", description="Production order.")
    operation: Text = Field(default="", description="Operation, as the plant names it.")
    work_center: Text = Field(default="", description="Work centre.")
    material: Text = Field(default="", description="Material.")
    lot: Text = Field(default="", description="Lot.")
    unit: Text = Field(default="H87", description="UN/ECE Recommendation 20 code of the quantities.")
    good: Thousandths = Field(default=0, description="Good output that is not posted, in thousandths of the unit.")
    scrap: Thousandths = Field(default=0, description="Scrap that is not posted, in thousandths of the unit.")
    rework: Thousandths = Field(default=0, description="To be reworked and not posted, in thousandths of the unit.")
    causes: tuple[str, ...] = Field(default=(), description="Ids of the confirmations and events that it stands for.")
    why: str = Field(default="", max_length=1024, description="The rule, or the person's words; empty while it waits.")
    actor: Text = Field(default="", description="Who decided, where a person did.")
    document_date: date | None = Field(
        default=None, description="Day of the shift, or of the event, that it is of; none in records of version 1."
    )
    at_us: Micros = Field(description="Instant of this record, UTC, in microseconds since 1970-01-01.")
