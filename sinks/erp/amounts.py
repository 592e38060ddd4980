"""Quantities, durations, instants and numbers of operations as ERPs write them.

Quantities are exact; a float never holds one.

Source: OData 2.0 (Edm.Decimal, Edm.DateTime, Edm.Time in JSON); DOMAIN 3.7.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import orjson

from canonical.units import UNITS
from sinks.erp.unmappable import Unmappable

DECIMAL_13_3_MAX: Final = 10**13 - 1
"""The largest Dec(13,3), in thousandths: ten digits before the point."""
_EPOCH_DAYS: Final = date(1970, 1, 1).toordinal()


def decimal(thousandths: int) -> str:
    """Return thousandths as a decimal with three places: 12345 as 12.345."""
    sign = "-" if thousandths < 0 else ""
    whole, part = divmod(abs(thousandths), 1000)
    return f"{sign}{whole}.{part:03d}"


def json_number(thousandths: int) -> orjson.Fragment:
    """Return thousandths as a JSON number of three decimals."""
    return orjson.Fragment(decimal(thousandths))


def operation_number(operation: str) -> int:
    """Return an operation as the number that it is in most ERPs.

    Raises: Unmappable.
    """
    if not (operation.isascii() and operation.isdigit() and len(operation) < 10):
        raise Unmappable("operation", f"operation {operation!r} is no number, as the ERP's operations are")
    return int(operation)


def duration(micros: int, unit: str) -> int:
    """Return a duration as thousandths of a unit of time, the nearest, half up."""
    factor = UNITS[unit].factor
    assert factor.denominator == 1
    # A thousandth of the unit has factor * 1000 microseconds.
    thousandth = factor.numerator * 1000
    return (2 * micros + thousandth) // (2 * thousandth)


def edm_date(day: date) -> str:
    """Return a day as ``/Date(ms)/``: its midnight, UTC, whatever the zone."""
    return f"/Date({(day.toordinal() - _EPOCH_DAYS) * 86_400_000})/"


def edm_time(instant: datetime) -> str:
    """Return the time of day as ``PT..H..M..S``."""
    return f"PT{instant.hour:02d}H{instant.minute:02d}M{instant.second:02d}S"


def local(instant_us: int, zone: str) -> datetime:
    """Return an instant as the wall clock of a zone shows it, seconds and no finer."""
    return datetime.fromtimestamp(instant_us // 1_000_000, UTC).astimezone(ZoneInfo(zone))


def iso_utc(instant_us: int) -> str:
    """Return an instant as ``2026-01-31T12:00:00Z``, seconds and no finer."""
    return f"{datetime.fromtimestamp(instant_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
