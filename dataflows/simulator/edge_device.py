"""A device of a Sparkplug edge node: counters that add up, and the order it works on."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from dataflows.simulator.calendar import Calendar
from dataflows.simulator.world import Job, Machine

MILLISECOND_US = 1000
LOAD = 5, 15
"""Cycles that a device makes one after the other, some seconds apart, until it is loaded anew."""
CYCLE_MS = 2_000, 9_000


class Shown(NamedTuple):
    """What a device shows at an instant: its job, and what its counters read."""

    device: str
    at_us: int
    job: Job
    good: int
    scrap: int
    celsius: float

    @property
    def context(self) -> dict[str, Any]:
        """What it says about its job."""
        job = self.job
        return {"Order": job.order, "Operation": job.operation, "Material": job.product.material, "Lot": job.lot}

    @property
    def metrics(self) -> dict[str, Any]:
        """All that it says."""
        return {**self.context, "Good": self.good, "Scrap": self.scrap, "Celsius": self.celsius}


class EdgeDevice:
    """Works off the jobs of its machine, one load after the other; ``now`` is what it shows after the last cycle.

    Args: pause_us: from one cycle to the next on the average, waits for loading included.
    """

    def __init__(
        self, rng: Random, name: str, machine: Machine, calendar: Calendar, pause_us: int, start_us: int
    ) -> None:
        self.name = name
        self._rng, self._calendar, self._pause_us = rng, calendar, pause_us
        self._jobs = list(machine.jobs)
        self.now = Shown(name, start_us, self._jobs[0], rng.randint(200, 9_000), rng.randint(0, 40), 21.5)
        self.next_us = 0
        self._left = 0
        self._await()

    def step(self) -> Shown:
        """Make some parts; return what is shown then."""
        rng, before = self._rng, self.now
        at_us = self.next_us
        while len(self._jobs) > 1 and at_us >= self._jobs[0].end_us:
            del self._jobs[0]
        product = self._jobs[0].product
        pieces = product.step // 1000
        good = before.good + pieces * rng.randint(0, 4)
        scrap = before.scrap + pieces * (rng.random() < product.scrap_rate * 4)
        celsius = round(21 + rng.random() * 60, 1)
        self.now = Shown(self.name, at_us, self._jobs[0], good, scrap, celsius)
        self._await()
        return self.now

    def reset(self) -> None:
        """Count from zero again. What was made since the last reading is in no counter."""
        self.now = self.now._replace(good=0, scrap=0)

    def _await(self) -> None:
        wait_us = self._rng.randint(*CYCLE_MS) * MILLISECOND_US
        self._left -= 1
        if self._left < 0:
            self._left = self._rng.randint(*LOAD)
            pace = self._calendar.pace(self.now.at_us)
            wait_us += int(self._pause_us * 0.7 / pace * (self._left + 1))
        self.next_us = self.now.at_us + (wait_us // MILLISECOND_US + 1) * MILLISECOND_US
