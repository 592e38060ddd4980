"""Units of measure, and quantities as integer thousandths of them.

Law: a conversion is exact or it is refused; no quantity is ever rounded. ``convert_thousandths``
there and back is the identity wherever there succeeds.

Source: UN/ECE Recommendation 20, revision 17 (codes, names); factors from the definitions of the
units (the Recommendation rounds a few, as the pound's ounce), as exact fractions of the base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from canonical.contracts.event import INT64_MAX
from canonical.contracts.fault import FaultCode


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure: ``factor`` of the base of its ``dimension`` make one of it.

    Units of different dimensions never convert. A dimension with one unit is its own.
    """

    code: str
    name: str
    dimension: str
    factor: Fraction


_POUND: Final = Fraction("0.45359237")
_INCH: Final = Fraction("0.0254")

_DIMENSIONS: Final[Mapping[str, tuple[tuple[str, str, Fraction | int], ...]]] = {
    # In ones.
    "count": (
        ("C62", "one", 1),
        ("H87", "piece", 1),
        ("EA", "each", 1),
        ("NAR", "number of articles", 1),
        ("PR", "pair", 2),
        ("NPR", "number of pairs", 2),
        ("DZN", "dozen", 12),
        ("CEN", "hundred", 100),
        ("GRO", "gross", 144),
        ("MIL", "thousand", 1000),
    ),
    # How many pieces are in one is for the material's master data to say.
    "set": (("SET", "set", 1),),
    "kit": (("KT", "kit", 1),),
    "assembly": (("AY", "assembly", 1),),
    "lot": (("LO", "lot", 1),),
    "batch": (("5B", "batch", 1),),
    # In kilograms.
    "mass": (
        ("MGM", "milligram", Fraction(1, 10**6)),
        ("GRM", "gram", Fraction(1, 1000)),
        ("KGM", "kilogram", 1),
        ("DTN", "decitonne", 100),
        ("TNE", "tonne", 1000),
        ("2U", "megagram", 1000),
        ("ONZ", "ounce (avoirdupois)", _POUND / 16),
        ("LBR", "pound", _POUND),
        ("STN", "ton (US)", _POUND * 2000),
        ("LTN", "ton (UK)", _POUND * 2240),
    ),
    # In cubic metres.
    "volume": (
        ("MMQ", "cubic millimetre", Fraction(1, 10**9)),
        ("CMQ", "cubic centimetre", Fraction(1, 10**6)),
        ("MLT", "millilitre", Fraction(1, 10**6)),
        ("CLT", "centilitre", Fraction(1, 10**5)),
        ("DLT", "decilitre", Fraction(1, 10**4)),
        ("LTR", "litre", Fraction(1, 1000)),
        ("DMQ", "cubic decimetre", Fraction(1, 1000)),
        ("HLT", "hectolitre", Fraction(1, 10)),
        ("MTQ", "cubic metre", 1),
        ("OZA", "fluid ounce (US)", _INCH**3 * 231 / 128),
        ("GLL", "gallon (US)", _INCH**3 * 231),
        ("GLI", "gallon (UK)", Fraction("0.00454609")),
    ),
    # In metres.
    "length": (
        ("4H", "micrometre", Fraction(1, 10**6)),
        ("MMT", "millimetre", Fraction(1, 1000)),
        ("CMT", "centimetre", Fraction(1, 100)),
        ("DMT", "decimetre", Fraction(1, 10)),
        ("MTR", "metre", 1),
        ("KMT", "kilometre", 1000),
        ("INH", "inch", _INCH),
        ("FOT", "foot", _INCH * 12),
        ("YRD", "yard", _INCH * 36),
    ),
    # In square metres.
    "area": (
        ("MMK", "square millimetre", Fraction(1, 10**6)),
        ("CMK", "square centimetre", Fraction(1, 10**4)),
        ("DMK", "square decimetre", Fraction(1, 100)),
        ("MTK", "square metre", 1),
        ("INK", "square inch", _INCH**2),
        ("FTK", "square foot", (_INCH * 12) ** 2),
    ),
    # In seconds.
    "time": (
        ("B98", "microsecond", Fraction(1, 10**6)),
        ("C26", "millisecond", Fraction(1, 1000)),
        ("SEC", "second", 1),
        ("MIN", "minute", 60),
        ("HUR", "hour", 3600),
        ("DAY", "day", 86_400),
        ("WEE", "week", 7 * 86_400),
    ),
    # In joules.
    "energy": (
        ("JOU", "joule", 1),
        ("KJO", "kilojoule", 1000),
        ("3B", "megajoule", 10**6),
        ("WHR", "watt hour", 3600),
        ("KWH", "kilowatt hour", 3600 * 10**3),
        ("MWH", "megawatt hour", 3600 * 10**6),
        ("GWH", "gigawatt hour", 3600 * 10**9),
    ),
    # In watts.
    "power": (("WTT", "watt", 1), ("KWT", "kilowatt", 1000)),
    # In pascals.
    "pressure": (("PAL", "pascal", 1), ("BAR", "bar", 10**5)),
    "electric current": (("AMP", "ampere", 1),),
    "voltage": (("VLT", "volt", 1),),
    "proportion": (("P1", "percent", 1),),
    # Temperatures have different zeros, so a factor cannot convert them.
    "temperature in degrees Celsius": (("CEL", "degree Celsius", 1),),
    "temperature in degrees Fahrenheit": (("FAH", "degree Fahrenheit", 1),),
    "temperature in kelvins": (("KEL", "kelvin", 1),),
}

