"""Workload W in a topic: each source in one partition, keyed by its name, in the order of arrival."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.workload import Workload
from canonical.decoders.avro_container import Container

_FRAME = b"\0" + (1).to_bytes(4, "big")
"""The id that benchmarks/w_avro.toml gives W's schema."""
_SINGLE_OBJECT = 10
"""Bytes of the frame in which a container's records come: marker and fingerprint."""
_SOURCE = b'"source":"'


def filled(servers: str, workload: Workload, partitions: int = 1, form: str = "json", **properties: str) -> str:
    """Write W to a new topic and return its name. ``properties`` are the producer's, such as compression."""
    name = f"w-{time.time_ns()}"
    create(servers, name, partitions)
    keys = map(source_of, _lines(workload))
    values = _framed(workload) if form == "avro" else _lines(workload)
    produce(servers, name, zip(keys, values, strict=True), **properties)
    return name


def _lines(workload: Workload) -> Iterator[bytes]:
    for chunk in sorted(workload.chunks.iterdir()):
        yield from chunk.read_bytes().splitlines()


def _framed(workload: Workload) -> Iterator[bytes]:
    """Yield W's events in Avro as a serializer of Confluent's frames them."""
    for chunk in sorted(workload.form("avro").folder.iterdir()):
        container = Container(io.BytesIO(chunk.read_bytes()))
        while len(raw := container.read(50_000, 8 << 20)):
            yield from (_FRAME + raw.value(row)[_SINGLE_OBJECT:] for row in range(len(raw)))


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
                yield message.value() or b""
            else:
                left.discard(message.partition())
    consumer.close()
