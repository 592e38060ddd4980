"""The shards of the flow ``collect``, one for each collector, and the spool that they commit to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial

import orjson

from dataflows.collectors.collector import Collector
from dataflows.collectors.opened import opened
from dataflows.collectors.own_thread import OwnThread
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.committed_states import committed_states
from dataflows.settings import Settings
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock, ShardInput
from dataflows.spool import Roomy, Spool, refused_beside, shard_of
from sinks.sqlite import SqliteLog, SqliteStreams


def collect_shards(
    settings: Settings,
    clock: Clock,
    collectors: dict[str, Collector],
    room: Callable[[str], int],
    refusals: Mapping[str, Refusals],
) -> dict[str, ShardInput]:
    """Return a shard for each collector.

    Args:
        settings: what is configured.
        clock: now in UTC microseconds.
        collectors: takes each as it is opened, by shard.
        room: returns how many records of a shard may still come.
        refusals: by shard; each takes what its collector refuses.
    """

    def opening(name: str, shard: str) -> Reader:
        section = settings.collect[name]
        collector = OwnThread(opened(section, name, clock, refusals[shard], settings.landing))
        collectors[shard] = collector
        return Roomy(collector, partial(room, shard))

    # What is left out of signals is counted, acknowledged and remembered by a commit, records or not.
    return {
        (shard := shard_of(name)): ShardInput(partial(opening, name, shard), moving=bool(getattr(each, "signals", ())))
        for name, each in settings.collect.items()
    }


def open_spool(settings: Settings, collectors: Mapping[str, Collector]) -> Spool:
    """Return the spool, created when it is missing. Raises: CommitLogUnavailable, CommitLogError.

    Args: collectors: by shard, as they are opened; each is told what is durable.
    """
    section = settings.spool
    make_spool(settings)

    landed = {shard_of(name): sys.maxsize for name, each in settings.collect.items() if isinstance(each, SftpCollector)}
    """Nobody reads the entries of files that landed: they are there to be looked at."""

    def read() -> dict[str, int]:
        if settings.log.kind == "sqlite" and not settings.log.path.exists():
            return landed
        shards = [shard_of(name) for name in settings.collect]
        streams = [*shards, *map(refused_beside, shards)]
        found = committed_states(settings, streams)
        return {name: orjson.loads(found[name].position)["offset"] for name in streams if name in found} | landed

    return Spool(
        SqliteLog(section.path),
        SqliteStreams(section.path),
        collectors,
        read,
        room_max=section.unread_max + section.keep,
        keep=section.keep,
    )


def make_spool(settings: Settings) -> None:
    """Create the file where there are collectors and it is missing: who reads it may start before who writes it."""
    if settings.collect:
        settings.spool.path.parent.mkdir(parents=True, exist_ok=True)
        SqliteLog(settings.spool.path).close()
