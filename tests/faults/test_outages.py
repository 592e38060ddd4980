"""Brokers die and networks fail in the middle of a run; the flow goes on by itself (M42, M49; DESIGN law 3)."""

import os
import re
import time

import pytest

from tests.fault_proxy import HALF_OPEN, Fault
from tests.faults.scenario import TRANSACTION_TIMEOUT_S, until
from tests.kafka_cluster import BROKERS

pytestmark = pytest.mark.kafka

ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
TORTURE = os.environ.get("PLANTSYNC_TORTURE") == "1"
FORGOTTEN = Fault(silent=HALF_OPEN.silent, forgotten=True)
ONE_WAY = {way: Fault(silent=frozenset({way})) for way in ("up", "down")}

# Name, fault, seconds, and whether anything is wrong enough to be told.
NETWORK = [
    ("cut", Fault(ends="cut"), 2.0, True),
    ("reset", Fault(ends="reset"), 2.0, True),
    ("refuse", Fault(ends="refuse"), 2.0, True),
    ("delay", Fault(delay_s=0.2, jitter_s=0.05), 3.0, False),
    ("throttle", Fault(bytes_per_s=20_000), 3.0, False),
    ("half-open", HALF_OPEN, 1.5 * TRANSACTION_TIMEOUT_S, True),
    ("forgotten", FORGOTTEN, 1.0, False),
]
if TORTURE:
    NETWORK += [
        (f"{name}-{seconds:g}s", fault, seconds, told)
        for name, fault, told in (
            ("cut", Fault(ends="cut"), True),
            ("reset", Fault(ends="reset"), True),
            ("refuse", Fault(ends="refuse"), True),
            ("delay-2s", Fault(delay_s=2.0), True),
            ("throttle-1kB", Fault(bytes_per_s=1_000), True),
            ("half-open", HALF_OPEN, True),
            ("half-open-up", ONE_WAY["up"], True),
            ("half-open-down", ONE_WAY["down"], True),
            ("forgotten", FORGOTTEN, True),
        )
        for seconds in (5.0, 30.0)
    ]


def went_on(name, scenario, plant, service, outage_s, over, expected):
    """The flow goes on by itself, and in the end everything is as if nothing had been."""
    plant.finish()
    scenario.all_read()
    all_s = time.monotonic() - over
    commits = scenario.commits(over)  # none where it took so long that all had been sent and committed before
    first_s = commits[0].at - over if commits else 0.0
    assert service.stop() == 0, service.said
    rolled_back = scenario.check(expected)
    print(
        f"\n{name}: {outage_s:.1f} s; first commit {first_s:.1f} s afterwards, everything {all_s:.1f} s;"
        f" {rolled_back} records rolled back"
    )


@pytest.mark.parametrize(("name", "fault", "seconds", "told"), NETWORK, ids=[row[0] for row in NETWORK])
def test_network(scenario, cluster, expected, name, fault, seconds, told):
    plant, service = scenario.begun()
    before, struck = service.said, time.monotonic()
    with cluster.spoilt(fault):
        time.sleep(seconds)
        if told:
            until(lambda: ADDRESS.search(service.said.removeprefix(before)), "word of which broker cannot be reached")
    over = time.monotonic()
    went_on(name, scenario, plant, service, over - struck, over, expected)


def test_the_leader_is_killed(scenario, cluster, expected):
    plant, service = scenario.begun()
    number = cluster.leader(f"{scenario.prefix}confirmations", 0)
    struck = time.monotonic()
    cluster.kill(number)
    until(lambda: cluster.leader(f"{scenario.prefix}confirmations", 0) not in {number, -1}, "another leader")
    over = time.monotonic()
    went_on("leader killed", scenario, plant, service, over - struck, over, expected)


def test_the_transaction_coordinator_is_killed(scenario, cluster, expected):
    plant, service = scenario.begun()
    shard = scenario.transactional_id(0)
    number = cluster.coordinator(shard)
    struck = time.monotonic()
    cluster.kill(number)
    until(lambda: cluster.coordinator(shard) not in {number, -1}, "another coordinator")
    over = time.monotonic()
    went_on("coordinator killed", scenario, plant, service, over - struck, over, expected)


def test_rolling_restart(scenario, cluster, expected):
    plant, service = scenario.begun()
    struck = time.monotonic()
    for number in BROKERS:
        cluster.stop(number)
        cluster.start(number)
        cluster.ready()
    over = time.monotonic()
    went_on("rolling restart", scenario, plant, service, over - struck, over, expected)


def test_all_brokers_are_killed_at_once(scenario, cluster, expected):
    plant, service = scenario.begun()
    struck = time.monotonic()
    cluster.kill(*BROKERS)
    cluster.mend()
    over = time.monotonic()
    went_on("all killed", scenario, plant, service, over - struck, over, expected)
