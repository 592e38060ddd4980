"""Latency: from the sending of an event to the moment a reader of committed records has what became of it (M16).

A real process, a real log (Apache Kafka), and two kinds of probes: the last event of an order, which closes its
confirmation, and a quality hold, which is passed on by itself. Meanwhile the other sources send telemetry into the
same partitions: as much as they can while sender, broker and flow share this machine, then half of that. Where the flow
did not keep up, the probes would not be seen in time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.latency_flood import telemetry
from benchmarks.site import Site, offset, wait_for
from benchmarks.table import Told, table
from benchmarks.traffic import Lines, Traffic
from benchmarks.workload import ROOT
from sinks.kafka_settings import KafkaSettings
from tests.kafka_broker import running

WARM_UP = 1_000_000
"""Records that are sent and taken before anything is measured."""
TICK_S = 0.02
"""A probe of each kind so often."""
POSTING_P99_S, HOLD_P99_S = 1.0, 0.5
MORE_THAN_CAN_BE_SENT = 1e9
"""Events/s; under such a flood the load is told of which half is asked for next."""
PACES: dict[str, dict[str, float]] = {
    "default": {},
    "1 s": {"commit_interval_s": 1.0, "urgent_interval_s": 1.0},
}
"""Settings ``pace``; the first, the defaults, keep the bounds. In the other nothing is urgent."""
FIGURES = {"p50": 50, "p99": 99, "max": 100}
"""Percentiles that are told."""
Latency = dict[str, np.ndarray]
"""Seconds, by the kind of the probe."""


class Probes:
    """Probes of both kinds, with the time each was sent."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self._numbers = count()

    def next(self) -> Lines:
        """Return one probe of each kind, to be sent now."""
        number, now_ms = next(self._numbers), time.time_ns() // 1_000_000
        lines = []
        for kind in ("END", "HOLD"):
            source, lot = f"prober-{kind}", f"probe-{kind}-{number}"
            line = {"source": source, "boot": "1", "n": number, "kind": kind, "ts": now_ms, "good": 1, "wc": "WC-1"}
            line |= {"order": f"O-{number}", "op": "0010", "lot": lot}
            lines.append((source.encode(), json.dumps(line).encode()))
            self.sent[lot] = time.monotonic()
        return lines


def watched(site: Site, traffic: Traffic, probes: Probes, rate: float, watch_s: float) -> tuple[Latency, float]:
    """Send telemetry at a rate, and probes, for so many seconds; return the latency, and the rate that was reached."""
    prefix, seen = KafkaSettings({"bootstrap.servers": site.servers}).prefix, site.folder / "seen.json"
    command = [sys.executable, "-m", "benchmarks.latency_reader", site.servers, str(seen)]
    command += [f"{prefix}{stream}" for stream in ("confirmations", "events")]
    reader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin
    assert reader.stdout
    reader.stdout.readline()
    command = [sys.executable, "-m", "benchmarks.latency_flood", site.servers, str(rate)]
    flood = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert flood.stdout
    flood.stdout.readline()
    probes.sent.clear()
    until_s = time.monotonic() + watch_s
    while time.monotonic() < until_s:
        traffic.send(probes.next(), wait=False)
        time.sleep(TICK_S)
    reached = float(flood.communicate()[0])
    time.sleep(3)
    reader.stdin.close()
    assert reader.wait(30) == 0
    found = json.loads(seen.read_text())
    lost = probes.sent.keys() - found.keys()
    assert not lost, f"{len(lost)} probes were not seen within 3 s"
    latency = {
        kind: np.array([found[lot] - at_s for lot, at_s in probes.sent.items() if f"-{kind}-" in lot])
        for kind in ("END", "HOLD")
    }
    return latency, reached


def run(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure each case with each interval, print, and tell."""
    asked = " / ".join(FIGURES)
    shown = table("From event to committed record, s", "pace, case", "events/s", f"posting {asked}", f"hold {asked}")
    for pace, settings in list(PACES.items())[: 1 if options.quick else None]:
        with console.status(f"latency, commits {pace}"), ExitStack() as opened:
            servers = opened.enter_context(running()).servers
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="plantsync-latency-")))
            site = Site(folder / "site", {}, servers, **settings)
            traffic, probes = Traffic(site, servers), Probes()
            opened.callback(traffic.stop)
            traffic.send_all(islice(telemetry(), WARM_UP))
            traffic.send(probes.next())  # so that the topics are there
            service = site.start()
            opened.callback(service.kill)
            caught_up(site, traffic.sent)
            rate = 2 * MORE_THAN_CAN_BE_SENT
            for case in ("telemetry flood", "half load"):
                latency, rate = watched(site, traffic, probes, rate / 2, options.seconds / 2)
                figures = {
                    f"{kind} {name}": float(np.percentile(values, percent))
                    for kind, values in latency.items()
                    for name, percent in FIGURES.items()
                }
                problems = [] if settings else exceeded(case, figures)
                cells = (" / ".join(f"{figures[f'{kind} {name}']:.2f}" for name in FIGURES) for kind in latency)
                shown.add_row(f"{pace}, {case}", f"{rate:,.0f}", *cells)
                told = {"pace": pace, "case": case, "events_per_s": rate, **figures}
                yield {"latency": told, "problems": problems}
    console.print(shown)


def caught_up(site: Site, records: int) -> None:
    """Wait until so many records are committed."""
    wait_for("the commits", lambda: sum(map(offset, site.snapshots().values())) >= records, 300)


def exceeded(case: str, figures: dict[str, float]) -> list[str]:
    """Return what is later than it may be."""
    bounds = {"END p99": POSTING_P99_S} if case == "half load" else {"HOLD p99": HOLD_P99_S}
    return [f"{case}: {k} is {figures[k]:.2f} s, more than {most} s" for k, most in bounds.items() if figures[k] > most]
