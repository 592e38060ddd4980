"""Policies of a plant: how its events are put in order, counted, aggregated and routed.

They are sections of the plant's mapping file; the processors take them as their configuration.
Every bound is a field here, with its unit last in its name (DESIGN law 7).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import EventType

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]


class Policy(BaseModel):
    """A section of a mapping file: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SequencePolicy(Policy):
    """How a source's records are put in order and which of them are duplicates (M08, M09)."""

    mode: Literal["number", "arrival"] = Field(
        default="number",
        description="number: the source numbers its records. arrival: it does not; a record's identity is its "
        "event id or its content, and it is numbered in the order of arrival.",
    )
    start: int | Literal["any"] = Field(
        default=0, description="First number of a session; any: the first to arrive, and smaller ones are late."
    )
    modulus: int | None = Field(
        default=None, ge=16, le=2**32, description="Numbers wrap to 0 here, as 256 for Sparkplug."
    )
    gap_timeout_s: Seconds = Field(
        default=60.0, description="Wait this long for a missing number, then declare the gap."
    )
    held_rows_max: int = Field(
        default=10_000, ge=1, description="Rows held per session; one more declares the oldest gap."
    )
    gaps_max: int = Field(
        default=1_000, ge=1, description="Declared gaps remembered per session, to recognise late rows."
    )
    conflict_horizon_rows: int = Field(
        default=32, ge=1, le=65_536, description="A duplicate this far back or less is compared with what it repeats."
    )
    identity_horizon_rows: int = Field(
        default=100_000, ge=1, description="arrival: identities remembered per shard; an older copy counts as new."
    )
    sessions_max: int = Field(default=1_000_000, ge=1, description="Sessions per shard; rows of one more are faults.")


class CounterPolicy(Policy):
    """How absolute counters become quantities."""

    first_reading: Literal["baseline", "count"] = Field(
        default="baseline",
        description="baseline: a session's first reading counts nothing. count: it counts from zero.",
    )
    rollover: int | None = Field(
        default=None, ge=1, description="The counter wraps to 0 after this many whole units, as 2147483648 for PackML."
    )
    jump_max: int | None = Field(default=None, ge=1, description="More whole units than this in one step is a fault.")
    scope: Literal["session", "source"] = Field(
        default="session",
        description="session: each session has its counters. source: they go on over its sessions, by time.",
    )
    by_work_center: bool = Field(default=False, description="Each work centre of a source has counters of its own.")
    meters_max: int = Field(
        default=100_000,
        ge=1,
        description="Counters of a shard where they are not one of each session; more are faults.",
    )

    @property
    def of_sessions(self) -> bool:
        """Whether each session has its own counters, and no more than one of each kind."""
        return self.scope == "session" and not self.by_work_center


SplitColumn = Literal["order", "operation", "work_center", "material", "lot", "reason", "unit", "rework", "shift"]


class AggregatePolicy(Policy):
    """What ends a confirmation (M15, M46)."""

    split_by: tuple[SplitColumn, ...] = Field(
        default=("order", "operation", "work_center", "material", "lot", "reason", "unit", "rework", "shift"),
        description="A change in one of these ends the confirmation. A reason ends it only when it "
        "replaces another one; rework: whether the event type is rework; shift: the shift or the posting date differs.",
    )
    count_max: int | None = Field(default=None, ge=1, description="Events per confirmation.")
    bucket_s: Seconds | None = Field(
        default=None, description="Time buckets of this width, counted from 1970-01-01 UTC."
    )
    idle_s: Seconds | None = Field(
        default=None, description="Close when nothing has joined the open confirmation for this long."
    )
    complete_closes: bool = Field(
        default=True, description="An event of type complete is the last of its confirmation."
    )
    open_max: int = Field(
        default=1,
        ge=1,
        le=65_536,
        description="Confirmations a session has open at a time, one for each work centre; for one more, that of the "
        "work centre silent longest ends. 1: every change of work centre ends it.",
    )

    @property
    def is_side_by_side(self) -> bool:
        """Whether a session may have several confirmations open."""
        return self.open_max > 1 and "work_center" in self.split_by


class Route(StrEnum):
    """What becomes of an event after it has been put in order (M14)."""

    AGGREGATED = "aggregated"  # accounted for in a confirmation
    OPERATIONAL = "operational"  # passed on one by one, unaggregated
    ANALYTICS_ONLY = "analytics-only"  # counted in the ledger, never posted


DEFAULT_ROUTES: dict[EventType, Route] = {
    EventType.START: Route.OPERATIONAL,
    EventType.PAUSE: Route.OPERATIONAL,
    EventType.RESUME: Route.OPERATIONAL,
    EventType.COMPLETE: Route.AGGREGATED,
    EventType.PARTIAL: Route.AGGREGATED,
    EventType.SCRAP: Route.AGGREGATED,
    EventType.REWORK: Route.AGGREGATED,
    EventType.DOWNTIME: Route.OPERATIONAL,
    EventType.STATE: Route.ANALYTICS_ONLY,
    EventType.CONSUME: Route.OPERATIONAL,
    EventType.MOVE: Route.OPERATIONAL,
    EventType.HOLD: Route.OPERATIONAL,
    EventType.RELEASE: Route.OPERATIONAL,
    EventType.TELEMETRY: Route.ANALYTICS_ONLY,
}


class StatePolicy(Policy):
    """What the starts and stops of a plant's machines mean (ISO 22400-2)."""

    setup_reasons: tuple[str, ...] = Field(
        default=("SETUP",), description="A start or stop for one of these canonical reasons is setup."
    )
    output_ends_stops: bool = Field(
        default=True,
        description="Good output after a stop that nothing ended ends it. false: the machines tell every change.",
    )


class LimitPolicy(Policy):
    """What a record may be before it is refused as a fault."""

    record_bytes_max: int = Field(default=262_144, ge=64)
    depth_max: int = Field(default=16, ge=1, le=512, description="Nesting of objects and arrays.")
    quantity_max: int = Field(default=1_000_000, ge=1, description="Whole units in one record.")
    future_max_s: Seconds = Field(default=3_600.0, description="Ahead of the time of reading.")
    past_max_s: Seconds = Field(default=400 * 86_400.0, description="Behind the time of reading.")


ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class BreakPolicy(Policy):
    """A break of a shift: the half-open interval [start, end) of plant-local time, within the shift."""

    start: ClockTime
    end: ClockTime


class ShiftPolicy(Policy):
    """One shift: the half-open interval [start, end) of plant-local time; it may cross midnight."""

    name: str = Field(min_length=1, max_length=64)
    start: ClockTime
    end: ClockTime
    days: tuple[Weekday, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), description="Days on which the shift starts."
    )
    breaks: tuple[BreakPolicy, ...] = Field(
        default=(), description="When all machines stand in each of these shifts; no part of planned busy time."
    )


class MaintenancePolicy(Policy):
    """Planned maintenance: the half-open interval [start, end) of plant-local time; it may cross midnight."""

    start: ClockTime
    end: ClockTime
    days: tuple[Weekday, ...] = Field(default=(), description="Days of the week on which it starts.")
    dates: tuple[date, ...] = Field(default=(), description="Days on which it starts, as 2026-11-28.")
    work_centers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Canonical keys of those that stand; empty: all of the plant."
    )
