"""What machines say of themselves: marks that change their state, and telemetry by the minute (M22, M47).

A state is named by the time it counts as (ISO 22400-2): production (APT), setup (ASUT), delay (ADET), down (ADOT);
idle is none of them. A state lasts from its mark to the source's next one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Count, EventType, Micros, Sequence, Text

Sum = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""What many events add up to, or one."""


class MachineState(StrEnum):
    """What a machine's time counts as (ISO 22400-2)."""

    PRODUCTION = "production"
    SETUP = "setup"
    DELAY = "delay"
    DOWN = "down"
    IDLE = "idle"


class StateMark(BaseModel):
    """An instant from which a source is in a state."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plant: Text = Field(description="Canonical key of the plant.")
    source: Text = Field(description="The machine, terminal or system whose state it is.")
    session: Text = Field("", description="Session of the source; sequence numbers count within it.")
    seq: Sequence = Field(description="Sequence number of the event that says so.")
    occurred_us: Micros = Field(description="Instant from which it holds, UTC, in microseconds since 1970-01-01.")
    type: EventType = Field(description="Type of that event; partial: output where a stop was not told to be over.")
    state: MachineState = Field(description="What the time from then on counts as.")
    reason: Text = Field("", description="Reason code, as of a stop.")
    order: Text = Field("", description="Production order.")
    operation: Text = Field("", description="Operation of the order's routing.")
    work_center: Text = Field("", description="Work centre at which it happened.")


class TelemetryMinute(BaseModel):
    """What a source reported within a UTC minute and no confirmation accounts for; a part of it, to be added up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plant: Text = Field(description="Canonical key of the plant.")
    work_center: Text = Field("", description="Work centre at which it was measured.")
    source: Text = Field(description="The machine, terminal or system that measured it.")
    minute_us: Micros = Field(description="Start of the UTC minute, in microseconds since 1970-01-01.")
    events: Count = Field(description="Number of events.")
    good: Sum = Field(0, description="Good output they report, in thousandths of the unit.")
    scrap: Sum = Field(0, description="Scrap they report, in thousandths of the unit.")
    rework: Sum = Field(0, description="Output to be reworked that they report, in thousandths of the unit.")
    machine_us: Sum = Field(0, description="Machine time in microseconds.")
    energy_mwh: Sum = Field(0, description="Energy used, in thousandths of a watt hour (WHR).")
