"""The production event: what one source says happened, in canonical words and units.

Three versions are accepted side by side (M07). Version 2 adds telemetry and quality context, version 3 what is
consumed and moved; ``upcast`` turns an older one into version 3 and keeps fields that no version knows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter

INT64_MAX = 2**63 - 1

Text = Annotated[str, Field(max_length=256)]
"""A key or code; longer text is not a key and is refused."""

Thousandths = Annotated[int, Field(ge=0, le=10**15)]
"""A quantity as an integer number of thousandths of its unit, so that sums are exact."""

Micros = Annotated[int, Field(ge=-(2**63), le=INT64_MAX)]
"""A UTC instant as microseconds since 1970-01-01, or a duration in microseconds."""

Sequence = Annotated[int, Field(ge=0, le=2**53)]
"""A source's own sequence number; at most 2**53 so that no JSON reader rounds it."""

Count = Annotated[int, Field(ge=0, le=INT64_MAX)]
"""How many there are."""

Offset = Annotated[int, Field(ge=-1, le=INT64_MAX)]
"""Position of a record in its shard: a Kafka offset or a byte of a landed file; -1 where it has none."""


class EventType(StrEnum):
    """Verbs of the shop floor (M05)."""

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

    schema_version: Literal[1] = Field(1, description="Version of this contract.")
    plant: Text = Field(description="Canonical key of the plant.")
    source: Text = Field(min_length=1, description="The machine, terminal or system that speaks.")
    session: Text = Field("", description="One uninterrupted numbering of the source: bdSeq, instanceId, boot id.")
    seq: Sequence | None = Field(None, description="Position in the session; none where the source does not number.")
    type: EventType = Field(description="What happened.")
    occurred_us: Micros = Field(description="Instant at which it happened, UTC, in microseconds since 1970-01-01.")
    recorded_us: Micros | None = Field(
        None, description="Instant at which the plant edge stored it (CloudEvents recordedtime), as occurred_us."
    )
    order: Text = Field("", description="Production order.")
    operation: Text = Field("", description="Operation of the order's routing.")
    work_center: Text = Field("", description="Work centre at which it happened.")
    material: Text = Field("", description="Material made, used or moved.")
    lot: Text = Field("", description="Lot or batch of the material.")
    reason: Text = Field("", description="Scrap or downtime reason code.")
    unit: Text = Field("H87", description="UN/ECE Recommendation 20 code of the quantities.")
    good: Thousandths = Field(0, description="Good output the event reports, in thousandths of the unit.")
    scrap: Thousandths = Field(0, description="Scrap the event reports, in thousandths of the unit.")
    rework: Thousandths = Field(0, description="Output to be reworked, in thousandths of the unit.")
    setup_us: Micros = Field(0, description="Setup time in microseconds.")
    machine_us: Micros = Field(0, description="Machine time in microseconds.")
    labour_us: Micros = Field(0, description="Labour time in microseconds.")
    good_counter: Thousandths | None = Field(
        None, description="Absolute count of good output since the counter's zero, in thousandths of the unit."
    )
    scrap_counter: Thousandths | None = Field(
        None, description="Absolute count of scrap since the counter's zero, in thousandths of the unit."
    )
    correlation_id: Text = Field("", description="Names the business transaction the event belongs to (M34).")


class EventV2(EventV1):
    """Version 2 of the event contract: version 1 with telemetry and quality context."""

    schema_version: Literal[2] = Field(2, description="Version of this contract.")  # type: ignore[assignment]
    energy_mwh: Thousandths = Field(0, description="Energy used, in thousandths of a watt hour (WHR).")
    quality: Text = Field("", description="Quality status of the lot as the plant reports it: hold, release, reject.")


class Event(EventV2):
    """Version 3, the current event contract: version 2 with what is consumed or moved, and from where to where."""

    schema_version: Literal[3] = Field(3, description="Version of this contract.")  # type: ignore[assignment]
    quantity: Thousandths = Field(
        0, description="What a consumption or a move concerns, in thousandths of the unit; it is no output."
    )
    from_bin: Text = Field("", description="Warehouse bin it is taken from.")
    to_bin: Text = Field("", description="Warehouse bin it is put into.")
    handling_unit: Text = Field("", description="Licence plate of the pallet or container moved (WMS LPN).")


def upcast(event: EventV1) -> Event:
    """Turn an older version into version 3; pure, and the identity on version 3. Unknown fields are kept.

    Raises: ValidationError when an older record carries a field that only a newer version defines,
    with a value that the newer version refuses.
    """
    if isinstance(event, Event):
        return event
    return Event.model_validate({**event.model_dump(), "schema_version": 3})


def _version(value: Any) -> str:
    return str(value.get("schema_version", 3)) if isinstance(value, dict) else "3"


_ANY_VERSION: Final[TypeAdapter[EventV1]] = TypeAdapter(
    Annotated[
        Annotated[EventV1, Tag("1")] | Annotated[EventV2, Tag("2")] | Annotated[Event, Tag("3")],
        Discriminator(_version),
    ]
)


def read_event(value: bytes) -> Event:
    """Return the event of a JSON message of any version, up-cast; one that names no version is of the newest.

    Raises: ValidationError.
    """
    return upcast(_ANY_VERSION.validate_json(value))
