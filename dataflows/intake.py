"""The intake of the flow ``postings``: inputs as one, some resting while there is no room for what they bring.

Law: what rests is read later and not lost; all else is read on, so that what waits can be settled: reference data, what
people decide, and what the quality system says.

The reader and the desk of a flow share a ``Room``; what the reader gave and the desk has not seen may still fill it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from canonical.records import RawRecords
from dataflows.processors.posting.queues import stored_cases
from dataflows.sources.merged import Merged
from dataflows.sources.reader import Reader
from sinks.streams import CONFIRMATIONS, EVENTS

MAY_REST: Final = (CONFIRMATIONS, EVENTS)
"""Inputs that may rest, in this order: among the events is what lets receipts go on."""


@dataclass(slots=True)
class Room:
    """For ``waiting_max`` cases: how many of ``MAY_REST`` have none left; batches given, and those that were seen."""

    waiting_max: int
    resting: int = 0
    given: int = 0
    seen: int = 0


class Intake(Merged):
    """Merged inputs; those that rest are passed over. A ``Reader``.

    Args: readers: by name; what follows a slash in it is the partition.
    """

    def __init__(self, readers: Mapping[str, Reader], room: Room) -> None:
        super().__init__(readers)
        self._room = room

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on where each input stood, and with as many cases as waited then."""
        super().seek(position, state)
        if not self._room.given:
            self._room.resting = int(stored_cases(state) >= self._room.waiting_max)

    def poll(self) -> RawRecords:
        """Return the next records of the first input in turn that has some."""
        raw = super().poll()
        self._room.given += len(raw) > 0
        return raw

    def at_end(self) -> bool:
        """Return whether everything has been polled, but for what there is no room for."""
        return self._room.given == self._room.seen and super().at_end()

    def rests(self, name: str) -> bool:
        """Return whether an input is not to be read now."""
        return name.partition("/")[0] in MAY_REST[: self._room.resting]
