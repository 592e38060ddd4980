"""Chance that a seed decides: the same numbers on every machine and under every version of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_MASK: Final = 2**64 - 1


class Dice:
    """SplitMix64.

    Args:    seeds: whole numbers, all of which count, in their order.
    Source:  Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """

    __slots__ = ("_state",)

    def __init__(self, *seeds: int) -> None:
        self._state = 0
        for seed in seeds:
            self._state = self._next() ^ (seed & _MASK)

    def unit(self) -> float:
        """Return a number from 0 to below 1."""
        return (self._next() >> 11) / 2**53

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to below ``limit``."""
        return self._next() % limit

    def between(self, first: int, last: int) -> int:
        """Return a whole number from ``first`` to ``last``, both included."""
        return first + self._next() % (last - first + 1)

    def falls(self, chance: float) -> bool:
        """Return true with this chance."""
        return self.unit() < chance

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self._next() % len(options)]

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)
