"""The commit log's adapters, each behind the same face for the suite, and a store."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from sinks.analytics.published import query
from sinks.analytics.store import Store, StoreConfig
from sinks.commit_log import Stored
from sinks.kafka import KafkaLog
from sinks.memory import MemoryLog, MemoryStore
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.conformance.commit_forever import kafka_settings


class MemoryPlace:
    """Where the records of a test go; ``open`` returns a new writer, as a new process would have."""

    examples = 100  # Histories to try.

    def __init__(self):
        self.store = MemoryStore()

    def open(self):
        return MemoryLog(self.store)

    def read(self, stream):
        return self.store.read(stream, 0, 1_000_000)

    def reader(self):
        return self.store

    def look(self, shard):
        return self.store.snapshots.get(shard)


class SqlitePlace:
    examples = 50

    def __init__(self, path):
        self.path = path
        self.address = ("sqlite", str(path))

    def open(self):
        return SqliteLog(self.path)

    def read(self, stream):
        reader = self.reader()
        records = reader.read(stream, 0, 1_000_000)
        reader.close()
        return records

    def reader(self):
        return SqliteStreams(self.path)

    def look(self, shard):
        reader = self.reader()
        snapshots = reader.snapshots()
        reader.close()
        return snapshots.get(shard)


class KafkaPlace:
    examples = 5

    def __init__(self, servers, prefix):
        self.settings = kafka_settings(servers, prefix)
        self.address = ("kafka", f"{prefix}@{servers}")

    def open(self):
        return KafkaLog("flow", self.settings)

    def look(self, shard):
        return self.open().peek(shard)

    def read(self, stream):
        """All of a topic's only partition, up to where it ends now."""
        properties = {"group.id": "suite", "enable.partition.eof": "true", "isolation.level": "read_committed"}
        consumer = Consumer(self.settings.client(properties))
        topic = self.settings.topic(stream)
        records = []
        try:
            if topic not in consumer.list_topics(timeout=10).topics:
                return []
            consumer.assign([TopicPartition(topic, 0, 0)])
            while True:
                for message in consumer.consume(1000, 0.1):
                    if message.error() is not None:
                        return records
                    headers = tuple(message.headers() or ())
                    records.append(Stored(message.offset(), message.key(), message.value(), headers))
        finally:
            consumer.close()


def place(request, kind):
    if kind == "memory":
        return MemoryPlace()
    if kind == "sqlite":
        return SqlitePlace(request.getfixturevalue("tmp_path") / "log.db")
    return KafkaPlace(request.getfixturevalue("kafka").servers, f"t{uuid.uuid4().hex}.")


KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.fixture(params=["memory", "sqlite", KAFKA])
def log_place(request):
    """Every adapter."""
    return place(request, request.param)


@pytest.fixture(params=["sqlite", KAFKA])
def durable_place(request):
    """The adapters that outlive a process."""
    return place(request, request.param)


@pytest.fixture(params=["memory", "sqlite"])
def embedded_place(request):
    """The adapters that are also read as ``Streams``."""
    return place(request, request.param)


@pytest.fixture
def config(tmp_path: Path) -> StoreConfig:
    # The quote shows that no path is pasted into SQL.
    return StoreConfig(path=tmp_path / "plant's store.duckdb", published=tmp_path / "public" / "analytics.duckdb")


@pytest.fixture
def store(config: StoreConfig) -> Iterator[Store]:
    opened = Store(config)
    opened.restore("a")
    yield opened
    opened.close()


@pytest.fixture
def answer(store: Store, config: StoreConfig) -> Callable[..., list[dict[str, Any]]]:
    def ask(sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        store.publish()
        return query(config.published, sql, parameters).rows.to_pylist()

    return ask
