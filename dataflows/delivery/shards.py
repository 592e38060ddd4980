"""The shards of the ``delivery`` flow: one for each ERP, with its desk.

A shard is named after its ERP, ``erp:<name>``, whatever the log is: on Kafka it reads all partitions of the ERP's
topic, merged, and of the topic of actions; of a partition the records keep their order, and so do those of an order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Final

from dataflows.delivery.courier import Courier, ParentOf, untraced
from dataflows.delivery.desk import QUEUE, Desk, DeskReader, DurableCommits
from dataflows.settings import Settings
from dataflows.sources.gated import Gated
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.sources.log_stream import LogStream
from dataflows.sources.merged import Merged
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock, ShardInput
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import CommitLog, PlantsyncError
from sinks.erp.pace import Pace
from sinks.kafka_connection import KafkaConnection
from sinks.sqlite import SqliteStreams
from sinks.streams import ACTIONS, postings

PREFIX: Final = "erp:"


class ErpsMissing(PlantsyncError):
    """There is nothing to deliver to."""


def delivery_shards(settings: Settings) -> dict[str, str]:
    """Return the ERP of each shard. Raises: ErpsMissing."""
    if not settings.erps:
        raise ErpsMissing("the settings name no ERP to deliver to: add a table [erps.<name>], see docs/settings.md")
    return {f"{PREFIX}{name}": name for name in sorted(settings.erps)}


def desks(
    settings: Settings,
    erps: Mapping[str, str],
    log: CommitLog,
    clock: Clock,
    chance: Callable[[], float],
    ended: Event,
    opened: ExitStack,
    watch: Watch = UNWATCHED,
    parent_of: ParentOf = untraced,
) -> tuple[dict[str, Desk], DurableCommits]:
    """Open the ERPs of these shards; return a desk for each, and the log that tells them of its commits.

    Args: opened: closes them. ended: set when the flow is to end.
    """
    from sinks.erp.adapters import open_adapter  # noqa: PLC0415 - half of the start of every other command

    durable = DurableCommits(log)
    found: dict[str, Desk] = {}
    for shard, name in erps.items():
        section = settings.erps[name]
        # A call may take several requests, and the ERP counts each.
        pace = Pace(section.rate_per_s, section.burst, clock)
        adapter = open_adapter(section.adapter, pace)
        courier = Courier(name, adapter, section.in_flight_max, clock, watch, parent_of)
        opened.callback(courier.close)
        policy = section.policy(adapter.many_max)
        found[shard] = Desk(name, policy, courier, pace, clock, chance, durable, ended, section.end_wait_s)
    return found, durable


def shard_inputs(settings: Settings, desks: Mapping[str, Desk]) -> dict[str, ShardInput]:
    """Return how each shard is read.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    return {
        shard: ShardInput(partial(_opened, _inputs(settings, desk.erp), desk), stream=postings(desk.erp))
        for shard, desk in desks.items()
    }


def unread(settings: Settings, erp: str) -> ShardInput:
    """Return how an ERP's inputs are read by those who only look.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    inputs = _inputs(settings, erp)
    return ShardInput(lambda: _merged(inputs, lambda: 0), stream=postings(erp))


def _opened(inputs: Mapping[str, Callable[[], Reader]], desk: Desk) -> Reader:
    return DeskReader(_merged(inputs, desk.room), desk)


def _merged(inputs: Mapping[str, Callable[[], Reader]], room: Callable[[], int]) -> Merged:
    """Open the inputs; of the queue as many postings come out as there is room for."""
    return Merged(
        {name: Gated(opened(), room) if name.startswith(QUEUE) else opened() for name, opened in inputs.items()}
    )


def _inputs(settings: Settings, erp: str) -> dict[str, Callable[[], Reader]]:
    streams = {QUEUE: postings(erp), ACTIONS: ACTIONS}
    if settings.log.kind == "sqlite":
        return {name: partial(_log_stream, settings, stream) for name, stream in streams.items()}
    assert settings.kafka is not None
    kafka = settings.kafka.connection()
    counts = KafkaConnection(kafka).connect(kafka.request_timeout_ms / 1000)
    for stream in streams.values():
        topic = kafka.topic(stream)
        if topic not in counts:  # Nothing has been written to it; reading begins before that.
            KafkaConnection(kafka).create(topic, kafka.partitions, kafka.record_topic(stream))
            counts = KafkaConnection(kafka).connect(kafka.request_timeout_ms / 1000)
    total = sum(counts[kafka.topic(stream)] for stream in streams.values()) * len(settings.erps)
    return {
        f"{name}/{number}": partial(KafkaPartition, kafka, kafka.topic(stream), number, total)
        for name, stream in streams.items()
        for number in range(counts[kafka.topic(stream)])
    }


def _log_stream(settings: Settings, stream: str) -> Reader:
    return LogStream(SqliteStreams(settings.log.path), stream)
