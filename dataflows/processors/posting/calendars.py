"""The calendars of the plants: shift and posting date of what no confirmation has attributed yet (M41)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from canonical.shifts import ShiftCalendar

_ELSEWHERE: Final = "UTC"


class Calendars:
    """Shift calendars by plant; a plant that is not among them goes by UTC and has no shifts."""

    def __init__(self, plants: Mapping[str, ShiftCalendar]) -> None:
        self._plants = plants
        self._elsewhere = ShiftCalendar(_ELSEWHERE, ())

    def day(self, plant: str, at_us: int) -> tuple[str, date]:
        """Return the shift's name and the posting date of an instant."""
        ((_, _, shift, day),) = self.pieces(plant, at_us, at_us + 1)
        return shift, day

    def pieces(self, plant: str, start_us: int, end_us: int) -> Iterator[tuple[int, int, str, date]]:
        """Yield [start_us, end_us), cut at the plant's shifts: start, end, shift's name, posting date."""
        return self._plants.get(plant, self._elsewhere).pieces(start_us, end_us)
