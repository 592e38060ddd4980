"""Runs a flow, or simulated ERPs, under a clock that runs faster than the world's: a process of its own."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from dataflows.runtime import run_flow
from dataflows.settings import load


@dataclass(slots=True)
class HurriedClock:
    """UTC microseconds, ``speed`` of them for each of the world's, in every process that names the folder.

    It stands at ``start_us`` until ``begin``, so that no hour passes while processes are starting.
    """

    folder: Path
    start_us: int
    speed: float
    began_ns: int | None = field(default=None, init=False)

    def begin(self) -> None:
        """Let it run, in every process."""
        place = self._place()
        new = place.with_suffix(".new")
        new.write_text(str(time.time_ns()))
        new.rename(place)

    def __call__(self) -> int:
        if self.began_ns is None:
            if not self._place().exists():
                return self.start_us
            self.began_ns = int(self._place().read_text())
        return self.start_us + int((time.time_ns() - self.began_ns) * self.speed / 1000)

    def arguments(self) -> list[str]:
        """Return what makes the same clock in another process."""
        return [str(self.folder), str(self.start_us), str(self.speed)]

    @classmethod
    def of(cls, folder: str, start_us: str, speed: str) -> HurriedClock:
        return cls(Path(folder), int(start_us), float(speed))

    def _place(self) -> Path:
        return self.folder / "clock-began"


def up(folder: Path, flow: str) -> Path:
    """Return the file that is there once a flow's process has loaded its code."""
    return folder / f"{flow}-is-up"


def main(flow: str, settings: str, *clock: str) -> None:
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    up(Path(settings).parent, flow).touch()
    run_flow(load(Path(settings)), flow, stop=stop, clock=HurriedClock.of(*clock), chance=random.random)