UNITS: Final[Mapping[str, Unit]] = {
    code: Unit(code, name, dimension, Fraction(factor))
    for dimension, units in _DIMENSIONS.items()
    for code, name, factor in units
}
"""Every known unit by its Recommendation 20 code."""

ALIASES: Final[Mapping[str, str]] = {
    alias: code
    for code, aliases in {
        # ST is SAP's, for Stück; PCE is what EDIFACT wrote before H87. STK is taken: a stick.
        "H87": "PCE PCS PC Pcs Pc pce pcs pc piece pieces ST Stk St Stück stk",
        "C62": "1 one unit units",
        "EA": "ea each",
        "PR": "PAA pair pairs",
        "DZN": "DZ DOZ dozen",
        "GRO": "GRS gross",
        "SET": "set sets",
        "MGM": "MG mg",
        "GRM": "G g gram",
        "KGM": "KG Kg kg kilogram",
        "TNE": "TO T t tonne",
        "LBR": "LB lb lbs",
        "ONZ": "OZ oz",
        "MLT": "ML ml mL",
        "CLT": "CL cl cL",
        "LTR": "L l litre liter",
        "HLT": "HL hl hL",
        "MTQ": "M3 m3 m³",
        "CMQ": "CCM cm3 cm³",
        "4H": "um µm μm",
        "MMT": "MM mm",
        "CMT": "CM cm",
        "MTR": "M m metre meter",
        "KMT": "KM km",
        "INH": "IN in inch",
        "FOT": "FT ft foot",
        "MMK": "MM2 mm2 mm²",
        "CMK": "CM2 cm2 cm²",
        "MTK": "M2 m2 m²",
        "C26": "ms MSE",
        "SEC": "S s sec",
        "MIN": "min",
        "HUR": "H h hr STD HR hour hours",
        "DAY": "D d day days",
        "JOU": "J",
        "KJO": "kJ",
        "3B": "MJ",
        "WHR": "WH Wh",
        "KWH": "kWh",
        "MWH": "MWh",
        "WTT": "W",
        "KWT": "kW",
        "PAL": "PA Pa",
        "BAR": "bar",
        "AMP": "A",
        "VLT": "V",
        "P1": "% pct",
        "CEL": "°C degC",
        "FAH": "°F degF",
        "KEL": "K",
    }.items()
    for alias in aliases.split()
}
"""Common spellings, as SAP, EDIFACT and people write them. Exact: mWh is no MWh, so case is never folded."""


