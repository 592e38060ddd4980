"""The mapping of a plant: where its records lie, what they look like and what they mean (M45)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import fastavro
from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from canonical.contracts.event import EventType
from canonical.mapping.examples import Example
from canonical.mapping.fields import EPOCH_US, Condition, FieldName, Fields, FieldSource, TextField
from canonical.mapping.problems import refused
from canonical.mapping.reads import Reading, is_direct
from canonical.packml import PACKML_TYPES, PackMLState
from canonical.policy import (
    DEFAULT_ROUTES,
    AggregatePolicy,
    CounterPolicy,
    LimitPolicy,
    MaintenancePolicy,
    Policy,
    Route,
    SequencePolicy,
    ShiftPolicy,
    StatePolicy,
)
from canonical.residency import Region
from canonical.writer_schema import writer_schema

Encoding = Literal["utf-8", "latin-1", "cp1252"]
Letter = Annotated[str, Field(min_length=1, max_length=1)]
Decimal = Literal[".", ","]


class InputSection(Policy):
    """Where the plant's records arrive."""

    folder: str = Field(default="", description="Drop folder, below the landing folder.")
    pattern: str = Field(default="*", min_length=1, description="File names taken from the drop folder.")
    topics: tuple[str, ...] = Field(default=(), description="Kafka topics.")
    collected: tuple[str, ...] = Field(default=(), description="What is collected: `collect.<name>` of the settings.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.folder and not self.topics and not self.collected:
            raise refused("no input is named", "set folder, topics or collected")
        return self


class TimeSection(Policy):
    """How instants are written."""

    format: str = Field(
        default="iso8601",
        description="iso8601 (without an offset: plant-local), epoch_s, epoch_ms, epoch_us, or a strptime pattern.",
    )
    ambiguous: Literal["earliest", "latest", "order"] = Field(
        default="earliest",
        description="A local time that occurs twice; `order`: the later where a source's counters went on and its time "
        "went back, else the earlier. For sources without numbers.",
    )

    @field_validator("format")
    @classmethod
    def _format(cls, value: str) -> str:
        if value not in TIME_FORMATS and "%" not in value:
            raise refused(f"unknown time format {value!r}", f"one of {', '.join(TIME_FORMATS)} or a strptime pattern")
        return value


TIME_FORMATS: Final = ("iso8601", *EPOCH_US)


class CsvSection(Policy):
    """How delimited text is written."""

    delimiter: Letter = ","
    header: bool = Field(default=True, description="Lines that repeat the names of the columns are headers.")
    columns: tuple[str, ...] = Field(
        min_length=1, description="Names of all columns in their order, also with a header: a batch may begin anywhere."
    )
    quote: Letter = '"'
    encoding: Encoding = "utf-8"
    decimal: Decimal = "."


class FixedColumn(Policy):
    """One column of a fixed-width record, in characters."""

    name: str = Field(min_length=1)
    start: int = Field(ge=0)
    width: int = Field(ge=1)


class FixedSection(Policy):
    """How fixed-width text is written."""

    columns: tuple[FixedColumn, ...] = Field(
        min_length=1, description="All columns, also those that no field takes: elsewhere a record is blank."
    )
    encoding: Encoding = "utf-8"
    decimal: Decimal = "."


class ShdrSection(Policy):
    """How the lines of an MTConnect adapter (SHDR) are read. A line's time is ``occurred``."""

    source: str = Field(min_length=1, max_length=256, description="The machine; the lines do not name it.")
    session_start: str = Field(default="", description="Data item whose line opens a new session.")
    items: Fields = Field(min_length=1, description="Canonical field = data item.")


SHDR_TYPES: Final = (EventType.TELEMETRY, EventType.STATE, EventType.PARTIAL)
"""What a line of SHDR is by what it carries: nothing of the others, a state, or a reading of a counter."""


class AvroSchema(Policy):
    """A writer schema: the file that holds it and its text."""

    path: str
    text: str


def _schema(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        raise refused("not the name of a schema file", 'such as "event.v1.avsc"')
    assert info.context is not None
    folder: Path = info.context["folder"]
    try:
        text = (folder / value).read_text("utf-8")
        writer_schema(text)
    except OSError as error:
        raise refused(f"{value}: {error.strerror}", "the path is relative to the mapping file") from error
    except (ValueError, KeyError, fastavro.schema.SchemaParseException) as error:
        raise refused(
            f"{value} is not an Avro schema: {error}", "see the Avro specification, Schema Declaration"
        ) from error
    return {"path": value, "text": text}


class AvroSection(Policy):
    """Writer schemas of messages, by the id their Confluent frame carries."""

    registry: str = Field(
        default="",
        max_length=64,
        description="Schema registry that knows the other ids: `schema_registries.<name>` of the settings.",
    )
    ids: dict[Annotated[int, Field(ge=0, lt=2**32)], Annotated[AvroSchema, BeforeValidator(_schema)]] = Field(
        default={}
    )


class PlantMapping(Policy):
    """Everything plantsync knows about one plant."""

    plant: str = Field(default="", max_length=256, description="Constant plant; or map fields.plant.")
    title: str = ""
    residency: Region | Literal[""] = Field(
        default="", description="Region that its data may not leave, as eu; sinks name the regions they may receive."
    )
    time_zone: str = Field(
        default="UTC", description="Zone of local times, shifts and posting dates, as Europe/Berlin."
    )
    format: Literal["json", "avro", "csv", "fixed", "shdr", "b2mml", "parquet"]
    unit: str = Field(default="H87", description="UN/ECE Rec 20 code of quantities that name no unit.")
    default_type: EventType | None = Field(default=None, description="Type of records that name none.")
    input: InputSection
    fields: Fields = Field(default={})
    time: TimeSection = TimeSection()
    skip: tuple[Condition, ...] = Field(
        default=(),
        max_length=64,
        description="A record for which one of these holds is none: it is counted as skipped.",
    )
    types: dict[str, EventType] = Field(default={}, description="Local verb = type. Empty: the plant uses our words.")
    packml: dict[str, PackMLState] = Field(
        default={}, description="Local state = state of PackML (ISA-TR88.00.02), which tells the type of the event."
    )
    units: dict[str, str] = Field(default={}, description="Local unit = UN/ECE Rec 20 code.")
    keys: dict[TextField, dict[str, str]] = Field(
        default={}, description="Cross-reference: local key = canonical key (M06)."
    )
    sequencing: SequencePolicy = SequencePolicy()
    counters: CounterPolicy = CounterPolicy()
    aggregation: AggregatePolicy = AggregatePolicy()
    limits: LimitPolicy = LimitPolicy()
    states: StatePolicy = StatePolicy()
    routes: dict[EventType, Route] = Field(default_factory=lambda: dict(DEFAULT_ROUTES))
    shifts: tuple[ShiftPolicy, ...] = ()
    maintenance: tuple[MaintenancePolicy, ...] = Field(
        default=(), description="When machines are planned to stand, besides breaks; counts within shifts."
    )
    csv: CsvSection | None = None
    fixed: FixedSection | None = None
    shdr: ShdrSection | None = None
    avro: AvroSection | None = None
    examples: tuple[Example, ...] = Field(
        default=(), max_length=256, description="Records and what they become; `plantsync lint` tries them."
    )

    _text: str = PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:
        """Keep the text of the file, where it was read from one."""
        self._text = (context or {}).get("text", "")

    @field_validator("routes")
    @classmethod
    def _routes(cls, value: dict[EventType, Route]) -> dict[EventType, Route]:
        return {**DEFAULT_ROUTES, **value}

    @property
    def name(self) -> str:
        """The plant, or what people call it where its records name the plant."""
        return self.plant or self.title

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, of which nothing has been worked out yet; with other values the file's text is not its own."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        if update:
            copied.model_post_init(None)
        return copied

    @property
    def text(self) -> str:
        """The file it was read from, empty where it was read from none."""
        return self._text

    @property
    def companions(self) -> dict[str, str]:
        """The texts of the files that it names, by their path beside it."""
        return {} if self.avro is None else {schema.path: schema.text for schema in self.avro.ids.values()}

    @property
    def is_json(self) -> bool:
        """Whether its records are objects of JSON: texts, numbers and truth values, one in another."""
        return self.format in {"json", "parquet"}

    @cached_property
    def paths(self) -> dict[FieldName, FieldSource]:
        """Canonical fields that are a place of the record and no more."""
        return {name: source for name, source in self.sources.items() if source.path and is_direct(name, source)}

    @cached_property
    def constants(self) -> dict[FieldName, str]:
        """Canonical text fields that are the same in every record."""
        return {
            name: source.value
            for name, source in self.sources.items()
            if source.value is not None and is_direct(name, source)
        }

    @cached_property
    def reading(self) -> Reading:
        """What is read of each record, and which fields are computed of it."""
        return Reading(
            self.sources,  # type: ignore[arg-type] # names of fields are texts
            self.skip,
            is_json=self.is_json,
            time_format=self.time.format,
        )

    @cached_property
    def words(self) -> dict[str, EventType]:
        """The plant's words for types of events: its verbs, and its states as PackML means them.

        A line of SHDR that tells no state has a type all the same, by what it carries, and that is in our words.
        """
        if not self.types and not self.packml:
            return {kind.value: kind for kind in EventType}
        words = {local: PACKML_TYPES[state] for local, state in self.packml.items()} | self.types
        return words if self.shdr is None else words | {kind.value: kind for kind in SHDR_TYPES}

    @cached_property
    def sources(self) -> dict[FieldName, FieldSource]:
        """Every mapped canonical field and where it comes from, whichever section says so."""
        sources = dict(self.fields)
        if self.plant:
            sources["plant"] = FieldSource(value=self.plant)
        if self.shdr is not None:
            sources["source"] = FieldSource(value=self.shdr.source)
            sources.update(self.shdr.items)
        return sources

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of what the mapping means; layout and comments do not count (M35).

        Nor does what is as it would be without being said, so that a key that a release adds changes no digest.
        """
        meant = self.model_dump(mode="json", exclude={"examples", "routes"}, exclude_defaults=True)
        if routes := {kind: route for kind, route in self.routes.items() if route is not DEFAULT_ROUTES.get(kind)}:
            meant["routes"] = routes
        content = json.dumps(meant, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
