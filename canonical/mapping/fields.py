"""Canonical fields a mapping may fill, and where each comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, StrictBool, StrictInt, model_validator

from canonical.mapping.patterns import pattern_problem
from canonical.mapping.problems import refused
from canonical.policy import Policy

TextField = Literal[
    "plant", "source", "session", "order", "operation", "work_center",
    "material", "lot", "reason", "unit", "correlation_id", "quality", "from_bin", "to_bin", "handling_unit",
]  # fmt: skip
QuantityField = Literal["good", "scrap", "rework", "good_counter", "scrap_counter", "quantity"]
DurationField = Literal["setup", "machine", "labour"]
FieldName = Literal[
    TextField, "event_id", "type", "seq", "occurred", "recorded", QuantityField, DurationField, "energy"
]

TEXT_FIELDS: Final[tuple[str, ...]] = get_args(TextField)
QUANTITY_FIELDS: Final[tuple[str, ...]] = get_args(QuantityField)
DURATION_FIELDS: Final[tuple[str, ...]] = get_args(DurationField)

EPOCH_US: Final[Mapping[str, int]] = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Microseconds in one count of an epoch format of time."""

DURATION_US: Final[Mapping[str, int]] = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
"""Microseconds in a unit of duration."""

ENERGY_MWH: Final[Mapping[str, int]] = {"Wh": 1_000, "kWh": 1_000_000}
"""Thousandths of a watt hour in a unit of energy."""


def numeric_fields(time_format: str) -> frozenset[str]:
    """Return the canonical fields that a record holds as numbers; all others are text."""
    times = ("occurred", "recorded") if time_format in EPOCH_US else ()
    return frozenset({"seq", "energy", *QUANTITY_FIELDS, *DURATION_FIELDS, *times})


def _whole(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


def _constant(value: object) -> object:
    """Take a number of TOML for the decimal that the file shows."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _decimal(value: object) -> object:
    """Take a factor as the decimal that the file shows, never as the binary fraction next to it. Raises: ValueError."""
    text = str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
    if (
        not isinstance(text, str)
        or not _FACTOR.fullmatch(text)
        or len(Decimal(text).as_tuple().digits) > _FACTOR_DIGITS_MAX
    ):
        raise refused("no decimal number of at most nine digits", "such as 100 or 0.001")
    return Decimal(text)


def _pattern(value: object) -> object:
    if not isinstance(value, str) or not 1 <= len(value) <= PATTERN_MAX:
        raise refused(f"no pattern of 1 to {PATTERN_MAX} characters", "such as '^[A-Z]+-([0-9]+)$'")
    problem = pattern_problem(value)
    if problem is not None:
        raise refused(*problem)
    return value


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


PATTERN_MAX: Final = 200
PARTS_MAX: Final = 16
"""Values that one expression may be made of, and conditions that must hold."""
DEPTH_MAX: Final = 4
"""Expressions inside expressions."""

_FACTOR: Final = re.compile(r"-?(?=\.?\d)\d{0,9}(\.\d{1,9})?", re.ASCII)
_FACTOR_DIGITS_MAX: Final = 9

Pattern = Annotated[str, BeforeValidator(_pattern)]
Factor = Annotated[Decimal, BeforeValidator(_decimal), PlainSerializer(str)]
Constant = Annotated[str, BeforeValidator(_constant), Field(max_length=256)]
Comparable = Annotated[StrictBool | StrictInt | Annotated[str, Field(strict=True, min_length=1)], Field()]


class Condition(Policy):
    """What one value of the record must be; a record that has no such value has nothing there."""

    path: str = Field(min_length=1, description="As the path of a field.")
    equal: Annotated[tuple[Comparable, ...] | None, BeforeValidator(_several)] = Field(
        default=None,
        alias="is",
        min_length=1,
        max_length=256,
        description="One of these: texts, whole numbers or truth values.",
    )
    unequal: Annotated[tuple[Comparable, ...] | None, BeforeValidator(_several)] = Field(
        default=None, alias="not", min_length=1, max_length=256, description="None of these; so is nothing."
    )
    matches: Pattern | None = Field(default=None, description="Regular expression (RE2) that is found in the text.")
    present: bool | None = Field(default=None, description="Whether there is something.")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.equal, self.unequal, self.matches, self.present)) != 1:
            raise refused("a condition is one test of one path", 'such as { path = "kind", is = ["A", "B"] }')
        if len({type(each) for each in self.compared}) > 1:
            raise refused("texts, numbers and truth values are not mixed", "make one condition of each")
        return self

    @property
    def compared(self) -> tuple[str | int | bool, ...]:
        """What the value is compared with."""
        return self.equal or self.unequal or ()


class FieldSource(Policy):
    """Where a value comes from: a path or column of the record, a constant, or several values."""

    path: str = Field(
        default="", description="Dotted path in JSON and Avro, column in CSV and fixed width, item in SHDR."
    )
    value: Constant | None = Field(default=None, description="Constant, instead of a path.")
    first_of: tuple[Source, ...] = Field(
        default=(), max_length=PARTS_MAX, description="The first of these that the record has."
    )
    join: tuple[Source, ...] = Field(
        default=(), max_length=PARTS_MAX, description="These texts after each other; nothing where one is missing."
    )
    separator: str = Field(default="", max_length=16, description="What stands between the texts of `join`.")
    match: Pattern | None = Field(
        default=None,
        description="Regular expression (RE2): the text is its group, or what it finds; else nothing.",
    )
    scale: Factor | None = Field(default=None, description="The number times this, exactly.")
    offset: Factor | None = Field(default=None, description="Added to the number, after `scale`.")
    when: Annotated[tuple[Condition, ...], BeforeValidator(_several)] = Field(
        default=(), max_length=PARTS_MAX, description="Nothing unless all of these hold."
    )
    default: Constant | None = Field(default=None, description="Constant where there is nothing.")
    number: bool = Field(default=False, description="JSON: the text is a whole number in the record.")
    unit: str = Field(default="", description="us, ms, s, min, h for durations; Wh, kWh for energy.")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.path) + (self.value is not None) + bool(self.first_of) + bool(self.join) != 1:
            raise refused(
                "give either a path or a constant value, or first_of, or join", 'such as "machine.id" or { value = 1 }'
            )
        if self.separator and not self.join:
            raise refused("separator goes with join", "remove it")
        if self.number and not self.path:
            raise refused("number goes with path", "remove it")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether it is a path or a constant and nothing else."""
        parts = self.first_of or self.join or self.match or self.scale or self.offset or self.when or self.number
        return not parts and self.default is None

    @property
    def parts(self) -> tuple[FieldSource, ...]:
        """The values it is made of."""
        return self.first_of or self.join

    def walk(self, depth: int = 1) -> Iterator[tuple[int, FieldSource]]:
        """Yield this expression and all inside it, with their depth from 1."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)


Source = Annotated[FieldSource, BeforeValidator(_whole)]
FieldSource.model_rebuild()
Fields = dict[FieldName, Source]