class QuantityError(ValueError):
    """A quantity that cannot be used; ``code`` is the fault it makes of its record."""

    def __init__(self, code: FaultCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def known(code: str) -> bool:
    """Return whether ``code`` is a known Recommendation 20 code (an alias is not)."""
    return code in UNITS


def code_of(text: str) -> str | None:
    """Return the code that ``text`` is or is a common spelling of; None where it is neither."""
    return text if text in UNITS else ALIASES.get(text)


def convert_thousandths(value: int, source: str, target: str) -> int:
    """Return ``value`` thousandths of ``source`` as thousandths of ``target``, both codes.

    Raises: QuantityError (UNKNOWN_UNIT) when a code is unknown or the dimensions differ, and
    (ABSURD_QUANTITY) when the result is finer than a thousandth of ``target``.
    """
    for code in (source, target):
        if code not in UNITS:
            hint = f"; write {ALIASES[code]}" if code in ALIASES else ""
            raise QuantityError(FaultCode.UNKNOWN_UNIT, f"{code!r} is not a known Recommendation 20 code{hint}")
    a, b = UNITS[source], UNITS[target]
    if a.dimension != b.dimension:
        raise QuantityError(
            FaultCode.UNKNOWN_UNIT,
            f"{source} ({a.name}) is a unit of {a.dimension} and {target} ({b.name}) one of {b.dimension}; "
            "they do not convert",
        )
    result = value * a.factor / b.factor
    if result.denominator != 1:
        raise QuantityError(
            FaultCode.ABSURD_QUANTITY,
            f"{value} thousandths of {source} are no whole number of thousandths of {target}; keep {source} "
            "or choose a finer unit",
        )
    return result.numerator


_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_DIGITS_MAX: Final = 64


def thousandths(quantity: str | float | Decimal) -> int:
    """Return a quantity as an integer number of thousandths; exact, or an error saying why.

    A float counts as the shortest decimal that denotes it, so 0.1 is 100 and 0.1 + 0.2, which
    is 0.30000000000000004, is refused. Text is ASCII: sign, digits, point, exponent; spaces
    around it do not count. A sign is kept: whether a negative quantity makes sense is not
    decided here.

    Raises: QuantityError (WRONG_TYPE) when it is no number, and (ABSURD_QUANTITY) when it is not
    finite, finer than a thousandth, or beyond int64.
    """
    if isinstance(quantity, str):
        text = quantity.strip(" \t")
        if len(text) > _DIGITS_MAX or not _NUMBER.fullmatch(text):
            raise QuantityError(FaultCode.WRONG_TYPE, f"{quantity[:_DIGITS_MAX]!r} is not a decimal number")
        number = Decimal(text)
    elif isinstance(quantity, bool):
        raise QuantityError(FaultCode.WRONG_TYPE, f"{quantity} is a truth value, not a quantity")
    else:
        number = Decimal(repr(quantity)) if isinstance(quantity, float) else Decimal(quantity)
    if not number.is_finite():
        raise QuantityError(FaultCode.ABSURD_QUANTITY, f"{quantity!r} is not finite")
    if not number:
        return 0
    # The magnitude first: written out, 1e9999 has ten thousand digits.
    if number.adjusted() < -3:
        raise QuantityError(FaultCode.ABSURD_QUANTITY, f"{quantity!r} is finer than a thousandth")
    if number.adjusted() > 15 or abs(result := Fraction(number) * 1000) > INT64_MAX:
        raise QuantityError(FaultCode.ABSURD_QUANTITY, f"{quantity!r} is beyond 64 bits")
    if result.denominator != 1:
        raise QuantityError(FaultCode.ABSURD_QUANTITY, f"{quantity!r} is finer than a thousandth")
    return result.numerator
