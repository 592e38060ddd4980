"""The spool: what was collected, on a local disk, until the confirmations flow has read it (M41).

It is a commit log of its own, so that a collector's records and its position are one transaction, and so that what
the plants say is kept while everything behind it is away. Law: nothing is removed that has not been read; what has
been read stays for the last ``keep`` records, and where ``unread_max`` wait, nothing more is taken from the plant.
What collectors refuse lies beside, in streams of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.collector import Collector
from sinks.commit_log import PlantsyncError, Record, Snapshot
from sinks.sqlite import SqliteLog, SqliteStreams

LOGGER: Final = logging.getLogger(__name__)
TIDY_US: Final = 10_000_000
"""How often it is found out what has been read."""
REFUSED_UNREAD_MAX: Final = 100_000
"""Entries of what a collector refused that wait to be read; of more the oldest are forgotten."""


def shard_of(name: str) -> str:
    """Return the name of a collector's shard, and of its stream in the spool."""
    return f"collected:{name}"


def refused_beside(shard: str) -> str:
    """Return the name of the stream, and of the shard that reads it, of what the collector of a shard refused."""
    return f"refused:{shard.partition(':')[2]}"


class Spool:
    """Takes what collectors commit; a ``CommitLog``.

    Args:
        log: the file. streams: the same, to read.
        collectors: by shard, those that have been opened; each is told what is durable.
        read: returns how far each stream has been read, by shard.
        room_max: records of a stream that may lie there; keep: of these, those that were read.
    """

    def __init__(
        self,
        log: SqliteLog,
        streams: SqliteStreams,
        collectors: Mapping[str, Collector],
        read: Callable[[], Mapping[str, int]],
        *,
        room_max: int,
        keep: int,
    ) -> None:
        self._log, self._streams, self._collectors, self._read = log, streams, collectors, read
        self._room_max, self._keep = room_max, keep
        self._stored: dict[str, int] = {}
        self._tidied_us: int | None = None

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit."""
        snapshot = self._log.restore(shard)
        self._stored[shard] = self._streams.count(shard)
        return snapshot

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """Store all of it or nothing, then let the collector answer its peer."""
        self._log.commit(shard, position, state, records)
        self._stored[shard] += len(records)  # with the few that are refused, until it is tidied
        self._collectors[shard].committed(position)

    def room(self, shard: str) -> int:
        """Return how many records of a collector may still come."""
        return self._room_max - self._stored.get(shard, 0)

    def tidy(self, now_us: int) -> None:
        """Remove what has been read and is not to be kept, when it is time."""
        if self._tidied_us is not None and now_us - self._tidied_us < TIDY_US:
            return
        self._tidied_us = now_us
        try:
            read = self._read()
        except PlantsyncError as error:
            LOGGER.info("the spool is not tidied: how far it has been read cannot be found out: %s", error)
            return
        for shard in self._stored:
            refused = refused_beside(shard)
            end = self._streams.end(refused)
            self._log.forget(shard, min(read.get(shard, 0), self._streams.end(shard) - self._keep))
            self._log.forget(refused, max(min(read.get(refused, 0), end - self._keep), end - REFUSED_UNREAD_MAX))
            self._stored[shard] = self._streams.count(shard)

    def close(self) -> None:
        """Close the file."""
        self._log.close()
        self._streams.close()


class Roomy:
    """A collector that is not read while the spool has no room for it: its peer waits, or keeps what it has."""

    def __init__(self, collector: Collector, room: Callable[[], int]) -> None:
        self._collector, self._room = collector, room
        self.seek, self.position, self.state = collector.seek, collector.position, collector.state
        self.at_end, self.behind, self.close = collector.at_end, collector.behind, collector.close

    def poll(self) -> RawRecords:
        """Return the next records; none where there is no room."""
        return self._collector.poll() if self._room() > 0 else NO_RECORDS
