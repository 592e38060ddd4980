"""An MTConnect adapter over TCP, with kills of both sides and the link: counters carry what was made (A17, M41)."""

from __future__ import annotations

import time

import pytest

from dataflows.health.health import examined
from dataflows.settings import load
from dataflows.sources.clock import SystemClock
from tests.collect_site import CollectSite, until
from tests.fault_proxy import HALF_OPEN, Fault, FaultProxy
from tests.peers.shdr_adapter import Adapter

MAPPING = """
plant = "S"
time_zone = "UTC"
format = "shdr"
[input]
collected = ["line"]
[shdr]
source = "LATHE-1"
[shdr.items]
good_counter = "parts"
[sequencing]
mode = "arrival"
[aggregation]
idle_s = 1
[limits]
past_max_s = 315_360_000
"""


@pytest.fixture
def adapter():
    peer = Adapter()
    yield peer
    peer.close()


@pytest.fixture
def link(adapter):
    with FaultProxy(adapter.port) as proxy:
        yield proxy


@pytest.fixture
def site(tmp_path, link):
    collector = f'protocol = "shdr"\nhost = "127.0.0.1"\nport = {link.port}\nheartbeat_s = 0.5'
    collector += '\n[[collect.line.signals]]\nitems = ["load"]\nrule = "deadband"\nwidth = 2'
    site = CollectSite(tmp_path, MAPPING, collector)
    yield site
    site.close()


def test_what_was_made_while_either_side_or_the_link_was_away_is_counted_once(site, adapter, link):
    site.start("collect", "confirmations")
    adapter.wait_connected()
    made = iter(range(100))

    def part() -> int:
        number = next(made)
        adapter.say(f"2026-11-17T06:00:{number:02d}Z|parts|{number}|load|{50 + number % 2}")
        return number

    def connections() -> list[bytes]:
        return [line.split(b"|")[2] for line in site.spooled() if b"collector_connected" in line]

    for _ in range(4):
        last = part()
    until(site.good, last)  # the first reading is the counter's zero
    site.kill("confirmations")
    for _ in range(3):
        last = part()
    until(lambda: len(site.spooled()), 1 + 7)
    site.kill("collect")
    next(made)  # made while nobody listens, and said to nobody: the counter goes on
    site.start("collect", "confirmations")
    adapter.wait_connected()
    last = part()
    until(site.good, last)
    adapter.hang_up()
    adapter.wait_connected()
    last = part()
    until(site.good, last)
    link.fault = Fault(bytes_per_s=100)
    part()
    time.sleep(0.2)
    with link.during(Fault(ends="cut")):  # the line was on its way: half of it is no line
        pass
    until(lambda: len(connections()) >= 4, expected=True)
    adapter.wait_connected(4)
    last = part()
    until(site.good, last)
    with link.during(HALF_OPEN):
        part()  # held up by a link that says nothing, not even that it is lost
        told = len(connections())
        until(lambda: len(connections()) > told, expected=True)  # noticed by ourselves
    adapter.wait_connected(told + 1)
    last = part()
    until(site.good, last)
    assert site.faults() == 0
    assert connections() == [str(number).encode() for number in range(1, len(connections()) + 1)]
    assert sum(b"|load|" in line for line in site.spooled()) == 1, "also after kills the first load is the last told"
    adapter.say("2026-11-17T06:00:59Z|load|52")  # makes no record, and is counted

    path = site.folder / "plantsync.toml"

    def doctor() -> tuple[dict[str, int], bool]:
        findings, shards = examined(load(path), SystemClock())
        (collector,) = (shard for shard in shards if shard.flow == "collect")
        return collector.totals, any("11 readings of signals left out" in finding.detail for finding in findings)

    until(doctor, ({"read": 12, "told": 1, "held": 0, "left_out": 11}, True))
