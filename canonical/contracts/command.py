"""Commands: what we ask other systems to do, and what people ask of us. They are never events (M44).

Law: a command id is a function of what is asked and why, so that a command sent twice is one (M20, M29).
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Text
from canonical.contracts.reference import StockType


class CommandKind(StrEnum):
    """What is asked."""

    QUALITY_HOLD = "quality-hold"  # to the quality system: inspect this lot
    STOCK_STATUS = "stock-status"  # to the warehouse system: this lot's stock is of that type now


class Command(BaseModel):
    """What we ask another system to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command_id: UUID = Field(description="UUIDv5 of what is asked and why.")
    kind: CommandKind = Field(description="What is asked.")
    plant: Text = Field(description="Canonical key of the plant.")
    order: Text = Field(default="", description="Production order.")
    operation: Text = Field(default="", description="Operation.")
    material: Text = Field(default="", description="Material.")
    lot: Text = Field(default="", description="Lot.")
    stock_type: StockType = Field(default=StockType.QUALITY, description="Of a stock status: what the stock is to be.")
    reason: str = Field(default="", max_length=1024, description="Why: which limit was passed, by how much.")
    occurred_us: Micros = Field(description="Instant of the event that caused it, UTC, in microseconds since 1970.")
    correlation_id: Text = Field(default="", description="Names the business transaction (M34).")


class ActionKind(StrEnum):
    """What a person decides about an exception or a posting."""

    RELEASE = "release"  # let through what waits, in spite of the exception
    REPROCESS = "reprocess"  # try again
    DISCARD = "discard"  # do not post it; the quantity stays unposted and is told so
    REVERSE = "reverse"  # take back the document of a posting


class Action(BaseModel):
    """What a person decided; also an entry of the audit trail (M29, M35)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action_id: UUID = Field(description="UUIDv4 or v5; an action that comes twice is one.")
    kind: ActionKind = Field(description="What is to be done.")
    exception_id: Text = Field(default="", description="The exception it is about.")
    posting_id: Text = Field(default="", description="The posting it is about, of a reversal.")
    actor: Text = Field(description="Who decided.")
    reason: str = Field(min_length=1, max_length=1024, description="Why.")
    at_us: Micros = Field(description="When, UTC, in microseconds since 1970-01-01.")
