"""The Kafka log where it meets the broker: open transactions, foreign topics, time-outs, compaction."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import zlib
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from sinks.commit_log import CommitInDoubt, CommitLogError, CommitLogUnavailable, Record, Snapshot, WriterFenced
from sinks.kafka import KafkaLog
from tests import kafka_broker
from tests.conformance.commit_forever import kafka_settings

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka):
    return kafka_settings(kafka.servers, f"t{uuid.uuid4().hex}.")


def consumed(settings, topic, partition=0, isolation="read_committed"):
    """All messages of a partition, from its beginning to its end."""
    properties = {"group.id": "suite", "enable.partition.eof": "true", "isolation.level": isolation}
    consumer = Consumer(settings.client(properties))
    consumer.assign([TopicPartition(topic, partition, 0)])
    messages = []
    while True:
        for message in consumer.consume(1000, 0.1):
            if message.error() is not None:
                consumer.close()
                return messages
            messages.append(message)


def state_partition(shard, partitions=2):
    return zlib.crc32(shard.encode()) % partitions


def open_transaction(settings, shard, timeout_ms=60_000):
    """What the dead writer of a shard leaves behind: a transaction on the state topic that nobody ends."""
    properties = {"transactional.id": f"{settings.prefix}flow.{shard}", "transaction.timeout.ms": str(timeout_ms)}
    producer = Producer(settings.client(properties | {"socket.timeout.ms": "1000"}))
    producer.init_transactions(10)
    producer.begin_transaction()
    manifest = b'{"version": 1, "position": "open", "chunks": {}}'
    partition = state_partition(shard)
    producer.produce(settings.state_topic("flow"), key=b'["%s"]' % shard.encode(), value=manifest, partition=partition)
    producer.flush(10)
    return producer


def neighbour_of(shard):
    """Another shard whose state lies in the same partition."""
    return next(name for name in map(str, range(100)) if state_partition(name) == state_partition(shard))


def test_what_a_dead_writer_left_open_is_rolled_back(settings):
    log = KafkaLog("flow", settings)
    log.restore("a")
    log.commit("a", "1", {"x": b"1"}, [])
    dead = open_transaction(settings, "a")
    assert KafkaLog("flow", settings).restore("a") == Snapshot("1", {"x": b"1"})
    del dead


def test_shards_taken_over_together_are_read_together(settings, monkeypatch):
    """One consumer reads all their partitions, and each shard gets what a restore by itself would give it."""
    shards = [str(number) for number in range(20)]
    log = KafkaLog("flow", settings)
    for number, shard in enumerate(shards[:-1]):
        log.restore(shard)
        for commit in range(2):
            log.commit(shard, f"{number}.{commit}", {"x": bytes([number]) * 5_000 * (2 - commit), "y": b"y"}, [])
    expected = {shard: KafkaLog("flow", settings).peek(shard) for shard in shards}
    assert [shard for shard, snapshot in expected.items() if snapshot is None] == shards[-1:]

    consumers = []
    monkeypatch.setattr("sinks.kafka_state.Consumer", lambda *a, **k: consumers.append(a) or Consumer(*a, **k))
    successor = KafkaLog("flow", settings)
    successor.take_over(shards[1:])
    assert {shard: successor.restore(shard) for shard in shards[1:]} == {s: expected[s] for s in shards[1:]}
    assert len(consumers) == 1
    assert successor.restore(shards[0]) == expected[shards[0]], "one that was not taken over is restored by itself"
    successor.commit(shards[1], "next", {"x": b""}, [])
    assert KafkaLog("flow", settings).peek(shards[1]) == Snapshot("next", {"y": b"y"})
    with pytest.raises(WriterFenced):
        log.commit(shards[1], "older", {}, [])


def test_a_neighbours_open_transaction_does_not_hide_the_last_commit(settings):
    """Reading only to the last stable offset would return the commit before."""
    log = KafkaLog("flow", settings)
    log.restore("a")
    log.commit("a", "1", {"x": b"1"}, [])
    neighbour = open_transaction(settings, neighbour_of("a"))
    log.commit("a", "2", {"x": b"2"}, [])
    abort = threading.Timer(1.0, neighbour.abort_transaction, (10,))
    abort.start()
    try:
        assert KafkaLog("flow", settings).restore("a") == Snapshot("2", {"x": b"2"})
    finally:
        abort.join()


def test_a_dead_neighbours_transaction_ends_by_itself(settings):
    log = KafkaLog("flow", settings)
    log.restore("a")
    neighbour = open_transaction(settings, neighbour_of("a"), 1_500)
    log.commit("a", "1", {}, [])
    assert KafkaLog("flow", settings).restore("a") == Snapshot("1", {})
    del neighbour


def test_a_restore_that_cannot_finish_says_why(settings):
    log = KafkaLog("flow", settings)
    log.restore("a")
    neighbour = open_transaction(settings, neighbour_of("a"))
    log.commit("a", "1", {}, [])
    hasty = KafkaLog("flow", replace(settings, transaction_timeout_ms=1_000, restore_timeout_ms=2_000))
    with pytest.raises(CommitLogUnavailable, match="another shard's transaction is open"):
        hasty.restore("a")
    neighbour.abort_transaction(10)
    assert hasty.restore("a") == Snapshot("1", {})


def test_readers_of_committed_records_never_see_an_aborted_one(settings):
    log = KafkaLog("flow", settings)
    log.restore("a")
    for i in range(3):
        with pytest.raises(OSError, match="gone"):
            log.commit("a", "lost", {"x": b"lost"}, broken(Record("s", b"k", b"lost"), log))
        log.commit("a", str(i), {"x": b"%d" % i}, [Record("s", b"k", b"%d" % i)])
    topic = settings.topic("s")
    assert [message.value() for message in consumed(settings, topic)] == [b"0", b"1", b"2"]
    assert b"lost" in [message.value() for message in consumed(settings, topic, isolation="read_uncommitted")]
    assert KafkaLog("flow", settings).restore("a") == Snapshot("2", {"x": b"2"})


def broken(record, log):
    """Records that break when the first of them has reached the broker."""

    class Broken(list):
        calls = 0

        def __iter__(self):
            yield record
            self.calls += 1
            if self.calls == 2:  # The first pass looks at the streams only.
                log._writers["a"].producer.flush(10)
                raise OSError("gone")

    return Broken([record])


def murmur2(key):
    """Kafka's hash of a key, as org.apache.kafka.common.utils.Utils.murmur2 computes it."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if tail := key[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def test_keys_land_where_java_looks_for_them(settings):
    # Vectors of Kafka's own UtilsTest.
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert murmur2(b"a-little-bit-long-string") == -985981536 & 0xFFFFFFFF
    settings = replace(settings, partitions=5)
    log = KafkaLog("flow", settings)
    log.restore("a")
    keys = [f"plant/line-{i}".encode() for i in range(40)]
    log.commit("a", "1", {}, [Record("s", key, b"") for key in keys])
    topic = settings.topic("s")
    found = {message.key(): partition for partition in range(5) for message in consumed(settings, topic, partition)}
    assert found == {key: (murmur2(key) & 0x7FFFFFFF) % 5 for key in keys}


