"""Latency: from the sending of an event to the moment a reader of committed records has what became of it (M16).

A real process, a real log (Apache Kafka), and two kinds of probes: the last event of an order, which closes its
confirmation, and a quality hold, which is passed on by itself. Meanwhile the other sources send telemetry, at parts of
what the flow takes when it catches up.
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

from benchmarks.site import Site, offset, wait_for
from benchmarks.table import Told, table
from benchmarks.traffic import Lines, Traffic
from benchmarks.workload import ROOT
from sinks.kafka_settings import KafkaSettings
from tests.kafka_broker import running

SOURCES = 1_000
CATCH_UP = 400_000
"""Records from which the capacity is told."""
TICK_S = 0.02
"""A probe of each kind so often."""
POSTING_P99_S, HOLD_P99_S = 1.0, 0.5
CASES = {"half load": 0.5, "telemetry flood": 0.8}
INTERVALS_S = (0.2, 1.0)
"""Values of ``pace.commit_interval_s``; with the first, which tells the capacity, the bounds are kept."""


def telemetry() -> Iterator[tuple[bytes, bytes]]:
    """Yield readings of every source, number by number, for ever."""
    now_ms = time.time_ns() // 1_000_000
    for number in count():
        rest = b'","boot":"1","n":%d,"kind":"TEMP","ts":%d,"order":"O-1","op":"0010","wc":"WC-1"}' % (number, now_ms)
        for source in range(SOURCES):
            name = b"machine-%06d" % source
            yield name, b'{"source":"' + name + rest


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


def watched(
    site: Site, traffic: Traffic, flood: Iterator[tuple[bytes, bytes]], probes: Probes, rate: float, watch_s: float
) -> tuple[dict[str, np.ndarray], float]:
    """Send telemetry at a rate, and probes, for so many seconds; return seconds of latency by kind, and the rate."""
    prefix, seen = KafkaSettings({"bootstrap.servers": site.servers}).prefix, site.folder / "seen.json"
    command = [sys.executable, "-m", "benchmarks.latency_reader", site.servers, str(seen)]
    command += [f"{prefix}{stream}" for stream in ("confirmations", "events")]
    reader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin
    assert reader.stdout
    reader.stdout.readline()
    probes.sent.clear()
    began_s, sent = time.monotonic(), 0
    while (due_s := time.monotonic() - began_s) < watch_s:
        lines = list(islice(flood, round(rate * due_s) - sent))
        sent += len(lines)
        traffic.send(lines + probes.next(), wait=False)
        time.sleep(max(TICK_S - (time.monotonic() - began_s - due_s), 0))
    reached = sent / (time.monotonic() - began_s)
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
    shown = table(
        "From event to committed record, s", "commits every, case", "events/s", "posting p50", "p99", "hold p50", "p99"
    )
    capacity = 0.0
    for interval_s in INTERVALS_S[:1] if options.quick else INTERVALS_S:
        with console.status(f"latency, commits every {interval_s} s"), ExitStack() as opened:
            servers = opened.enter_context(running()).servers
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="plantsync-latency-")))
            site = Site(folder / "site", {}, servers, commit_interval_s=interval_s)
            traffic, flood, probes = Traffic(site, servers), telemetry(), Probes()
            opened.callback(traffic.stop)
            traffic.send_all(islice(flood, CATCH_UP))
            traffic.send(probes.next())  # so that the topics are there
            service = site.start()
            opened.callback(service.kill)
            began_s, first = caught_up(site, 1)
            ended_s, last = caught_up(site, traffic.sent)
            capacity = capacity or (last - first) / (ended_s - began_s)
            for case, part in CASES.items():
                latency, rate = watched(site, traffic, flood, probes, part * capacity, options.seconds / 2)
                figures = {
                    f"{kind} p{p}": float(np.percentile(values, p))
                    for kind, values in latency.items()
                    for p in (50, 99)
                }
                problems = exceeded(case, figures) if interval_s == INTERVALS_S[0] else []
                shown.add_row(f"{interval_s:g} s, {case}", f"{rate:,.0f}", *(f"{v:.3f}" for v in figures.values()))
                told = {"interval_s": interval_s, "case": case, "capacity": capacity, "events_per_s": rate, **figures}
                yield {"latency": told, "problems": problems}
    console.print(shown)


def caught_up(site: Site, records: int) -> tuple[float, int]:
    """Wait until so many records are committed; return when, and how many."""
    wait_for("the commits", lambda: sum(map(offset, site.snapshots().values())) >= records, 300)
    return time.monotonic(), sum(map(offset, site.snapshots().values()))


def exceeded(case: str, figures: dict[str, float]) -> list[str]:
    """Return what is later than it may be."""
    bounds = {"END p99": POSTING_P99_S} if case == "half load" else {"HOLD p99": HOLD_P99_S}
    return [f"{case}: {k} is {figures[k]:.2f} s, more than {most} s" for k, most in bounds.items() if figures[k] > most]
