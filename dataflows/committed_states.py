"""What shards have committed, seen from outside: nobody is fenced or delayed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from dataflows.flow_names import CONFIRMATIONS
from dataflows.settings import Settings
from sinks.commit_log import Snapshot
from sinks.kafka import KafkaLog
from sinks.sqlite import SqliteStreams


def committed_states(settings: Settings, shards: Iterable[str], flow: str = CONFIRMATIONS) -> dict[str, Snapshot]:
    """Return the last commit of each of these shards of a flow that has one.

    Where the log is one file, they are as of one instant, and for the confirmations flow those of all its shards.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    if settings.log.kind == "sqlite":
        with closing(SqliteStreams(settings.log.path)) as file:
            return file.snapshots() if flow == CONFIRMATIONS else file.snapshots(list(shards))
    assert settings.kafka is not None
    with closing(KafkaLog(flow, settings.kafka.connection())) as log:
        found = ((shard, log.peek(shard)) for shard in shards)
        return {shard: snapshot for shard, snapshot in found if snapshot is not None}
