"""Two services are given the same shards, or one dies amid a transaction: only one commits (M25; DESIGN law 3).

The brokers' answers are made slow, so that records reach the brokers well before their writer hears of
it and sends the end of the transaction; the strike comes in between. A reader that does not ask for
committed records sees what is rolled back then: the scenario could fail, and those who ask do not see it.
"""

import signal
import time

import pytest

from dataflows.cli.exit_codes import FENCED
from tests.fault_proxy import HALF_OPEN, NONE, Fault
from tests.faults.scenario import RECORDS_PER_S, TRANSACTION_TIMEOUT_S, until

pytestmark = pytest.mark.kafka

SLOW_ANSWERS = Fault(delay_s=1.0, delayed=frozenset({"down"}))
SLOW = Fault(delay_s=0.7)


@pytest.fixture
def begun(scenario, cluster):
    """The plant that sends and the service that runs, amid a transaction whose end it has not sent yet."""
    plant, service = scenario.begun()
    cluster.spoil(SLOW_ANSWERS)
    scenario.amid_a_transaction()
    return plant, service


def ended(scenario, plant, service, expected):
    """Everything is committed once; returns how many records were rolled back before that."""
    plant.finish()
    scenario.all_read()
    assert service.stop() == 0, service.said
    rolled_back = scenario.check(expected)
    print(f"\n{rolled_back} records rolled back")
    return rolled_back


def test_killed_and_started_again(scenario, cluster, expected, begun):
    plant, first = begun
    scenario.paused(first)
    first.process.kill()
    first.ended()
    cluster.spoil(NONE)
    assert ended(scenario, plant, scenario.service(), expected) > 0


def test_a_second_one_takes_over(scenario, expected):
    plant, first = scenario.begun(per_s=RECORDS_PER_S / 5)  # so slow that the first one still commits, and notices
    second = scenario.service()
    assert first.ended() == FENCED, first.said
    assert "another writer has taken over the shard" in first.said
    plant.finish()
    scenario.all_read()
    assert second.stop() == 0, second.said
    scenario.check(expected)


@pytest.mark.parametrize("paused_s", [0.0, 2 * TRANSACTION_TIMEOUT_S], ids=["shortly", "beyond the time-out"])
def test_a_zombie_is_fenced(scenario, cluster, expected, begun, paused_s):
    """It was paused amid a transaction and goes on when another has taken over."""
    plant, first = begun
    scenario.paused(first)
    paused = time.monotonic()
    cluster.spoil(NONE)
    second = scenario.service()
    scenario.first_commit(time.monotonic() + 0.5)
    time.sleep(max(paused + paused_s - time.monotonic(), 0))
    first.process.send_signal(signal.SIGCONT)
    assert first.ended() == FENCED, first.said
    assert "another writer has taken over the shard" in first.said
    assert ended(scenario, plant, second, expected) > 0


def test_what_was_on_its_way_arrives_when_another_has_taken_over(scenario, cluster, expected):
    """The network held the first one's end of a transaction back."""
    plant, first = scenario.begun()
    cluster.spoil(SLOW, cluster.coordinator(scenario.transactional_id(0)))
    scenario.amid_a_transaction()
    cluster.spoil(HALF_OPEN)
    second = scenario.service(settings="direct")
    scenario.first_commit(time.monotonic() + 0.5)
    cluster.spoil(NONE)
    until(
        lambda: None not in (first.process.poll(), second.process.poll()) or FENCED in codes(first, second), "a fence"
    )
    assert sorted(codes(first, second), key=str) == [FENCED, None], first.said + second.said
    ended(scenario, plant, first if first.process.poll() is None else second, expected)


def codes(*services):
    return [service.process.poll() for service in services]
