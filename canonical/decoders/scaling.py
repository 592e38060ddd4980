"""Numbers of records times a factor, plus an offset, exactly.

Law: the result is exact to a thousandth, or it is a number that ``quantities.thousandths`` refuses as finer than that.
A float64 stands for the shortest decimal that denotes it. Numbers with more than fifteen digits, or decimals, are
refused likewise.

Why: let x be n / 10**k with |n| <= 10**15. Both are exact in float64 and a division is correctly rounded, so n is
found by rounding x * 10**k, and n / 10**k == x proves it. From there on the arithmetic is that of integers.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.decoders.quantities import numbers, valid_rows

_PLACES_MAX: Final = 15
_DIGITS_MAX: Final = 10**15


def scaled(values: pa.Array, scale: Decimal, offset: Decimal) -> pa.Array:
    """Return ``values * scale + offset`` as float64; text that is no number stays as it is.

    Args: values: numbers, or texts. scale, offset: of at most nine digits each.
    """
    if scale == 1 and not offset:
        return values
    number, valid = numbers(values)
    result = pa.array(_exact(number, scale, offset), mask=~valid)
    wrong = valid_rows(values) & ~valid
    if not wrong.any():
        return result
    return pc.if_else(pa.array(wrong), values.cast(pa.string()), result.cast(pa.string()))


def _exact(x: NDArray[np.float64], scale: Decimal, offset: Decimal) -> NDArray[np.float64]:
    factor = Fraction(scale) * 1_000
    k = min(_places(factor), _PLACES_MAX)
    ratio = factor / 10**k
    added = Fraction(offset) * 1_000
    largest = min(_DIGITS_MAX / 10.0**k, _DIGITS_MAX / float(factor))
    with np.errstate(over="ignore", invalid="ignore"):
        n = np.rint(x * 10.0**k) if k else np.rint(x)
        exact = ((n / 10.0**k if k else n) == x) & (np.abs(x) <= largest)
        whole = (n if exact.all() else np.where(exact, n, 0)).astype(np.int64)
        if ratio.denominator > 1:
            quotient = whole // ratio.denominator
            exact &= quotient * ratio.denominator == whole
            whole = quotient
        thousandths = whole * ratio.numerator + int(added)
        if exact.all():
            return np.asarray(thousandths / 1_000.0)
        approximate = x * float(scale) + float(offset)
        # A whole thousandth that the true result is not must not appear where rounding would make one.
        near = np.rint(approximate * 1_000) / 1_000 == approximate
        inexact = np.where(near, np.nextafter(approximate, np.inf), approximate)
        result: NDArray[np.float64] = np.where(exact, thousandths / 1_000.0, inexact)
    return result


def _places(factor: Fraction) -> int:
    """Return how many decimals a number may have that is whole after the factor."""
    places = 0
    for prime in (2, 5):
        numerator, count = factor.numerator, 0
        while numerator and numerator % prime == 0:
            numerator, count = numerator // prime, count + 1
        places = max(places, count)
    return places
