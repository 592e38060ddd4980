"""Fields of JSON bodies, read strictly: what is not what it should be is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from canonical.units import QuantityError, thousandths
from dataflows.erp_simulator.refusal import Code, Refused

_DATE: Final = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{1,4})?\)/")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T[\d:.]*(?:Z|[+-]\d\d:\d\d)?)?")

Row = dict[str, Any]


def quantity(body: Mapping[str, Any], name: str) -> int:
    """Return an Edm.Decimal as thousandths; 0 where it is absent or empty. It must be a JSON string."""
    value = body.get(name)
    if value is None or value == "":
        return 0
    if not isinstance(value, str):
        raise Refused(Code.FIELD_WRONG, field=name, reason="Edm.Decimal is written as a string")
    try:
        return thousandths(value)
    except QuantityError as error:
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a decimal of three places") from error


def real(body: Mapping[str, Any], name: str) -> int:
    """Return a JSON number (not a string) as thousandths; 0 where it is absent."""
    value = body.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a number")
    try:
        return thousandths(value)
    except QuantityError as error:
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a number of three decimals") from error


def text(body: Mapping[str, Any], name: str, length: int = 40) -> str:
    """Return a text field; empty where it is absent."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > length:
        raise Refused(Code.FIELD_WRONG, field=name, reason=f"not a text of at most {length} characters")
    return value.strip()


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a boolean field; false where it is absent."""
    value = body.get(name) or False
    if not isinstance(value, bool):
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a Boolean")
    return value


def day(value: object, name: str) -> date | None:
    """Return the day of ``/Date(ms)/`` or of an ISO date; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            if found := _DATE.fullmatch(value):
                return datetime.fromtimestamp(int(found[1]) / 1000, UTC).date()
            if found := _ISO.fullmatch(value):
                return date.fromisoformat(found[1])
        except (ValueError, OverflowError, OSError) as error:
            raise Refused(Code.FIELD_WRONG, field=name, reason="not a date") from error
    raise Refused(Code.FIELD_WRONG, field=name, reason="not a date such as /Date(1767225600000)/")


def nested(body: Mapping[str, Any], name: str) -> list[Row] | None:
    """Return deep children, ``{"results": [...]}`` or a plain list; None where the field is absent."""
    value = body.get(name)
    if value is None:
        return None
    rows = value.get("results") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused(Code.FIELD_WRONG, field=name, reason="not a list of entries")
    return rows
