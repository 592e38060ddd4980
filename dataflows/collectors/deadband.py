"""Deadband: a number is told when it has moved away from the one that was told last.

Laws: what is left out differs from the last told by no more than ``width``, and comes less than ``heartbeat_us`` after
it; nothing is held. What is no number is told when it is another text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from dataflows.collectors.reading import EXACT, Reading


class Deadband:
    """A ``Filter``."""

    ordered: ClassVar[bool] = True
    held: None = None
    hold_us = 0

    def __init__(self, width: Decimal, heartbeat_us: int) -> None:
        self._width, self._heartbeat_us = width, heartbeat_us
        self._told: Reading | None = None

    def take(self, reading: Reading) -> list[Reading]:
        """Return the reading, if it is to be told."""
        told = self._told
        if told is not None and reading.at_us - told.at_us < self._heartbeat_us and self._is_near(told, reading):
            return []
        self._told = Reading(reading.at_us, reading.text)
        return [reading]

    def release(self) -> list[Reading]:
        """Return nothing: nothing waits."""
        return []

    def encode(self) -> list[Any]:
        """Return the last told."""
        return [self._told.encoded() if self._told is not None else None]

    def decode(self, state: list[Any], held: Reading | None) -> None:
        """Go on from a state."""
        assert held is None
        (told,) = state
        self._told = Reading.decoded(told)

    def _is_near(self, told: Reading, reading: Reading) -> bool:
        if told.number is None or reading.number is None:
            return told.text == reading.text
        return EXACT.abs(EXACT.subtract(reading.number, told.number)) <= self._width
