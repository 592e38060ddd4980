"""One cluster, one plant and what an uninterrupted run makes of it, for all faults."""

import pytest

from tests import kafka_broker, kafka_cluster
from tests.faults.plant import records
from tests.faults.scenario import Scenario


@pytest.fixture(scope="package")
def cluster():
    """Three brokers."""
    try:
        with kafka_cluster.running() as cluster:
            yield cluster
    except kafka_broker.BrokerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="package")
def sent():
    """The plant's records in the order in which they are sent."""
    return records()


@pytest.fixture(scope="package")
def expected(cluster, sent, tmp_path_factory):
    """What comes out when nothing goes wrong."""
    scenario = Scenario(cluster, tmp_path_factory.mktemp("expected"), sent)
    scenario.plant(per_s=1e9).finish()
    outcome = scenario.undisturbed()
    assert sum(outcome["confirmations"].values()) > 100
    assert sum(outcome["dead-letters"].values()) > 10
    return outcome


@pytest.fixture
def scenario(cluster, sent, tmp_path):
    """A scenario with nothing wrong yet; afterwards everything is mended and no service runs."""
    scenario = Scenario(cluster, tmp_path, sent)
    with scenario.watched():
        yield scenario
        cluster.mend()
        for service in scenario.services:
            service.process.kill()
            service.ended()
