"""A partition whose broker fails: what its reader does to those that share its process."""

import time
import uuid

import pytest
from confluent_kafka import Producer

from dataflows.sources.kafka_partition import KafkaPartition
from sinks.kafka_settings import KafkaSettings
from tests.fault_proxy import HALF_OPEN, Fault
from tests.faults.scenario import until

pytestmark = pytest.mark.kafka


@pytest.fixture
def reader(cluster):
    """A reader that has read the ten records of a topic."""
    topic = uuid.uuid4().hex
    cluster.create(topic, 1)
    producer = Producer({"bootstrap.servers": cluster.direct})
    for _ in range(10):
        producer.produce(topic, b"x", partition=0)
    assert producer.flush(10) == 0
    reader = KafkaPartition(KafkaSettings({"bootstrap.servers": cluster.servers}), topic, 0)
    reader.seek(None, {})
    assert reader.behind() == 10  # Nothing has been sent yet, so the broker is asked.
    until(lambda: not len(reader.poll()) and reader.at_end(), "the end")
    yield reader
    cluster.mend()
    reader.close()


def test_a_silent_broker_holds_up_nobody_else(cluster, reader):
    """All shards of a process are polled in turn, and asked how far they are behind."""
    with cluster.spoilt(HALF_OPEN):
        began = time.monotonic()
        assert reader.behind() == 0
        assert not len(reader.poll())
        assert time.monotonic() - began < 1


def test_what_the_driver_reports_is_logged(cluster, reader, caplog):
    """Not written past the log to standard error."""
    with cluster.spoilt(Fault(ends="refuse")):
        until(lambda: not len(reader.poll()) and "Connection refused" in caplog.text, "an error")
