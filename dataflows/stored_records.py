"""The records of a stream of the log from its beginning, wherever the log is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import orjson

from dataflows.settings import Settings
from dataflows.sources.kafka_partition import KafkaPartition
from sinks.commit_log import Stored
from sinks.kafka_connection import KafkaConnection
from sinks.kafka_settings import KafkaSettings
from sinks.sqlite import SqliteStreams

READ_RECORDS: Final = 1_000


def stored_records(settings: Settings, stream: str) -> Iterator[tuple[str, Stored]]:
    """Yield every record of a stream with its place, those of a partition in order.

    A place is an offset; on Kafka, ``partition:offset``.

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    if settings.log.kind == "sqlite":
        yield from from_file(settings, stream, 0)
        return
    kafka = kafka_of(settings)
    count = KafkaConnection(kafka).connect(kafka.request_timeout_ms / 1000).get(kafka.topic(stream), 0)
    for partition in range(count):
        yield from from_partition(kafka, kafka.topic(stream), partition, None)


def from_file(settings: Settings, stream: str, after: int) -> Iterator[tuple[str, Stored]]:
    """Yield the records of a stream of the embedded log behind an offset."""
    with closing(SqliteStreams(settings.log.path)) as log:
        while found := log.read(stream, after, READ_RECORDS):
            yield from ((str(stored.offset), stored) for stored in found)
            after = found[-1].offset


def from_partition(
    kafka: KafkaSettings, topic: str, partition: int, offset: int | None
) -> Iterator[tuple[str, Stored]]:
    """Yield the records of a partition from an offset on, or from the first there is."""
    position = None
    if offset is not None:
        position = orjson.dumps({"topic": topic, "partition": partition, "offset": offset}).decode()
    with closing(KafkaPartition(kafka, topic, partition)) as reader:
        reader.seek(position, {})
        while not reader.at_end():
            records = reader.poll()
            for row, at in enumerate(records.offsets.tolist()):
                key = records.keys[row] if records.keys is not None else None
                headers = records.headers[row] if records.headers is not None else ()
                yield f"{partition}:{at}", Stored(at, key, records.value(row), headers)


def kafka_of(settings: Settings) -> KafkaSettings:
    """Return how Kafka is reached; the settings name it."""
    assert settings.kafka is not None
    return settings.kafka.connection()
