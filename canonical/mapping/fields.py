"""Canonical fields a mapping may fill, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

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


class FieldSource(Policy):
    """Where a canonical field comes from: a path or column of the record, or a constant."""

    path: str = Field(
        default="", description="Dotted path in JSON and Avro, column in CSV and fixed width, item in SHDR."
    )
    value: str | None = Field(default=None, max_length=256, description="Constant, instead of a path; for text fields.")
    unit: str = Field(default="", description="us, ms, s, min, h for durations; Wh, kWh for energy.")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.path) == (self.value is not None):
            raise refused("give either a path or a constant value", 'such as "machine.id" or { value = "M-1" }')
        return self


Fields = dict[FieldName, Annotated[FieldSource, BeforeValidator(_whole)]]
