"""Values as B2MML writes them: quantities with units, instants with or without an offset, keys.

Laws: a quantity is exact or refused; an instant depends on its text and the plant's zone only. Digits finer than a
microsecond are cut off; a local time that the clock change skips is no instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from canonical.b2mml.element import Element
from canonical.b2mml.refusal import Refusal, shown
from canonical.contracts.fault import FaultCode
from canonical.units import UNITS, QuantityError, code_of, thousandths

KEY_MAX: Final = 256
QUANTITY_MAX: Final = 10**15
"""Thousandths a contract's quantity may have."""

_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?", re.ASCII
)
_DURATION: Final = re.compile(r"\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_TIME: Final = UNITS["SEC"].dimension
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity as written, both texts; ``unit`` may be empty."""

    value: str
    unit: str


def key(text: str, what: str) -> str:
    """Return a text that is to be a key. Raises: Refusal where it is too long for one."""
    if len(text) > KEY_MAX:
        raise Refusal(FaultCode.TEXT_TOO_LONG, f"{what} is longer than {KEY_MAX} characters: {shown(text)}")
    return text


def quantity(element: Element, what: str) -> Quantity | None:
    """Return the one quantity of an element; None where it has none.

    Raises: Refusal where it has several, of which nobody says which counts.
    """
    found = list(element.all("Quantity"))
    if len(found) > 1:
        raise Refusal(FaultCode.MALFORMED, f"{what} has {len(found)} quantities; which counts is not said")
    if not found or not found[0].value("QuantityString"):
        return None
    return Quantity(found[0].value("QuantityString"), found[0].value("UnitOfMeasure"))


def thousandths_of(value: Quantity, what: str) -> int:
    """Return a quantity in thousandths of its unit. Raises: Refusal."""
    try:
        result = thousandths(value.value)
    except QuantityError as error:
        raise Refusal(error.code, f"{what}: {error}") from error
    if result < 0:
        raise Refusal(FaultCode.NEGATIVE_QUANTITY, f"{what}: {shown(value.value)} is negative")
    if result > QUANTITY_MAX:
        raise Refusal(FaultCode.ABSURD_QUANTITY, f"{what}: {shown(value.value)} is above {QUANTITY_MAX // 1000}")
    return result


def microseconds(value: Quantity) -> int | None:
    """Return a duration, rounded; None where the quantity is no time. Raises: Refusal where it is no number."""
    unit = UNITS.get(code_of(value.unit) or "")
    if unit is None or unit.dimension != _TIME:
        return None
    if not _DURATION.fullmatch(value.value):
        raise Refusal(FaultCode.WRONG_TYPE, f"{shown(value.value)} {unit.code} is no duration")
    return round(Fraction(Decimal(value.value)) * unit.factor * 10**6)


def unit_code(text: str, what: str, units: Mapping[str, str], default: str) -> str:
    """Return the Rec 20 code of a unit, by the plant's own words first. Raises: Refusal."""
    found = units.get(text) or code_of(text) if text else default
    if found is None:
        raise Refusal(FaultCode.UNKNOWN_UNIT, f"{what}: the unit {shown(text)} is not in units, and not Rec 20")
    return found


def instant_us(text: str, what: str, zone: ZoneInfo) -> int:
    """Return an instant in microseconds; without an offset it is local, and of two the earlier. Raises: Refusal."""
    if not text:
        raise Refusal(FaultCode.MISSING_FIELD, f"{what} is missing, or empty")
    found = _DATE_TIME.fullmatch(text)
    moment = None if found is None else _moment(found[1], found[2] or "", found[3] or "", zone)
    if moment is None:
        raise Refusal(FaultCode.BAD_TIMESTAMP, f"{what}: {shown(text)} is no instant")
    return (moment - _EPOCH) // _MICROSECOND


def _moment(second: str, fraction: str, offset: str, zone: ZoneInfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(second + offset) + timedelta(microseconds=int((fraction + "000000")[:6]))
        if offset:
            return moment
        local = moment.replace(tzinfo=zone)
        # A time that is skipped is another one when it has been to UTC and back.
        there_and_back = local.astimezone(UTC).astimezone(zone)
    except (ValueError, OverflowError):
        return None
    return local if there_and_back.replace(tzinfo=None) == moment else None
