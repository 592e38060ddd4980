"""How figures, instants and codes are written on the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

UNITS: Final = {
    "H87": "pcs",
    "EA": "pcs",
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "LTR": "l",
    "MLT": "ml",
    "MTR": "m",
    "MTK": "m²",
    "MTQ": "m³",
    "SEC": "s",
    "MIN": "min",
    "HUR": "h",
    "KWH": "kWh",
}
"""Symbols of the UN/ECE Recommendation 20 codes that shop floors use; others are shown as they are."""
SMALL: Final = {"Erp": "ERP", "erp": "ERP"}
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def age(us: int | None) -> str:
    """Return a length of time in at most two units."""
    if us is None:
        return "unknown"
    seconds = max(us, 0) // 1_000_000
    if seconds < MINUTE_S:
        return f"{seconds} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min"
    if seconds < DAY_S:
        hours, rest = divmod(seconds, HOUR_S)
        return f"{hours} h {rest // MINUTE_S} min"
    days, rest = divmod(seconds, DAY_S)
    return f"{days} d {rest // HOUR_S} h"


def instant(us: int | None, timespec: str = "seconds") -> str:
    """Return an instant of UTC as ISO 8601 has it."""
    if not us:
        return ""
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def short(us: int | None) -> str:
    """Return an instant of UTC as people write it."""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%-d %b %H:%M:%S UTC") if us else ""


def number(value: float | None) -> str:
    """Return a number with its thousands apart."""
    return "0" if not value else f"{value:,.3f}".rstrip("0").rstrip(".")


def unit(code: str) -> str:
    """Return the symbol of a unit."""
    return UNITS.get(code, code)


def amount(text: str) -> str:
    """Return a quantity with the code of its unit, as the store writes it, with the unit's symbol."""
    value, _, code = text.partition(" ")
    return f"{number(float(value))} {unit(code)}"


def words(code: str) -> str:
    """Return a code as words: ``ORDER_NOT_RELEASED`` is 'Order not released'."""
    text = code.replace("_", " ").replace("-", " ").lower().capitalize()
    return " ".join(SMALL.get(word, word) for word in text.split(" "))
