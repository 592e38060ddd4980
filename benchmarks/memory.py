"""Memory of a flow that is treated badly: it grows to a plateau and stays there (DESIGN law 7, M42).

Each case runs ``plantsync run`` as a service does and looks at what the system says it holds. The slope
is that of the last third of the flood or of the outage. The benchmark fails where the slope or the peak,
that of working off what has piled up included, exceeds its bound, or where what was sent has not been
accounted once and in order.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path

import duckdb
import numpy as np
import orjson

from benchmarks.site import Service, Site, wait_for
from benchmarks.traffic import Traffic, rounds
from canonical.mapping import load
from canonical.records import RawRecords
from dataflows.confirmations import STAGES
from dataflows.items import Commit, Shard, Work
from dataflows.stage import Processor
from tests.kafka_broker import running

SLOPE_MAX = 60.0
"""MB a minute. To keep but a tenth of 20,000 records of 500 bytes a second would be as steep."""
COMES_AND_GOES = 16.0
"""MB that a batch takes and gives back: a rise within the last third that is no larger says nothing."""
PEAK_MAX = 600.0
"""MB, at the low limits set here; 130 of them are the interpreter and its libraries."""
SOURCES = 1_000
PER_SECOND = 20_000
INTERVAL_S = 0.1
WARM_S = 5.0
AT_THE_LIMIT = {"held_rows_max": 100, "gaps_max": 20, "gap_timeout_s": 3_600}
USUAL = {"gap_timeout_s": 1}
PACE = {
    "commit_rows_max": 20_000,
    "batch_rows_max": 10_000,
    "vocabulary_max": 50_000,
    "commit_interval_s": 0.25,
    "outage_wait_max_s": 0.25,
}
"""Low limits, so that each plateau is reached within seconds."""


@dataclass(slots=True)
class Case:
    """What was seen: seconds and MB, and figures that explain them."""

    name: str
    seen: list[tuple[float, float]] = field(default_factory=list)
    peak_mb: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def watch(self, service: Service, seconds: float) -> None:
        """Look at the process for so long."""
        until = time.monotonic() + seconds
        while (now_s := time.monotonic()) < until:
            self.seen.append((now_s, service.memory_mb()))
            time.sleep(0.1)

    def slope(self) -> float:
        """Return the slope of the last third, MB a minute: the median of all pairs, which single jumps do not bend."""
        t, mb = np.array(self._last_third()).T
        a, b = np.triu_indices(len(t), 1)
        return float(np.median((mb[b] - mb[a]) / (t[b] - t[a]))) * 60

    def problems(self) -> list[str]:
        """Return what exceeds its bound."""
        last = self._last_third()
        slope_max = SLOPE_MAX + COMES_AND_GOES / (last[-1][0] - last[0][0]) * 60
        found = [f"grows by {self.slope():.0f} MB a minute"] if self.slope() > slope_max else []
        return found + ([f"reached {self.peak_mb:.0f} MB"] if self.peak_mb > PEAK_MAX else [])

    def _last_third(self) -> list[tuple[float, float]]:
        return self.seen[-len(self.seen) // 3 :]

    def told(self) -> dict[str, object]:
        """Return it for the history."""
        return {"case": self.name, "peak_mb": round(self.peak_mb), "slope_mb_per_min": round(self.slope(), 1)} | {
            name: round(value, 1) for name, value in self.figures.items()
        }


@contextlib.contextmanager
def _site(sequencing: Mapping[str, object], servers: str = "") -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="plantsync-memory-") as folder:
        yield Site(Path(folder) / "site", sequencing, servers, **PACE)


@contextlib.contextmanager
def _running(case: Case, site: Site, flow: str = "confirmations") -> Iterator[Service]:
    """Run a flow while the block runs, and note its peak."""
    service = site.start(flow)
    try:
        yield service
        case.peak_mb = max(case.peak_mb, service.memory_mb("VmHWM"))
    finally:
        service.kill()


@contextlib.contextmanager
def _steady(site: Site, hole_every: int = 120) -> Iterator[Traffic]:
    """Send records of all sources, number by number."""
    lines = rounds(SOURCES, 0, 1 << 40, hole_every)
    with _sending(site, lines, round(PER_SECOND * INTERVAL_S)) as traffic:
        yield traffic


@contextlib.contextmanager
def _sending(site: Site, lines: Iterator[tuple[bytes, bytes]], at_once: int) -> Iterator[Traffic]:
    traffic = Traffic(site)
    traffic.go_on(lambda: list(islice(lines, at_once)), INTERVAL_S)
    try:
        yield traffic
    finally:
        traffic.stop()


def _warm(site: Site) -> None:
    """Let the flow come up and get going."""
    wait_for("the first commit", lambda: bool(site.snapshots()))
    time.sleep(WARM_S)


def permanent_gap(case: Case, seconds: float) -> None:
    """A number of each dozen of every source never comes, and no time-out declares it."""
    with _site(AT_THE_LIMIT) as site, _running(case, site) as service, _steady(site, 12) as traffic:
        case.watch(service, seconds)
        _settled(case, site, traffic)


def source_flood(case: Case, seconds: float) -> None:
    """Every record comes from a source never seen before, 100,000 a second; past ``sessions_max`` each is a fault."""
    names = ((b"", line.replace(b"ine-", b"%x-" % n)) for n in count() for _, line in rounds(10_000, 0, 0))
    with (
        _site({"sessions_max": 20_000}) as site,
        _running(case, site) as service,
        _sending(site, names, 10_000),
    ):
        case.watch(service, seconds)
        case.figures["sources"] = _read(site)


def malformed_flood(case: Case, seconds: float) -> None:
    """Nothing that comes can be read, 50,000 records a second."""
    good = next(iter(rounds(1, 0, 0)))[1]
    bad = [b"{", b"\xff\xfe", good[:-1], good.replace(b'"n":0', b'"n":"x"'), b"[" * 40, b'{"source":""}', b"x" * 2_000]
    lines = cycle([(b"", line) for line in bad])
    with _site(USUAL) as site, _running(case, site) as service, _sending(site, lines, 5_000):
        case.watch(service, seconds)
        case.figures["dead_letters"] = sum(1 for _ in site.records("dead-letters"))


def locked_log(case: Case, seconds: float) -> None:
    """Another program holds the SQLite file."""
    with _site(USUAL) as site, _running(case, site) as service, _steady(site) as traffic:
        _warm(site)
        with contextlib.closing(sqlite3.connect(site.log, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            case.watch(service, seconds)
        _settled(case, site, traffic)


def full_disk(case: Case, seconds: float) -> None:
    """No file may grow: the limit on the size of files stands for a full disk."""
    with _site(USUAL) as site, _running(case, site) as service, _steady(site) as traffic:
        _warm(site)
        _, hard = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
        case.watch(service, seconds)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (hard, hard))
        _settled(case, site, traffic)


def dead_brokers(case: Case, seconds: float) -> None:
    """The broker of the log answers nothing, while files go on landing."""
    with (
        running() as broker,
        _site(USUAL, broker.servers) as site,
        _running(case, site) as service,
        _steady(site) as traffic,
    ):
        assert broker.pid is not None
        _warm(site)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            case.watch(service, seconds)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        _settled(case, site, traffic)


def dead_store(case: Case, seconds: float) -> None:
    """Another program holds the DuckDB store: analytics waits, confirmations go on, analytics catches up."""
    with _site(USUAL) as site, _running(case, site) as service, _steady(site) as traffic:
        wait_for("the first commit", lambda: bool(site.snapshots()))
        store = site.folder / "state" / "store.duckdb"
        with _running(case, site, "analytics"):
            wait_for("the store", lambda: _published(site) > 0)
        with contextlib.ExitStack() as waiting:
            with contextlib.closing(duckdb.connect(store)):
                waiting.enter_context(_running(case, site, "analytics"))
                before = sum(1 for _ in site.records("confirmations"))
                case.watch(service, seconds)
                after = sum(1 for _ in site.records("confirmations"))
                assert after > before, "confirmations stopped with the store"
            _settled(case, site, traffic)
            wanted = sum(1 for _ in site.records("confirmations"))
            wait_for("analytics to catch up", lambda: _published(site) == wanted)


CASES: dict[str, Callable[[Case, float], None]] = {
    "permanent gap": permanent_gap,
    "source flood": source_flood,
    "malformed flood": malformed_flood,
    "locked log": locked_log,
    "full disk": full_disk,
    "dead brokers": dead_brokers,
    "dead store": dead_store,
}


def measure(name: str, seconds: float) -> Case:
    """Run a case, with so many seconds of watching."""
    case = Case(name)
    CASES[name](case, seconds)
    return case


def _settled(case: Case, site: Site, traffic: Traffic) -> None:
    """See that everything sent is accounted, once and in order. Raises: AssertionError."""
    time.sleep(1)
    traffic.stop()
    began_s = time.monotonic()
    wait_for(f"{case.name}: all that was sent", lambda: _read(site) == traffic.sent, 60)
    case.figures["behind_s"] = time.monotonic() - began_s
    case.figures["records"] = traffic.sent
    ends: dict[str, int] = {}
    for value in site.records("confirmations"):
        told = orjson.loads(value)
        assert told["first_seq"] > ends.get(told["source"], -1), f"{case.name}: confirmations out of order: {told}"
        ends[told["source"]] = told["last_seq"]


def _read(site: Site) -> int:
    """Return how many records the ledger says were read."""
    last: dict[tuple[str, str], int] = {}
    for value in site.records("ledger"):
        for line in value.splitlines():
            entry = orjson.loads(line)
            last[entry["source"], entry["session"]] = entry["read"]
    return sum(last.values())


def _published(site: Site) -> int:
    """Return how many confirmations the readers of the store see."""
    path = site.folder / "analytics.duckdb"
    if not path.exists():
        return 0
    with contextlib.closing(duckdb.connect(path, read_only=True)) as store:
        ((count_,),) = store.execute("SELECT count(*) FROM confirmation").fetchall()
    return int(count_)


def session_bytes(sessions: int = 200_000) -> dict[str, int]:
    """Return the bytes that each session of a shard keeps for good, in memory and in the state of every commit."""
    with tempfile.TemporaryDirectory(prefix="plantsync-memory-") as folder:
        mapping = load(Site(Path(folder) / "site", {}).folder / "plant.toml")
    shard = Shard("site", mapping)
    stages: list[Processor] = [build(shard, {}) for build in STAGES.values()]
    before = after = _resident()
    for part in range(10):
        lines = b"\n".join(line.replace(b"ine-", b"%x-" % part) for _, line in rounds(sessions // 10, 0, 0))
        works = [Work(time.time_ns() // 1_000, RawRecords.from_lines(lines))]
        for stage in stages:
            works = [out for work in works for out in stage.work(work)]
        if part == 0:
            before = _resident()
        after = _resident()
    commit = Commit(0, "")
    state = sum(len(value) for stage in stages for value in stage.commit(commit).values())
    return {"memory": round((after - before) / (sessions * 0.9)), "state": round(state / sessions)}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
