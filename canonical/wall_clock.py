"""The wall clock of a plant's zone: UTC offsets and the instants at which they change.

Law: ``first`` of a wall time is the first instant at which the clock shows it or a later one, and never decreases:
what lies in a skipped hour is at the change, what lies in a repeated one at its first passing.

Source: M15, M41.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn

DateColumn = NDArray[np.int32]
"""Days since 1970-01-01."""

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


def on_weekdays(days: IntColumn, names: Sequence[str]) -> IntColumn:
    """Return those of the days, counted from 1970-01-01, that bear one of these names of ``WEEKDAYS``."""
    weekdays = [WEEKDAYS.index(name) for name in names]
    return days[np.isin((days + _EPOCH_WEEKDAY) % 7, weekdays)]


def minutes(clock: str) -> int:
    """Return what a clock shows, as 06:30, in minutes since midnight."""
    return int(clock[:2]) * 60 + int(clock[3:])


def span_minutes(start: str, end: str) -> int:
    """Return how long it is on paper from one wall time until the next time the clock shows the other: up to a day."""
    return (minutes(end) - minutes(start) - 1) % 1440 + 1


class WallClock:
    """A zone's clock over the UTC days [first_day, end_day), counted from 1970-01-01."""

    def __init__(self, zone: ZoneInfo, first_day: int, end_day: int) -> None:
        """Learn the offsets of these days."""
        changes = list(offset_changes(zone, first_day, end_day))
        self.change_us: Final = np.array([us for us, _ in changes], np.int64)
        self._offset_us: Final = np.array([offset for _, offset in changes], np.int64)
        self._until_us: Final = np.append(self.change_us[1:], end_day * DAY_US)
        # The latest wall time shown up to the end of each stretch; after a step back it stands still.
        self._shown_us: Final = np.maximum.accumulate(self._until_us + self._offset_us)

    def first(self, wall_us: IntColumn) -> IntColumn:
        """Return the first instants at which the clock shows these wall times or later ones."""
        stretch = np.searchsorted(self._shown_us, wall_us, side="right")
        stretch = np.minimum(stretch, len(self.change_us) - 1)
        instants: IntColumn = np.maximum(self.change_us[stretch], wall_us - self._offset_us[stretch])
        return instants

    def midnights(self) -> IntColumn:
        """Return the instants at which the clock shows 00:00."""
        return np.concatenate(
            [
                np.arange(-(-(start + offset) // DAY_US), -(-(end + offset) // DAY_US), dtype=np.int64) * DAY_US
                - offset
                for start, end, offset in zip(
                    self.change_us.tolist(), self._until_us.tolist(), self._offset_us.tolist(), strict=True
                )
            ]
        )

    def dates(self, instant_us: IntColumn) -> DateColumn:
        """Return the dates the clock shows at these instants."""
        stretch = np.searchsorted(self.change_us, instant_us, side="right") - 1
        return ((instant_us + self._offset_us[stretch]) // DAY_US).astype(np.int32)


def offset_changes(zone: ZoneInfo, first_day: int, end_day: int) -> Iterator[tuple[int, int]]:
    """Yield (instant, UTC offset from then on) in microseconds, beginning with the first UTC day since 1970.

    Zones are asked once a day and bisected to the second where the answers differ: the standard
    library tells offsets but not when they change.
    """

    def offset_us(second: int) -> int:
        offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
        assert offset is not None, "a zone always knows its offset"
        return offset // timedelta(microseconds=1)

    known = offset_us(first_day * 86_400)
    yield first_day * DAY_US, known
    for day in range(first_day, end_day):
        before, after = day * 86_400, (day + 1) * 86_400
        following = offset_us(after)
        if following == known:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if offset_us(middle) == known:
                before = middle
            else:
                after = middle
        known = following
        yield after * 1_000_000, known
