"""Recovery: SIGKILL of a flow in full work, the same command again, seconds to its first new commit (M48).

The site has many sources, each with an open confirmation, gaps remembered and held records, and goes on
sending while the flow is dead. What is measured is the command that a service runs; a second series,
with a stopwatch inside (``benchmarks.stopwatch``), tells where the time goes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from benchmarks.site import COMMAND, Site, offset, wait_for
from benchmarks.traffic import Traffic, rounds
from tests.kafka_broker import running

LIMIT_S = 5.0
"""For up to ``SOURCES``."""
SOURCES = 10_000
ROUNDS = 24
STEADY_S = 4.0
PER_SECOND = 5_000
INTERVAL_S = 0.2
STOPWATCH = (sys.executable, "-m", "benchmarks.stopwatch")
PHASES = ("imports", "open", "restore", "decode", "commit")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was measured with one kind of log."""

    log: str
    sources: int
    seconds: list[float]
    phases: dict[str, float]
    state_mb: float

    def problems(self) -> list[str]:
        """Return what exceeds its bound, which holds for 10,000 sources."""
        usual = median(self.seconds)  # what others do on the machine makes the worst of a few runs
        return [f"{usual:.1f} s exceed {LIMIT_S:.0f} s"] if self.sources <= SOURCES and usual > LIMIT_S else []

    def told(self) -> dict[str, object]:
        """Return it for the history."""
        figures = {"median_s": median(self.seconds), "max_s": max(self.seconds), "runs": len(self.seconds)}
        rounded = {name: round(value, 3) for name, value in figures.items()}
        phases = {name: round(value, 3) for name, value in self.phases.items()}
        return {"log": self.log, "sources": self.sources, **rounded, "state_mb": round(self.state_mb, 2), **phases}


def measure(log: str, sources: int, runs: int) -> Recovery:
    """Kill and restart a flow ``runs`` times, and as often again with the stopwatch."""
    with ExitStack() as opened:
        servers = opened.enter_context(running()).servers if log == "kafka" else ""
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="plantsync-recovery-")))
        site = Site(folder / "site", {"held_rows_max": 8}, servers)
        traffic = Traffic(site, servers)
        traffic.send_all(rounds(sources, 0, ROUNDS - 1))
        service = site.start()
        wanted = traffic.sent if servers else (traffic.sent - 1) // 100_000
        wait_for("the history", lambda: sum(map(offset, site.snapshots().values())) >= wanted, 300)
        more = cycle(rounds(sources, ROUNDS, ROUNDS + 11))
        traffic.go_on(lambda: list(islice(more, round(PER_SECOND * INTERVAL_S))), INTERVAL_S)
        opened.callback(traffic.stop)
        seconds: list[float] = []
        split: list[dict[str, float]] = []
        for number in range(2 * runs):
            time.sleep(STEADY_S if number == 0 else STEADY_S / 2)
            state_mb = sum(len(v) for s in site.snapshots().values() for v in s.state.values()) / 1e6
            service.kill()
            commits, told = site.commits(), folder / f"{number}.json"
            watched = number >= runs
            service = site.start(program=(*STOPWATCH, str(told)) if watched else COMMAND)
            seen_s = commits.next_s(120)
            if watched:
                wait_for("the stopwatch", told.exists, 5)
                split.append(_split(json.loads(told.read_text()), service.began_s))
            else:
                seconds.append(seen_s - service.began_s)
        service.kill()
    phases = {name: median(each[name] for each in split) for name in split[0]}
    return Recovery(log, sources, seconds, phases, state_mb)


def _split(told: dict[str, float], began_s: float) -> dict[str, float]:
    """Return the seconds of each phase; the rest is reading, working and waiting for the interval to end."""
    phases = {"interpreter": told["started_s"] - began_s, **{name: told.get(name, 0.0) for name in PHASES}}
    return {**phases, "work_and_interval": told["ended_s"] - began_s - sum(phases.values())}
