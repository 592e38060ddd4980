"""Numbers of records: quantities in thousandths, durations in microseconds, sequence numbers.

Law: a quantity is exact or refused, as in ``canonical.units``; a float64 stands for the shortest
decimal that denotes it, and t / 1000 is correctly rounded, so x is exactly t thousandths if and
only if x == t / 1000. Durations and energy are measurements and rounded to their unit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode

Mask = NDArray[np.bool_]
Findings = list[tuple[Mask, FaultCode, str]]
"""Rows with a fault, its code, and what is wrong in words."""

COUNTER_MAX: Final = 10**12
"""Whole units an absolute counter may show: 10**15 thousandths, the contract's bound."""

SEQUENCE_MAX: Final = 2**53 - 1
"""2**53 itself is refused: a JSON number cannot tell it from its successor."""

_DECIMAL: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*$"


def valid_rows(values: pa.Array) -> Mask:
    """Return which rows are not null."""
    if not values.null_count:
        return np.ones(len(values), np.bool_)
    valid: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    return valid


def numbers(values: pa.Array) -> tuple[NDArray[np.float64], Mask]:
    """Return the values as float64 and which rows hold a number; text that is no decimal number is none."""
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        number = values.to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):  # a float32 may be a NaN that signals
            return number.astype(np.float64, copy=False), valid_rows(values)
    text = values.cast(pa.string())
    decimal = pc.if_else(
        pc.match_substring_regex(text, _DECIMAL), pc.utf8_trim_whitespace(text), pa.scalar(None, pa.string())
    )
    return decimal.cast(pa.float64()).to_numpy(zero_copy_only=False), valid_rows(decimal)


def thousandths(values: pa.Array, whole_max: float, absent: int) -> tuple[IntColumn, Findings]:
    """Return exact thousandths, ``absent`` for nulls, and what is wrong with the others.

    Args: whole_max: whole units a record may report.
    """
    whole_max = min(whole_max, COUNTER_MAX)
    number, valid = numbers(values)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(number * 1000)
        good = (scaled / 1000 == number) & (number >= 0) & (number <= whole_max)
    if good.all():
        return scaled.astype(np.int64), []
    findings = [
        (valid_rows(values) & ~valid, FaultCode.WRONG_TYPE, "no decimal number"),
        (valid & ~np.isfinite(number), FaultCode.ABSURD_QUANTITY, "not finite"),
        (valid & (number < 0), FaultCode.NEGATIVE_QUANTITY, "negative"),
        (valid & (number > whole_max), FaultCode.ABSURD_QUANTITY, f"above {whole_max:g}"),
        (valid & ~good, FaultCode.ABSURD_QUANTITY, "finer than a thousandth"),
    ]
    return np.where(good, scaled, absent).astype(np.int64), _present(findings)


def measured(values: pa.Array, scale: int, largest: float) -> tuple[IntColumn, Findings]:
    """Return values times ``scale``, rounded, 0 for nulls, and what is wrong with the others.

    Args: largest: the bound, in units of the values.
    """
    largest = min(largest, 2**53 / scale)
    number, valid = numbers(values)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(number * scale)
        good = (number >= 0) & (number <= largest)
    if good.all():
        return scaled.astype(np.int64), []
    findings = [
        (valid_rows(values) & ~valid, FaultCode.WRONG_TYPE, "no decimal number"),
        (valid & (number < 0), FaultCode.NEGATIVE_QUANTITY, "negative"),
        (valid & ~good, FaultCode.ABSURD_QUANTITY, f"not finite, or above {largest:g}"),
    ]
    return np.where(good, scaled, 0).astype(np.int64), _present(findings)


def sequence_max(modulus: int | None) -> int:
    """Return the largest number a source may give."""
    return SEQUENCE_MAX if modulus is None else modulus - 1


def sequence_numbers(values: pa.Array, modulus: int | None) -> tuple[IntColumn, Findings]:
    """Return the sequence numbers, -1 for nulls, and what is wrong with the others."""
    largest = sequence_max(modulus)
    number, valid = numbers(values)
    with np.errstate(invalid="ignore"):
        good = (np.floor(number) == number) & (number >= 0) & (number <= largest)
    if good.all():
        return number.astype(np.int64), []
    findings = [
        (valid_rows(values) & ~valid, FaultCode.BAD_SEQUENCE, "no decimal number"),
        (valid & ~good, FaultCode.BAD_SEQUENCE, f"no whole number from 0 to {largest}"),
    ]
    return np.where(good, number, -1).astype(np.int64), _present(findings)


def _present(findings: Findings) -> Findings:
    return [finding for finding in findings if finding[0].any()]
