"""One reading of a signal: when, what, and the record that tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final, Self

EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation])
"""The difference of two readings times a time is exact: they have 30 digits on each side of the point, times 1e29."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-2]?[0-9])?")


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading. ``at_us``: its own instant, UTC; ``text``: its value; ``record``: what is told of it."""

    at_us: int
    text: str
    record: bytes = b""
    number: Decimal | None = field(init=False, compare=False)
    """Its value, where it is a number that can be calculated with exactly."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", Decimal(self.text) if _NUMBER.fullmatch(self.text) else None)

    def encoded(self) -> list[Any]:
        """Return the reading for a state; its record may be any bytes."""
        return [self.at_us, self.text, self.record.decode("latin-1")]

    @classmethod
    def decoded(cls, told: list[Any] | None) -> Self | None:
        """Return the reading that ``encoded`` made."""
        return None if told is None else cls(told[0], told[1], told[2].encode("latin-1"))


def instant_us(text: str) -> int | None:
    """Return an instant of ISO 8601 with its offset in UTC microseconds; None where it is none."""
    try:
        instant = datetime.fromisoformat(text)
        return round(instant.timestamp() * 1e6) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
