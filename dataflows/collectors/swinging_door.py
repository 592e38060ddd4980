"""Swinging door: a number is told where it bends, so that the straight lines between what is told say the rest.

Laws: what is left out lies within ``width`` of the straight line between the readings told before and after it,
exactly, and comes less than ``heartbeat_us`` after the one before. The newest reading is held, and is told with the
next bend, or by ``release``. What is no number is told when it is another text, and ends the line.

A reading is the end of a line if its slope, seen from where the line begins, lies between the steepest and the flattest
that every reading since allows. The textbook's door asks less, that some slope does, and so may be wrong by twice the
width: Bristol, Swinging door trending, ISA 1990. Slopes are fractions (rise, run), compared without dividing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from dataflows.collectors.reading import EXACT, Reading

Slope = tuple[Decimal, int]


class SwingingDoor:
    """A ``Filter``."""

    ordered: ClassVar[bool] = True

    def __init__(self, width: Decimal, heartbeat_us: int) -> None:
        self._width, self._heartbeat_us = width, heartbeat_us
        self.hold_us = heartbeat_us
        self.held: Reading | None = None
        self._told: Reading | None = None
        self._least: Slope | None = None  # of a line through all that was left out since the last told
        self._most: Slope | None = None

    def take(self, reading: Reading) -> list[Reading]:
        """Return what is to be told now: what was held, the reading, both or none."""
        told = self._told
        if told is None:
            return self._begin(reading)
        if told.number is None or reading.number is None:
            if self.held is None and reading.text == told.text and not self._is_due(told, reading):
                return []
            return [*self.release(), *self._begin(reading)]
        held = self.held
        if held is None:
            return self._hold(told, reading)
        if reading.at_us == held.at_us and reading.number == held.number:
            return []
        least, most = self._narrowed(told, held)
        slope = _slope(told, reading)
        if reading.at_us == held.at_us or _is_steeper(least, slope) or _is_steeper(slope, most):
            return [*self.release(), *self.take(reading)]
        self._least, self._most = least, most
        return self._hold(told, reading)

    def release(self) -> list[Reading]:
        """Return what was held; the line begins there anew."""
        held = self.held
        return [] if held is None else self._begin(held)

    def encode(self) -> list[Any]:
        """Return the last told, and the slopes."""
        slopes = [[str(each[0]), each[1]] if each is not None else None for each in (self._least, self._most)]
        return [self._told.encoded() if self._told is not None else None, *slopes]

    def decode(self, state: list[Any], held: Reading | None) -> None:
        """Go on from a state."""
        told, *slopes = state
        self._told, self.held = Reading.decoded(told), held
        self._least, self._most = ((Decimal(each[0]), each[1]) if each is not None else None for each in slopes)

    def _begin(self, reading: Reading) -> list[Reading]:
        self._told, self.held = Reading(reading.at_us, reading.text), None
        self._least = self._most = None
        return [reading]

    def _hold(self, told: Reading, reading: Reading) -> list[Reading]:
        if reading.at_us == told.at_us and reading.number == told.number:
            return []
        if reading.at_us == told.at_us or self._is_due(told, reading):
            return self._begin(reading)
        self.held = reading
        return []

    def _is_due(self, told: Reading, reading: Reading) -> bool:
        return reading.at_us - told.at_us >= self._heartbeat_us

    def _narrowed(self, told: Reading, held: Reading) -> tuple[Slope, Slope]:
        """Return the slopes that also pass what is held closely enough."""
        rise, run = _slope(told, held)
        lower, upper = (EXACT.subtract(rise, self._width), run), (EXACT.add(rise, self._width), run)
        least = lower if self._least is None or _is_steeper(lower, self._least) else self._least
        most = upper if self._most is None or _is_steeper(self._most, upper) else self._most
        return least, most


def _slope(told: Reading, reading: Reading) -> Slope:
    assert told.number is not None
    assert reading.number is not None
    return EXACT.subtract(reading.number, told.number), reading.at_us - told.at_us


def _is_steeper(one: Slope, other: Slope) -> bool:
    return EXACT.multiply(one[0], Decimal(other[1])) > EXACT.multiply(other[0], Decimal(one[1]))
