"""Debounce: a state is told when it has lasted, with the time at which it began.

Laws: a value that lasts for ``settle_us``, from its first reading to the next of another value, is told, unless it is
the last told; one that does not is left out. A reading of the last told value that comes ``heartbeat_us`` or more after
it was told is told again. The first value is told at once; any other is held until something comes that shows that it
has lasted, or until ``release``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dataflows.collectors.reading import Reading


class Debounce:
    """A ``Filter``."""

    ordered: ClassVar[bool] = True

    def __init__(self, settle_us: int, heartbeat_us: int) -> None:
        self._settle_us, self._heartbeat_us = settle_us, heartbeat_us
        self.hold_us = settle_us
        self.held: Reading | None = None
        self._told: Reading | None = None

    def take(self, reading: Reading) -> list[Reading]:
        """Return what is to be told now: what was held, the reading, or none."""
        if self._told is None:
            return self._tell(reading)
        out: list[Reading] = []
        if self.held is not None and reading.at_us - self.held.at_us >= self._settle_us:
            out = self.release()
        if self.held is not None and reading.text == self.held.text:
            return out
        self.held = None
        if reading.text != self._told.text:
            self.held = reading
        elif reading.at_us - self._told.at_us >= self._heartbeat_us:
            out += self._tell(reading)
        return out

    def release(self) -> list[Reading]:
        """Return what was held: it has lasted."""
        held = self.held
        return [] if held is None else self._tell(held)

    def encode(self) -> list[Any]:
        """Return the last told."""
        return [self._told.encoded() if self._told is not None else None]

    def decode(self, state: list[Any], held: Reading | None) -> None:
        """Go on from a state."""
        (told,) = state
        self._told, self.held = Reading.decoded(told), held

    def _tell(self, reading: Reading) -> list[Reading]:
        self._told, self.held = Reading(reading.at_us, reading.text), None
        return [reading]
