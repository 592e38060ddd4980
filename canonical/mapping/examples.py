"""Examples in a mapping file: a record, and what the mapping has to make of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from canonical.contracts.fault import FaultCode
from canonical.mapping.fields import FieldName
from canonical.mapping.problems import refused
from canonical.policy import Policy


def _told(value: object) -> object:
    """Take the numbers and instants of TOML as the text that stands for them."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int | float | date) and not isinstance(value, bool) else value


Told = Annotated[str, BeforeValidator(_told)]


class Example(Policy):
    """A record, and the event, or the fault, that it becomes."""

    record: str = Field(min_length=1, max_length=65_536, description="The record as the plant sends it.")
    event: dict[FieldName, Told] = Field(
        default={},
        description="Fields of the event; others are not looked at. Numbers are units, seconds, watt hours.",
    )
    fault: FaultCode | None = Field(default=None, description="Code of the fault that the record is.")
    skipped: bool = Field(default=False, description="The record is none, and is passed over.")
    now: Annotated[str, BeforeValidator(_told)] = Field(
        default="", description="When it is read; without it, any instant is neither too old nor in the future."
    )

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if bool(self.event) + (self.fault is not None) + self.skipped != 1:
            raise refused("an example says one of event, fault or skipped", "such as event = { good = 1 }")
        if self.now:
            try:
                at = datetime.fromisoformat(self.now)
            except ValueError as error:
                raise refused(f"now is no instant: {error}", "such as 2026-01-31T12:00:00Z") from error
            if at.tzinfo is None:
                raise refused("now has no offset", "such as 2026-01-31T12:00:00Z")
        return self
