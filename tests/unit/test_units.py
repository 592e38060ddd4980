"""Units convert exactly or not at all; quantities become thousandths exactly or not at all."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts import FaultCode
from canonical.units import (
    ALIASES,
    UNITS,
    QuantityError,
    code_of,
    convert_thousandths,
    known,
    thousandths,
)

CODES = st.sampled_from(sorted(UNITS))


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (1_000, "KGM", "GRM", 1_000_000),
        (1_000, "GRM", "KGM", 1),
        (100_000_000, "LBR", "KGM", 45_359_237),
        (2_000, "DZN", "H87", 24_000),
        (6_000, "H87", "DZN", 500),
        (3_000, "PR", "EA", 6_000),
        (1_000, "HUR", "SEC", 3_600_000),
        (1_000, "MWH", "KWH", 1_000_000),
        (1_000, "KWH", "3B", 3_600),
        (1_000, "MTQ", "LTR", 1_000_000),
        (128_000, "OZA", "GLL", 1_000),
        (12_000, "INH", "FOT", 1_000),
        (1_000, "TNE", "2U", 1_000),
        (-5_000, "MTR", "MMT", -5_000_000),
        (7, "SET", "SET", 7),
    ],
)
def test_conversions_are_exact(value: int, source: str, target: str, result: int) -> None:
    assert convert_thousandths(value, source, target) == result


@pytest.mark.parametrize(
    ("value", "source", "target", "code", "words"),
    [
        (1, "GRM", "KGM", FaultCode.ABSURD_QUANTITY, "no whole number"),
        (1_000, "LBR", "KGM", FaultCode.ABSURD_QUANTITY, "no whole number"),
        (1_000, "KGM", "LTR", FaultCode.UNKNOWN_UNIT, "of mass and LTR"),
        (1_000, "CEL", "FAH", FaultCode.UNKNOWN_UNIT, "do not convert"),
        (1_000, "SET", "H87", FaultCode.UNKNOWN_UNIT, "do not convert"),
        (1_000, "KGM", "XYZ", FaultCode.UNKNOWN_UNIT, "'XYZ' is not a known"),
        (1_000, "kg", "GRM", FaultCode.UNKNOWN_UNIT, "write KGM"),
    ],
)
def test_what_cannot_convert_says_why(value: int, source: str, target: str, code: FaultCode, words: str) -> None:
    with pytest.raises(QuantityError, match=words) as error:
        convert_thousandths(value, source, target)
    assert error.value.code is code


@given(st.integers(-(10**15), 10**15), CODES, CODES)
def test_there_and_back_is_the_identity(value: int, source: str, target: str) -> None:
    try:
        there = convert_thousandths(value, source, target)
    except QuantityError:
        return
    assert convert_thousandths(there, target, source) == value
    assert there * UNITS[target].factor == value * UNITS[source].factor


def test_an_alias_names_one_known_unit_and_is_no_code() -> None:
    assert set(ALIASES.values()) <= set(UNITS)
    assert not set(ALIASES) & set(UNITS)


@pytest.mark.parametrize(
    ("text", "code"),
    [("ST", "H87"), ("PCE", "H87"), ("pcs", "H87"), ("KG", "KGM"), ("l", "LTR"), ("H87", "H87"), ("MWh", "MWH")],
)
def test_common_spellings_have_a_code(text: str, code: str) -> None:
    assert code_of(text) == code
    assert known(code)


@pytest.mark.parametrize("text", ["", "mWh", "h87", "XBX", "kgs per hour"])
def test_what_is_not_known_has_no_code(text: str) -> None:
    assert code_of(text) is None
    assert not known(text)


@pytest.mark.parametrize(
    ("quantity", "result"),
    [
        ("12", 12_000),
        (" 12.5\t", 12_500),
        ("+0.001", 1),
        (".5", 500),
        ("5.", 5_000),
        ("1e3", 1_000_000),
        ("1.5000000", 1_500),
        ("-3", -3_000),
        ("0e9999", 0),
        ("9223372036854775.807", 2**63 - 1),
        (0.1, 100),
        (1e-3, 1),
        (3, 3_000),
        (-0.0, 0),
        (Decimal("2.25"), 2_250),
        (Decimal("0e-999999999"), 0),
    ],
)
def test_quantities_are_exact(quantity: str | float | Decimal, result: int) -> None:
    assert thousandths(quantity) == result


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("", FaultCode.WRONG_TYPE),
        (".", FaultCode.WRONG_TYPE),
        ("abc", FaultCode.WRONG_TYPE),
        ("1_000", FaultCode.WRONG_TYPE),
        ("1,5", FaultCode.WRONG_TYPE),
        ("1 2", FaultCode.WRONG_TYPE),
        ("٣", FaultCode.WRONG_TYPE),
        ("nan", FaultCode.WRONG_TYPE),
        ("0x10", FaultCode.WRONG_TYPE),
        ("1e99999999", FaultCode.WRONG_TYPE),
        ("1" * 65, FaultCode.WRONG_TYPE),
        (True, FaultCode.WRONG_TYPE),
        (float("nan"), FaultCode.ABSURD_QUANTITY),
        (float("-inf"), FaultCode.ABSURD_QUANTITY),
        (0.0001, FaultCode.ABSURD_QUANTITY),
        (0.1 + 0.2, FaultCode.ABSURD_QUANTITY),
        ("1.0005", FaultCode.ABSURD_QUANTITY),
        ("1e-9999", FaultCode.ABSURD_QUANTITY),
        ("1e9999", FaultCode.ABSURD_QUANTITY),
        ("9223372036854775.808", FaultCode.ABSURD_QUANTITY),
        (Decimal("1e999999999"), FaultCode.ABSURD_QUANTITY),
        (Decimal("1e-999999999"), FaultCode.ABSURD_QUANTITY),
        (10**30, FaultCode.ABSURD_QUANTITY),
    ],
)
def test_what_is_no_quantity_says_why(quantity: str | float | Decimal, code: FaultCode) -> None:
    with pytest.raises(QuantityError) as error:
        thousandths(quantity)
    assert error.value.code is code


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_thousandths_survive_text_and_decimal(value: int) -> None:
    exact = Decimal(value).scaleb(-3)
    assert thousandths(exact) == value
    assert thousandths(format(exact, "f")) == value
    assert thousandths(str(exact)) == value


@given(st.integers(-(10**12), 10**12))
def test_thousandths_survive_floats_up_to_a_thousand_million_units(value: int) -> None:
    assert thousandths(float(Fraction(value, 1000))) == value
