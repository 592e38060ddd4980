"""Workload W in a topic: each source in one partition, keyed by its name, in the order of arrival."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.workload import Workload

_SOURCE = b'"source":"'


def filled(servers: str, workload: Workload, partitions: int = 1, **properties: str) -> str:
    """Write W's JSON to a new topic and return its name. ``properties`` are the producer's, such as compression."""
    name = f"w-{time.time_ns()}"
    create(servers, name, partitions)
    lines = (line for chunk in sorted(workload.chunks.iterdir()) for line in chunk.read_bytes().splitlines())
    produce(servers, name, ((source_of(line), line) for line in lines), **properties)
    return name


def create(servers: str, name: str, partitions: int) -> None:
    """Create a topic. Raises: KafkaException."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)


def produce(servers: str, topic: str, messages: Iterable[tuple[bytes, bytes]], **properties: str) -> None:
    """Write keys and values, as fast as the driver takes them, and wait for the broker to have all of them."""
    tuned = {"linger.ms": 50, "batch.num.messages": 10_000, "queue.buffering.max.messages": 1_000_000}
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random", **tuned, **properties})
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(60) == 0, f"the broker took not all of {topic}"


def source_of(line: bytes) -> bytes:
    """Return the source of a line of W."""
    at = line.index(_SOURCE) + len(_SOURCE)
    return line[at : line.index(b'"', at)]


def committed(servers: str, topic: str) -> Iterator[bytes]:
    """Yield the values of all that is committed in a topic."""
    properties = {"bootstrap.servers": servers, "group.id": "benchmark", "isolation.level": "read_committed"}
    consumer = Consumer({**properties, "enable.partition.eof": True, "enable.auto.commit": False})
    left = set(consumer.list_topics(topic, 10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in left])
    while left:
        for message in consumer.consume(500, 0.2):
            if message.error() is None:
                yield message.value()
            else:
                left.discard(message.partition())
    consumer.close()
