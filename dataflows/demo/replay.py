"""The replay: days of simulated traffic, dropped into the landing folder hour by hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from canonical.mapping import PlantMapping
from dataflows.simulator import SimulationConfig, Truth, Writer, simulate
from dataflows.simulator.calendar import HOUR_US
from dataflows.simulator.drop import Drop, hour_name

HOUR_NAME: Final = len("20260328T14")
TUESDAY: Final = 1


class Replay:
    """What the plants drop, in the order of the hours in which they drop it.

    Args: config: what to simulate; it takes a few seconds for a quarter of a million records.
    """

    def __init__(self, config: SimulationConfig) -> None:
        collected = _Collected()
        self.truth: Truth = simulate(config, collected)
        self._drops = sorted(collected.drops, key=lambda timed: timed[0])

    @property
    def hours(self) -> int:
        """Hours in which a plant drops something."""
        return len({hour for hour, _, _ in self._drops})

    def hours_before(self, instant_us: int) -> int:
        """Return how many of these hours are before that of an instant."""
        name = hour_name(instant_us // HOUR_US)
        return len({hour for hour, _, _ in self._drops if hour < name})

    def hourly(self, out: Writer) -> Iterator[str]:
        """Write the drops of one hour after the other; yields the hour, as 20260328T14, when it is written."""
        for hour, drops in groupby(self._drops, key=lambda timed: timed[0]):
            for _, mapping, drop in drops:
                out.write(mapping, drop)
            yield hour
        out.flush()

    def records_to_read(self) -> int:
        """Records of which the flow must read every one: copies of whole files are passed over."""
        plants = self.truth.plants.values()
        return sum(p.records - p.repeated - sum(p.repeated_faults.values()) for p in plants)


class _Collected:
    """A ``Writer`` that keeps each drop with its hour.

    A copy of an earlier file comes in the hour of the files around it, whatever hour it is about.
    """

    def __init__(self) -> None:
        self.drops: list[tuple[str, PlantMapping, Drop]] = []
        self._latest: dict[str, str] = {}

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        hour = max(self._latest.get(drop.plant, ""), drop.name[:HOUR_NAME])
        self._latest[drop.plant] = hour
        self.drops.append((hour, mapping, drop))

    def flush(self) -> None:
        """Keep everything; there is nothing to wait for."""


def latest_tuesday(now: datetime, hours: int) -> datetime:
    """Return 0:00 UTC of the last Tuesday from which ``hours`` have passed.

    Always the same weekday, so that shifts and weekends make the same numbers every time.
    """
    day = (now - timedelta(hours=hours)).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=(day.weekday() - TUESDAY) % 7)