def test_topics_are_created_as_the_settings_say(settings):
    settings = replace(settings, partitions=3, retention_ms=86_400_000, state_segment_bytes=2_000_000)
    log = KafkaLog("flow", settings)
    log.restore("a")
    log.commit("a", "1", {}, [Record("s", None, b"")])
    admin = AdminClient(settings.client({}))
    topics = admin.list_topics(timeout=10).topics
    assert len(topics[settings.topic("s")].partitions) == 3
    assert len(topics[settings.state_topic("flow")].partitions) == 2

    def configuration(topic):
        (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return {name: entry.value for name, entry in future.result().items()}

    records, state = configuration(settings.topic("s")), configuration(settings.state_topic("flow"))
    assert (records["cleanup.policy"], records["retention.ms"]) == ("delete", "86400000")
    assert int(records["max.message.bytes"]) >= settings.record_bytes_max
    assert (state["cleanup.policy"], state["segment.bytes"]) == ("compact", "2000000")


def test_a_state_topic_that_would_misplace_or_forget_the_state_is_refused(settings):
    KafkaLog("flow", settings).restore("a")
    with pytest.raises(CommitLogError, match="2 partitions, the settings say 4"):
        KafkaLog("flow", replace(settings, state_partitions=4)).restore("a")
    admin = AdminClient(settings.client({}))
    (created,) = admin.create_topics([NewTopic(settings.state_topic("other"), 2)]).values()
    created.result()
    with pytest.raises(CommitLogError, match=r"cleanup\.policy=delete"):
        KafkaLog("other", settings).restore("a")


def test_a_record_that_is_too_large_is_named_and_nothing_is_stored(settings):
    settings = replace(settings, record_bytes_max=1_000_000)
    log = KafkaLog("flow", settings)
    log.restore("a")
    with pytest.raises(CommitLogError, match="record_bytes_max") as raised:
        log.commit("a", "1", {"x": b"1"}, [Record("s", None, b"small"), Record("big", None, bytes(1_100_000))])
    assert not raised.value.retryable
    assert settings.topic("big") in str(raised.value)
    log.commit("a", "2", {}, [Record("s", None, b"next")])
    assert [message.value() for message in consumed(settings, settings.topic("s"))] == [b"next"]
    assert log.restore("a") == Snapshot("2", {})


def test_more_records_than_the_producer_queues(settings):
    settings = replace(settings, properties={**settings.properties, "queue.buffering.max.messages": "1000"})
    log = KafkaLog("flow", settings)
    log.restore("a")
    log.commit("a", "1", {}, [Record("s", b"k", b"%d" % i) for i in range(5_000)])
    assert [message.value() for message in consumed(settings, settings.topic("s"))] == [b"%d" % i for i in range(5_000)]


def test_a_cluster_that_is_down_is_named(settings):
    settings = replace(settings, properties={"bootstrap.servers": "127.0.0.1:1"}, transaction_timeout_ms=1_000)
    log = KafkaLog("flow", replace(settings, restore_timeout_ms=2_000))
    with pytest.raises(CommitLogUnavailable, match=r"127\.0\.0\.1:1.*check that the brokers run") as raised:
        log.restore("a")
    assert raised.value.retryable


def test_a_property_that_librdkafka_refuses_is_named(settings):
    with pytest.raises(CommitLogError, match=r"sasl\.mechansim.*correct the Kafka properties"):
        KafkaLog("flow", replace(settings, properties={**settings.properties, "sasl.mechansim": "PLAIN"}))


def test_a_writer_that_was_only_paused_is_fenced(settings):
    """It wakes up in the middle of a commit and believes that the shard is still its own."""
    address = f"{settings.prefix}@{settings.properties['bootstrap.servers']}"
    command = [sys.executable, "-m", "tests.conformance.commit_forever", "kafka", address, "a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        log = KafkaLog("flow", settings)
        before = log.restore("a")
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "WriterFenced" in said
    assert KafkaLog("flow", settings).restore("a") == before


def test_a_commit_whose_answer_is_lost_is_in_doubt_until_restored():
    with available(kafka_broker.running(brief=True)) as broker:
        settings = replace(kafka_settings(broker.servers, "t."), transaction_timeout_ms=2_000)
        log = KafkaLog("flow", settings)
        log.restore("a")
        log.commit("a", "1", {"x": b"1"}, [Record("s", None, b"1")])
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(CommitInDoubt, match="restore the shard"):
                log.commit("a", "2", {"x": b"2"}, [Record("s", None, b"2")])
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        with pytest.raises(AssertionError, match="restore shard"):
            log.commit("a", "2", {"x": b"2"}, [Record("s", None, b"2")])
        snapshot = log.restore("a")
        assert snapshot in (Snapshot("1", {"x": b"1"}), Snapshot("2", {"x": b"2"}))
        expected = [b"1"] if snapshot.position == "1" else [b"1", b"2"]
        assert [message.value() for message in consumed(settings, settings.topic("s"))] == expected
        log.commit("a", "3", {}, [])


@contextlib.contextmanager
def available(broker):
    try:
        with broker as started:
            yield started
    except kafka_broker.BrokerUnavailable as error:
        pytest.skip(str(error))


def test_what_a_restore_reads_stays_bounded(settings):
    """Sixteen times more state is written than may remain, as in a long run."""
    segment = 1024 * 1024
    settings = replace(settings, state_segment_bytes=segment)
    log = KafkaLog("flow", settings)
    log.restore("a")
    for i in range(160):
        log.commit("a", str(i), {"x": os.urandom(200_000)}, [])

    def bytes_read():
        messages = consumed(settings, settings.state_topic("flow"), state_partition("a"))
        return sum(len(message.value() or b"") for message in messages)

    deadline = time.monotonic() + 60
    while bytes_read() > 2 * segment and time.monotonic() < deadline:
        time.sleep(0.5)
    assert bytes_read() <= 2 * segment
    assert log.restore("a").position == "159"
