"""Pulses: of messages that are one piece each, what contacts add when they bounce is left out.

Law: what is told of a value is no nearer than ``gap_us`` to what was told of it before; what is nearer is left out,
also where it comes twice or late; nothing is held. Each value has a gap of its own, so that a contact may tell that it
opens as soon as it has closed.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from dataflows.collectors.reading import Reading

VALUES_MAX: Final = 16
"""Values of a signal whose gap is known; of more, the one told longest ago is forgotten."""


class Pulses:
    """A ``Filter``."""

    ordered: ClassVar[bool] = False
    held: None = None
    hold_us = 0

    def __init__(self, gap_us: int) -> None:
        self._gap_us = gap_us
        self._told_us: dict[str, int] = {}

    def take(self, reading: Reading) -> list[Reading]:
        """Return the reading, if it is to be told."""
        told_us = self._told_us.get(reading.text)
        if told_us is not None and abs(reading.at_us - told_us) < self._gap_us:
            return []
        self._told_us.pop(reading.text, None)
        self._told_us[reading.text] = reading.at_us
        if len(self._told_us) > VALUES_MAX:
            del self._told_us[next(iter(self._told_us))]
        return [reading]

    def release(self) -> list[Reading]:
        """Return nothing: nothing waits."""
        return []

    def encode(self) -> list[Any]:
        """Return when which value was told."""
        return [list(each) for each in self._told_us.items()]

    def decode(self, state: list[Any], held: Reading | None) -> None:
        """Go on from a state."""
        assert held is None
        self._told_us = dict(state)
