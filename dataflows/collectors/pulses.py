"""Pulses: of messages that are one piece each, what contacts add when they bounce is left out.

Law: what is told of a value is no nearer than ``gap_us`` to any of the ``TOLD_MAX`` readings that were told before;
what is nearer is left out, also where it comes late or again; nothing is held. Each value has a gap of its own, so that
a contact may tell that it opens as soon as it has closed.

More than the last is remembered because a broker sends again what it does not know to be acknowledged: the bounce of a
piece long told must not become another piece.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Final

from dataflows.collectors.reading import Reading

TOLD_MAX: Final = 64
"""Readings of a signal that are remembered: brokers have 10 to 32 messages under way, unless told otherwise."""


class Pulses:
    """A ``Filter``."""

    ordered: ClassVar[bool] = False
    held: None = None
    hold_us = 0

    def __init__(self, gap_us: int) -> None:
        self._gap_us = gap_us
        self._told: deque[tuple[int, str]] = deque(maxlen=TOLD_MAX)

    def take(self, reading: Reading) -> list[Reading]:
        """Return the reading, if it is to be told."""
        at_us, text = reading.at_us, reading.text
        if any(told == text and abs(at_us - told_us) < self._gap_us for told_us, told in self._told):
            return []
        self._told.append((at_us, text))
        return [reading]

    def release(self) -> list[Reading]:
        """Return nothing: nothing is held."""
        return []

    def encode(self) -> list[Any]:
        """Return when what was told."""
        return list(self._told)

    def decode(self, state: list[Any], held: Reading | None) -> None:
        """Go on from a state."""
        assert held is None
        self._told.extend((told_us, told) for told_us, told in state)
