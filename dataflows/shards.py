"""The shards a configuration amounts to: what each flow reads, and under which name it is committed.

A shard's name is the place of its records: ``folder:plant-a``, ``<topic>-<partition>``,
``stream:confirmations``. State and position are stored under it, so it must not change while the
place stays the same; it does not depend on the order of the settings or on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Self, TypeVar

from canonical.mapping import PlantMapping
from dataflows.analytics import ERP_TABLES, TABLES
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.flow_names import POSTINGS as POSTINGS_FLOW
from dataflows.intake import Intake, Room
from dataflows.postings import REFERENCE_INPUT
from dataflows.postings import SHARD as POSTINGS_SHARD
from dataflows.refused_stream import RefusedStream
from dataflows.settings import Settings
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.sources.landed_files import DOCUMENT, FolderConfig, LandedFiles
from dataflows.sources.log_stream import LogStream
from dataflows.sources.reader import Reader
from dataflows.sources.schema_registry import SchemaRegistry
from dataflows.sources.self_contained import SelfContained
from dataflows.sources.shard_source import Clock, ShardInput
from dataflows.spool import refused_beside, shard_of
from sinks.kafka_connection import KafkaConnection
from sinks.kafka_settings import KafkaSettings
from sinks.sqlite import SqliteStreams
from sinks.streams import ACTIONS, CONFIRMATIONS, EVENTS, POSTINGS, RECEIPTS
from sinks.streams import postings as queue_of

POSTINGS_INPUTS: Final = (CONFIRMATIONS, EVENTS, ACTIONS, RECEIPTS)
"""Streams that the postings flow reads, beside reference data."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """One of ``count`` equal parts of the shards, for processes that share nothing."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``I/N``, as 0/4 to 3/4. Raises: ValueError."""
        index, slash, count = text.partition("/")
        if not (slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
            raise ValueError(f"{text!r} is not I/N, such as 0/2 and 1/2 for two processes")
        if int(index) >= int(count):
            raise ValueError(
                f"{text!r}: shares are numbered from 0, so the last of {count} is {int(count) - 1}/{count}"
            )
        return cls(int(index), int(count))

    def of(self, shards: Mapping[str, T]) -> dict[str, T]:
        """Return every ``count``-th shard by name."""
        return {name: shards[name] for name in sorted(shards)[self.index :: self.count]}


WHOLE: Final = Share()


def confirmations_shards(settings: Settings, clock: Clock) -> dict[str, ShardInput]:
    """Return a shard for each drop folder and collector and, where Kafka is the log, for each partition of each topic.

    Raises: MappingError, CommitLogUnavailable, CommitLogError, SourceUnavailable where a topic is missing.
    """
    shards: dict[str, ShardInput] = {}
    mappings = settings.mappings()
    registries = {name: SchemaRegistry(section, name) for name, section in settings.schema_registries.items()}

    def registry(plant: PlantMapping) -> SchemaRegistry | None:
        return registries.get(plant.avro.registry) if plant.avro is not None else None

    if settings.landing is not None:
        for plant in mappings:
            if plant.input.folder:
                config = folder_config(settings, plant)
                shards[f"folder:{plant.input.folder}"] = ShardInput(partial(LandedFiles, config, clock), plant)
    for plant in mappings:
        for name in map(shard_of, plant.input.collected):
            shards[name] = ShardInput(partial(_spooled, settings, name), plant, registry=registry(plant))
    if settings.log.kind == "kafka":
        assert settings.kafka is not None
        kafka = settings.kafka.connection()
        topics = [(topic, plant) for plant in mappings for topic in plant.input.topics]
        counts = _partitions(kafka)
        total = sum(counts.get(topic, 0) for topic, _ in topics)
        for topic, plant in topics:
            if topic not in counts:
                raise SourceUnavailable(
                    f"topic {topic} of plant {plant.plant or plant.title} is not there, or this user may not see it; "
                    "create it with as many partitions as processes may ever read it"
                )
            shards |= {
                name: ShardInput(opened, plant, registry=registry(plant))
                for name, opened in _readers(kafka, topic, counts[topic], total)
            }
    return shards


def refused_shards(settings: Settings) -> dict[str, ShardInput]:
    """Return a shard for what each collector refused, of the plant that reads the collector or where its files land.

    None of it is a record of the plant, so that nothing of it can be tried out or sent again. Raises: MappingError.
    """
    mappings = settings.mappings() if settings.collect else []
    readers = {name: plant for plant in mappings for name in plant.input.collected}
    folders = {plant.input.folder: plant for plant in mappings}
    shards: dict[str, ShardInput] = {}
    for name, section in settings.collect.items():
        stream = refused_beside(shard_of(name))
        plant = folders[section.into] if isinstance(section, SftpCollector) else readers[name]
        shards[stream] = ShardInput(partial(_refused, settings, stream), plant)
    return shards


def reference_shards(settings: Settings, clock: Clock) -> dict[str, ShardInput]:
    """Return a shard for each folder and each partition of a topic of reference data, as the analytics flow reads them.

    Raises: CommitLogUnavailable, SourceUnavailable where a topic is missing.
    """
    shards = {
        name: ShardInput(partial(_self_contained, opened), stream=name)
        for name, opened in reference_folders(settings, clock).items()
    }
    if settings.log.kind == "kafka" and settings.reference is not None and settings.reference.topics:
        assert settings.kafka is not None
        kafka = settings.kafka.connection()
        counts = _partitions(kafka)
        topics = reference_topics(settings, counts)
        total = sum(counts[topic] for topic in topics.values())
        for name, topic in topics.items():
            for shard, reader in _readers(kafka, topic, counts[topic], total):
                shards[f"{name}/{shard}"] = ShardInput(reader, stream=name)
    return shards


def analytics_shards(settings: Settings) -> dict[str, ShardInput]:
    """Return a shard for each stream of the log; on Kafka, one for each partition of its topic.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    if settings.log.kind == "sqlite":
        return {
            f"stream:{stream}": ShardInput(partial(_log_stream, settings, stream), stream=stream)
            for stream in _tabulated(settings, _streams(settings))
        }
    assert settings.kafka is not None
    kafka = settings.kafka.connection()
    counts = _partitions(kafka)
    shards: dict[str, ShardInput] = {}
    prefix = kafka.topic("")
    states = kafka.state_topic(POSTINGS_FLOW)  # begins like a posting queue, and is none
    there = [topic.removeprefix(prefix) for topic in counts if topic.startswith(prefix) and topic != states]
    topics = {stream: kafka.topic(stream) for stream in _tabulated(settings, there)}
    for stream, topic in topics.items():
        if topic not in counts:  # Nothing has been written to it; reading begins before that.
            KafkaConnection(kafka).create(topic, kafka.partitions, kafka.record_topic(stream))
            counts = _partitions(kafka)
    total = sum(counts[topic] for topic in topics.values())
    for stream, topic in topics.items():
        for name, opened in _readers(kafka, topic, counts[topic], total):
            shards[name] = ShardInput(opened, stream=stream)
    return shards


def postings_shards(settings: Settings, clock: Clock, room: Room) -> dict[str, ShardInput]:
    """Return the one shard of the postings flow: the streams it reads and all reference data, merged.

    Args: room: what the flow's desk has room for.
    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable where a topic is missing.
    """
    inputs = reference_folders(settings, clock)
    if settings.log.kind == "sqlite":
        inputs |= {stream: partial(_log_stream, settings, stream) for stream in POSTINGS_INPUTS}
    else:
        assert settings.kafka is not None
        kafka = settings.kafka.connection()
        counts = _partitions(kafka)
        topics = {stream: kafka.topic(stream) for stream in POSTINGS_INPUTS}
        for stream, topic in topics.items():
            if topic not in counts:  # Nothing has been written to it; reading begins before that.
                KafkaConnection(kafka).create(topic, kafka.partitions, kafka.record_topic(stream))
                counts = _partitions(kafka)
        topics |= reference_topics(settings, counts)
        total = sum(counts[topic] for topic in topics.values())
        for name, topic in topics.items():
            inputs |= {f"{name}/{shard}": opened for shard, opened in _readers(kafka, topic, counts[topic], total)}

    def merged() -> Reader:
        return Intake({name: opened() for name, opened in inputs.items()}, room)

    return {POSTINGS_SHARD: ShardInput(merged)}


def reference_folders(settings: Settings, clock: Clock) -> dict[str, Callable[[], Reader]]:
    """Return how the folder of each system that drops reference data is read, by the name of the input."""
    reference = settings.reference
    if reference is None or reference.folder is None:
        return {}
    folders: dict[str, Callable[[], Reader]] = {}
    for system in reference.systems:
        config = FolderConfig(
            folder=reference.folder / system,
            format=DOCUMENT if system in reference.b2mml else "json",
            by_content=True,
            batch_bytes=settings.pace.batch_bytes,
            batch_rows_max=settings.pace.batch_rows_max,
            settle_us=round(settings.pace.settle_s * 1e6),
            files_remembered_max=settings.pace.files_remembered_max,
        )
        folders[f"{REFERENCE_INPUT}/{system}"] = partial(LandedFiles, config, clock)
    return folders


def reference_topics(settings: Settings, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the topics of reference data by the name of the input. Raises: SourceUnavailable where one is missing."""
    topics: dict[str, str] = {}
    for system, named in (settings.reference.topics if settings.reference is not None else {}).items():
        for topic in named:
            if topic not in counts:
                raise SourceUnavailable(
                    f"reference topic {topic} of {system} is not there, or this user may not see it; create it"
                )
            topics[f"{REFERENCE_INPUT}/{system}/{topic}"] = topic
    return topics


def folder_config(settings: Settings, plant: PlantMapping) -> FolderConfig:
    """Return how the drop folder of a plant is read."""
    assert settings.landing is not None
    pace = settings.pace
    return FolderConfig(
        folder=settings.landing / plant.input.folder,
        pattern=plant.input.pattern,
        format=plant.format,
        # Records that have a number of their own are known by it when their file is dropped again.
        by_content=plant.sequencing.mode == "arrival",
        batch_bytes=pace.batch_bytes,
        batch_rows_max=pace.batch_rows_max,
        settle_us=round(pace.settle_s * 1e6),
        files_remembered_max=pace.files_remembered_max,
    )


def _tabulated(settings: Settings, there: Iterable[str]) -> list[str]:
    """Return the streams that become tables: those of ERPs only where the settings name one, or there are such."""
    queues = {queue_of(erp) for erp in settings.erps} | {stream for stream in there if stream.startswith(POSTINGS)}
    further = [*ERP_TABLES, *sorted(queues)] if queues or settings.reference is not None else []
    return [*TABLES, *further]


def _streams(settings: Settings) -> list[str]:
    """Return the streams that an embedded log has; none where it is not there yet."""
    if not settings.log.path.exists():
        return []
    with closing(SqliteStreams(settings.log.path)) as log:
        return log.streams()


def _self_contained(opened: Callable[[], Reader]) -> Reader:
    return SelfContained(opened())


def _log_stream(settings: Settings, stream: str) -> Reader:
    return LogStream(SqliteStreams(settings.log.path), stream)


def _spooled(settings: Settings, stream: str) -> Reader:
    return LogStream(SqliteStreams(settings.spool.path), stream)


def _refused(settings: Settings, stream: str) -> Reader:
    return RefusedStream(SqliteStreams(settings.spool.path), stream)


def _partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Return the number of partitions of each topic that the cluster shows us."""
    return KafkaConnection(kafka).connect(kafka.request_timeout_ms / 1000)


def _readers(kafka: KafkaSettings, topic: str, count: int, total: int) -> Iterator[tuple[str, partial[KafkaPartition]]]:
    for number in range(count):
        yield f"{topic}-{number}", partial(KafkaPartition, kafka, topic, number, total)
