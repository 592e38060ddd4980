"""The production event: what one source says happened, in canonical words and units.

Two versions are accepted side by side (M07). Version 2 adds telemetry and quality context;
``upcast`` turns version 1 into version 2 and keeps fields that neither version knows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=256)]
"""A key or code; longer text is not a key and is refused."""

Thousandths = Annotated[int, Field(ge=0, le=10**15)]
"""A quantity as an integer number of thousandths of its unit, so that sums are exact."""

Micros = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A UTC instant as microseconds since 1970-01-01, or a duration in microseconds."""

Sequence = Annotated[int, Field(ge=0, le=2**53)]
"""A source's own sequence number; at most 2**53 so that no JSON reader rounds it."""


class EventType(StrEnum):
    """Verbs of the shop floor (M05), the same words as in DOMAIN section 1.0."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    PARTIAL = "partial"
    SCRAP = "scrap"
    REWORK = "rework"
    DOWNTIME = "downtime"
    STATE = "state"
    CONSUME = "consume"
    MOVE = "move"
    HOLD = "hold"
    RELEASE = "release"
    TELEMETRY = "telemetry"


class EventV1(BaseModel):
    """Version 1 of the event contract, kept for producers that have not moved on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_version: Literal[1] = 1
    plant: Text
    source: Text = Field(min_length=1, description="The machine, terminal or system that speaks.")
    session: Text = Field("", description="One uninterrupted numbering of the source: bdSeq, instanceId, boot id.")
    seq: Sequence | None = Field(None, description="Position in the session; none where the source does not number.")
    type: EventType
    occurred_us: Micros
    recorded_us: Micros | None = Field(None, description="When the plant edge stored it (CloudEvents recordedtime).")
    order: Text = ""
    operation: Text = ""
    work_center: Text = ""
    material: Text = ""
    lot: Text = ""
    reason: Text = Field("", description="Scrap or downtime reason code.")
    unit: Text = Field("H87", description="UN/ECE Recommendation 20 code of the quantities.")
    good: Thousandths = 0
    scrap: Thousandths = 0
    rework: Thousandths = 0
    setup_us: Micros = 0
    machine_us: Micros = 0
    labour_us: Micros = 0
    good_counter: Thousandths | None = Field(None, description="Absolute count of good output since the counter's zero.")
    scrap_counter: Thousandths | None = Field(None, description="Absolute count of scrap since the counter's zero.")
    correlation_id: Text = ""


class Event(EventV1):
    """Version 2, the current event contract: version 1 with telemetry and quality context."""

    schema_version: Literal[2] = 2  # type: ignore[assignment]
    energy_mwh: Thousandths = Field(0, description="Energy used, in thousandths of a watt hour (WHR).")
    quality: Text = Field("", description="Quality status of the lot as the plant reports it: hold, release, reject.")


def upcast(event: EventV1) -> Event:
    """Turn version 1 into version 2; pure, total, and the identity on version 2."""
    if isinstance(event, Event):
        return event
    return Event.model_validate({**event.model_dump(), "schema_version": 2})
