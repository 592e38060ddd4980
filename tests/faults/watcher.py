"""A reader of topics that runs all the time, and notes what it was given and when."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition

PROPERTIES = {
    "group.id": "watcher",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "socket.timeout.ms": 2_000,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 1_000,
    "fetch.wait.max.ms": 50,
    "log_level": 0,
}


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


class Seen(NamedTuple):
    """A record as a watcher got it, and when (seconds of the monotonic clock)."""

    place: Place
    key: bytes | None
    value: bytes | None
    at: float


class Watcher:
    """Reads whole topics while the block runs, through whatever happens to brokers and network."""

    def __init__(self, servers: str, topics: dict[str, int], isolation: str) -> None:
        self.seen: list[Seen] = []
        self.errors: list[str] = []
        properties = {"bootstrap.servers": servers, "isolation.level": isolation}
        self._consumer = Consumer(PROPERTIES | properties)
        self._consumer.assign([TopicPartition(topic, p, 0) for topic, count in topics.items() for p in range(count)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def values(self) -> dict[Place, bytes | None]:
        """What was seen so far, by place."""
        return {seen.place: seen.value for seen in list(self.seen)}

    def _watch(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(1_000, 0.05):
                error = message.error()
                if error is None:
                    place = Place(message.topic(), message.partition(), message.offset())
                    self.seen.append(Seen(place, message.key(), message.value(), time.monotonic()))
                elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
                    self.errors.append(str(error))


def read(servers: str, topics: dict[str, int]) -> dict[Place, bytes | None]:
    """What a reader of committed records finds from the beginning to the end of topics."""
    consumer = Consumer(
        PROPERTIES | {"bootstrap.servers": servers, "isolation.level": "read_committed", "enable.partition.eof": True}
    )
    found: dict[Place, bytes | None] = {}
    unread = {(topic, partition) for topic, count in topics.items() for partition in range(count)}
    deadline = time.monotonic() + 30
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in unread])
        while unread:
            assert time.monotonic() < deadline, f"never came to the end of {unread}"
            for message in consumer.consume(1_000, 0.1):
                if message.error() is None:
                    found[Place(message.topic(), message.partition(), message.offset())] = message.value()
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    unread.discard((message.topic(), message.partition()))
    finally:
        consumer.close()
    return found
