"""A partition of a real broker, read with the kernel and with the driver's own calls: both find the same."""

from __future__ import annotations

import time
import uuid
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from dataflows.sources import kafka_partition, partition_queue
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.sources.partition_queue import PartitionQueue
from sinks.kafka_settings import KafkaSettings

pytestmark = pytest.mark.kafka


@pytest.fixture(params=["kernel", "driver"])
def path(request, monkeypatch):
    """Read with the kernel, and as where there is none."""
    if request.param == "driver":
        monkeypatch.setattr(PartitionQueue, "of", lambda *_: None)
        monkeypatch.setattr(kafka_partition, "CALL_MESSAGES", 700)  # which does not divide what a batch may hold
    elif partition_queue._library() is None:
        pytest.skip("the kernel is not compiled: no C compiler here")
    return request.param


@pytest.fixture(scope="module")
def topic(kafka):
    """A topic with what there may be in one: (value, key, headers), with transactions of which one was rolled back."""
    name = uuid.uuid4().hex
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "20000000"})])[name].result(30)
    told = [
        (b"plain", b"k", []),
        (None, b"tombstone", []),
        (b"", None, []),
        (b"", b"", [("a", b"1"), ("a", None), ("\u00fc", b"")]),
        (b"x" * 9_000_000, b"long", [("h", b"y" * 3_000_000)]),
        *((b"n%d" % n, b"k%d" % (n % 7), [("n", b"%d" % n)] * (n % 3)) for n in range(45_000)),
    ]
    large = {"message.max.bytes": 20_000_000, "queue.buffering.max.messages": 1_000_000}
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": name, **large})
    producer.init_transactions(30)
    for part in (told[:20_000], told[20_000:]):
        producer.begin_transaction()
        for value, key, headers in part:
            producer.produce(name, value, key, headers=headers)
        producer.commit_transaction(30)
        producer.begin_transaction()
        for number in range(100):
            producer.produce(name, b"rolled back %d" % number)
        producer.flush(30)
        producer.abort_transaction(30)
    return name, [(value or b"", key, tuple((n, v or b"") for n, v in headers)) for value, key, headers in told]


def read_to_end(reader):
    found, deadline = [], time.monotonic() + 60
    while not reader.at_end():
        assert time.monotonic() < deadline
        raw = reader.poll()
        assert len(raw) <= kafka_partition.BATCH_MESSAGES
        values = map(raw.value, range(len(raw)))
        found += zip(raw.offsets.tolist(), values, raw.keys or (), raw.headers or (), strict=True)
    return found


def poll_until(reader, deadline):
    while time.monotonic() < deadline:
        reader.poll()
        time.sleep(0.05)


def test_all_that_is_committed_is_read_once_in_order(kafka, topic, path):
    name, told = topic
    with closing(KafkaPartition(KafkaSettings({"bootstrap.servers": kafka.servers}), name, 0)) as reader:
        assert (reader._queue is None) == (path == "driver")
        reader.seek(None, {})
        found = read_to_end(reader)
        assert [row[1:] for row in found] == told
        assert path == "driver" or reader._queue._taking.epoch, "no messages in place, or not in this librdkafka"
        assert [row[0] for row in found] == sorted({row[0] for row in found})
        _, high = reader.watermarks()
        assert reader.position() == f'{{"topic":"{name}","partition":0,"offset":{high}}}', "markers are passed"
        assert reader.behind() == 0

        # From anywhere, with messages that were fetched and not taken, or taken ahead and not polled.
        for first in (30_000, 10, 30_000):
            place = found[first][0]
            reader.seek(f'{{"offset":{place}}}', {})
            deadline = time.monotonic() + 30
            while not len(raw := reader.poll()):
                assert time.monotonic() < deadline
            assert raw.offsets[0] == place
            assert not reader.at_end() or raw.offsets[-1] == found[-1][0]


@pytest.mark.usefixtures("path")
def test_what_comes_after_the_end_is_read(kafka):
    """The end is where it was only as long as nothing followed."""
    name = uuid.uuid4().hex
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    producer = Producer({"bootstrap.servers": kafka.servers})
    with closing(KafkaPartition(KafkaSettings({"bootstrap.servers": kafka.servers}), name, 0)) as reader:
        reader.seek(None, {})
        assert read_to_end(reader) == []
        for number in range(3):
            producer.produce(name, b"%d" % number)
            assert producer.flush(30) == 0
            deadline = time.monotonic() + 30
            while not len(raw := reader.poll()):
                assert time.monotonic() < deadline
            assert (raw.offsets.tolist(), raw.value(0)) == ([number], b"%d" % number)
            assert read_to_end(reader) == []


@pytest.mark.usefixtures("path")
def test_what_the_broker_refuses_is_told(kafka, topic):
    """Records that are gone, as retention takes them while a shard lags (M25); else it would be silent for ever."""
    name, _ = topic
    with closing(KafkaPartition(KafkaSettings({"bootstrap.servers": kafka.servers}), name, 0)) as reader:
        reader._consumer.assign([TopicPartition(name, 0, 10_000_000)])
        with pytest.raises(SourceUnavailable, match=f"reading {name}/0 failed: .*[Oo]ffset"):
            poll_until(reader, time.monotonic() + 30)
