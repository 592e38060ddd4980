"""Runs a flow, or simulated ERPs, under a clock that runs faster than the world's: a process of its own."""

from __future__ import annotations

import random
import signal
import sys
import time
from pathlib import Path
from threading import Event

from dataflows.runtime import run_flow
from dataflows.settings import load


class HurriedClock:
    """UTC microseconds from ``start_us`` on, ``speed`` of them for each of the world's since ``began_ns``."""

    def __init__(self, start_us: int, began_ns: int, speed: float) -> None:
        self.start_us, self.began_ns, self.speed = start_us, began_ns, speed

    def __call__(self) -> int:
        return self.start_us + int((time.time_ns() - self.began_ns) * self.speed / 1000)


def main(flow: str, settings: str, start_us: str, began_ns: str, speed: str) -> None:
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clock = HurriedClock(int(start_us), int(began_ns), float(speed))
    run_flow(load(Path(settings)), flow, stop=stop, clock=clock, chance=random.random)


if __name__ == "__main__":
    main(*sys.argv[1:])
