"""A column of a sample: what its values are like, and what they do from record to record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Final

from dataflows.onboarding.sample import Sample, Value
from dataflows.onboarding.time_pattern import TimePattern, epoch_pattern, time_pattern

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
MOST: Final = 0.95
"""Share of the values that must be what the column is said to be; the others may be damaged."""
_BY_ONE_MIN: Final = 0.8
"""Share of the numbers of a source that must follow their predecessor, for them to be a sequence."""
_REPEATED_MAX: Final = 0.2
_UP_MIN: Final = 0.3
"""Share of steps of a counter that go up, at least; so few may where nothing is made for long."""
_DOWN_MAX: Final = 0.1
"""Share of steps that go down, at most: where the counter is set to zero."""
_STEPS_MIN: Final = 5


@dataclass(frozen=True)
class Column:
    """VALUE[n] of one path, None where a record has none."""

    path: str
    values: Sequence[Value]
    decimal: str = "."

    @cached_property
    def texts(self) -> list[str]:
        """The values that are there, as text."""
        return [str(value) for value in self.values if value is not None and value != ""]

    @cached_property
    def distinct(self) -> list[str]:
        """The different values, in order of first appearance."""
        return list(dict.fromkeys(self.texts))

    @cached_property
    def numbers(self) -> list[float | None]:
        """The values as numbers, None where there is none."""
        return [self._number(value) for value in self.values]

    @cached_property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return bool(self.texts) and sum(number is not None for number in self.numbers) >= MOST * len(self.texts)

    @cached_property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers that are not negative."""
        whole = sum(number is not None and number >= 0 and number.is_integer() for number in self.numbers)
        return bool(self.texts) and whole >= MOST * len(self.texts)

    @cached_property
    def is_mixed(self) -> bool:
        """Whether many values are numbers by themselves and many texts."""
        there = [isinstance(value, str) for value in self.values if value is not None]
        return min(sum(there), len(there) - sum(there)) > (1 - MOST) * len(there)

    @cached_property
    def holds_numbers(self) -> bool:
        """Whether the records hold numbers here, not texts that look so."""
        held = sum(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)
        return bool(self.texts) and held >= MOST * len(self.texts)

    @cached_property
    def time(self) -> TimePattern | None:
        """How its values are written, if they are instants."""
        if self.is_number:
            found = epoch_pattern([number for number in self.numbers if number is not None])
            if found is not None or self.holds_numbers:
                return found
        return time_pattern(self.texts)

    @cached_property
    def largest(self) -> float:
        """The greatest number; 0 where there is none."""
        return max((number for number in self.numbers if number is not None), default=0.0)

    def numbers_records(self, groups: Sequence[object]) -> bool:
        """Return whether it grows by one from record to record of each group, however they are ordered.

        Args: groups: whose record each is.
        """
        if not self.is_whole or len(self.texts) < MOST * len(self.values):
            return False
        steps = repeated = by_one = 0
        for each in by_group(self.numbers, groups):
            different = sorted(set(each))
            repeated += len(each) - len(different)
            steps += len(different) - 1
            by_one += sum(b - a == 1 for a, b in pairwise(different))
        return steps >= _STEPS_MIN and by_one >= _BY_ONE_MIN * steps and repeated <= _REPEATED_MAX * len(self.values)

    def goes_on(self, groups: Sequence[object]) -> bool:
        """Return whether it is the reading of a counter: it goes up, and seldom down, from record to record."""
        steps = [b - a for each in by_group(self.numbers, groups) for a, b in pairwise(each)]
        up, down = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
        return len(steps) >= _STEPS_MIN and up >= _UP_MIN * len(steps) and down <= _DOWN_MAX * len(steps)

    def _number(self, value: Value) -> float | None:
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return float(value)
        text = value.strip().replace(",", ".") if self.decimal == "," else value.strip()
        return float(text) if _NUMBER.fullmatch(text) else None


def columns_of(sample: Sample) -> list[Column]:
    """Return the columns of a sample, in the order of its paths."""
    return [Column(path, [row.get(path) for row in sample.rows], sample.decimal) for path in sample.paths]


def by_group(numbers: Sequence[float | None], groups: Sequence[object]) -> list[list[float]]:
    """Return the numbers of each group, in the order of the records."""
    pairs = [(str(group), number) for group, number in zip(groups, numbers, strict=True) if number is not None]
    pairs.sort(key=lambda pair: pair[0])
    return [[number for _, number in each] for _, each in groupby(pairs, key=lambda pair: pair[0])]
