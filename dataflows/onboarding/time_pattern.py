"""How a plant writes instants: ISO 8601, a count since 1970, or a pattern of ``strptime``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from canonical.mapping.fields import EPOCH_US

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?")
_ZONED: Final = re.compile(r".*(Z|[+-]\d\d(:?\d\d)?)")
PATTERNS: Final = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%y %H:%M:%S", "%d.%m.%y %H:%M", "%d.%m.%Y %H:%M:%S.%f",
    "%d.%m.%Y %H:%M:%S,%f", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p", "%d-%m-%Y %H:%M:%S", "%m-%d-%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S,%f",
    "%Y%m%d %H%M%S", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%d%H%M", "%Y%m%d %H:%M:%S", "%d%m%Y %H%M%S",
    "%d.%m.%Y-%H:%M:%S", "%d.%m.%Y;%H:%M:%S", "%d %b %Y %H:%M:%S",
)  # fmt: skip
"""Tried in this order; where two fit all texts, the former is proposed and said to be unsure."""
_LENGTH: Final = {"%Y": 4, "%b": 3, "%p": 2}
_YEARS: Final = range(1990, 2100)
_EPOCH_S: Final = (631_152_000, 4_102_444_800)
"""1990 and 2100, in seconds since 1970."""
_TRIED_MAX: Final = 200
_MOST: Final = 0.95
"""Share of the values that must be instants; the others may be damaged."""


@dataclass(frozen=True, slots=True)
class TimePattern:
    """A format of the mapping; ``has_zone``: the texts say their offset; ``other``: a format that fits as well."""

    format: str
    has_zone: bool
    other: str = ""


def time_pattern(texts: Sequence[str]) -> TimePattern | None:
    """Return how these texts are written, if most of them are instants."""
    tried = list(dict.fromkeys(texts))[:_TRIED_MAX]
    if not tried:
        return None
    written = [text for text in tried if _ISO.fullmatch(text)]
    if len(written) >= _MOST * len(tried):
        return TimePattern("iso8601", all(_ZONED.fullmatch(text[10:]) for text in written))
    fits = {pattern: sum(_fits(text, pattern) for text in tried) for pattern in PATTERNS}
    best = max(fits.values())
    if best >= _MOST * len(tried):
        fitting = [pattern for pattern in PATTERNS if fits[pattern] == best]
        return TimePattern(fitting[0], has_zone=False, other=fitting[1] if len(fitting) > 1 else "")
    return None


def epoch_pattern(numbers: Sequence[float]) -> TimePattern | None:
    """Return which count since 1970 most of these numbers are, if they lie between 1990 and 2100."""
    for name, scale_us in EPOCH_US.items():
        per_second = 1_000_000 // scale_us
        inside = sum(_EPOCH_S[0] * per_second <= number < _EPOCH_S[1] * per_second for number in numbers)
        if numbers and inside >= _MOST * len(numbers):
            return TimePattern(name, has_zone=True)
    return None


def _fits(text: str, pattern: str) -> bool:
    if "%f" not in pattern and "%p" not in pattern and len(text) != _length(pattern):
        return False  # strptime also takes 1.2. for 01.02., and digits without blanks for too many things
    try:
        return datetime.strptime(text, pattern).year in _YEARS  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False


def _length(pattern: str) -> int:
    return sum(_LENGTH.get(part, 2 if part.startswith("%") else 1) for part in re.findall(r"%.|.", pattern))
