"""Stopping one flow stops no other, and it catches up when it comes back (M23, M42; DESIGN law 6)."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from tests.command import ran, started
from tests.forked import Forked

DEADLINE_S = 60

MAPPING = """
plant = "D"
format = "csv"
[input]
folder = "plant-d"
pattern = "*.csv"
[csv]
columns = ["time", "press", "no", "job", "made"]
[fields]
source = "press"
seq = "no"
type = { value = "partial" }
occurred = "time"
order = "job"
good = "made"
[aggregation]
count_max = 10
[limits]
past_max_s = 315_360_000
"""


class Site:
    """A plant that drops files, and the flows that are running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dropped = 0
        self.flows: dict[str, Forked] = {}
        (folder / "landing" / "plant-d").mkdir(parents=True)
        (folder / "plant_d.toml").write_text(MAPPING)
        (folder / "plantsync.toml").write_text(
            'landing = "landing"\nplants = ["plant_d.toml"]\n[pace]\ncommit_interval_s = 0.1\nsettle_s = 0.01\n'
        )

    def drop(self, rows: int) -> None:
        lines = [f"2026-11-17 06:00:{n % 60:02d},P1,{n},7001,1" for n in range(self.dropped, self.dropped + rows)]
        path = self.folder / "landing" / "plant-d" / f"{self.dropped:06d}.csv"
        path.with_suffix(".tmp").write_text("\n".join(lines) + "\n")
        path.with_suffix(".tmp").rename(path)
        self.dropped += rows

    def start(self, flow: str, *options: str) -> None:
        self.flows[flow] = started(self.folder, "run", flow, "--quiet", *options)

    def kill(self, flow: str) -> None:
        self.flows[flow].kill()
        assert self.flows.pop(flow).wait() == -signal.SIGKILL

    def confirmed(self) -> int:
        try:
            streams = SqliteStreams(self.folder / "state" / "plantsync.db")
        except CommitLogUnavailable:
            return 0  # the flow has not made it yet
        try:
            return sum(json.loads(r.value)["events"] for r in streams.read("confirmations", 0, 10_000))
        finally:
            streams.close()

    def stored(self) -> int:
        sql = "SELECT coalesce(sum(events), 0)::BIGINT AS n FROM confirmation"
        done = ran(self.folder, "query", sql, "--json")
        return json.loads(done.stdout)[0]["n"] if done.returncode == 0 else 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for flow in site.flows.values():
        flow.kill()
        flow.wait()


def until(count: Callable[[], int], expected: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while count() != expected:
        assert time.monotonic() < deadline, f"{count()} is not {expected}"
        time.sleep(0.1)


def test_confirmations_go_on_without_analytics_which_catches_up(site: Site) -> None:
    site.start("confirmations")
    site.start("analytics")
    site.drop(101)
    until(site.confirmed, 100)
    until(site.stored, 100)
    site.kill("analytics")
    site.drop(300)
    until(site.confirmed, 400)
    assert site.flows["confirmations"].poll() is None
    assert site.stored() == 100, "the published store answers while nobody writes it"
    site.start("analytics")
    until(site.stored, 400)


def test_analytics_goes_on_without_confirmations(site: Site) -> None:
    site.drop(101)
    site.start("confirmations")
    until(site.confirmed, 100)
    site.kill("confirmations")
    site.drop(100)
    site.start("analytics")
    until(site.stored, 100)
    site.start("confirmations")
    until(site.stored, 200)
    assert site.flows["analytics"].poll() is None
