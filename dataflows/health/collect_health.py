"""How the collectors are: when each has committed last, read from the spool, without delaying it."""

from __future__ import annotations

from contextlib import closing

from dataflows.collectors.signals import counts
from dataflows.confirmations import COMMITTED_US
from dataflows.flow_names import COLLECT
from dataflows.health.shard_health import ShardHealth
from dataflows.settings import Settings
from dataflows.sources.shard_source import Clock
from dataflows.spool import shard_of
from sinks.sqlite import SqliteStreams


def collect_health(settings: Settings, clock: Clock) -> list[ShardHealth]:
    """Return the health of each collector; none of them knows how much its peer has still to say.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    shards = [shard_of(name) for name in settings.collect]
    with closing(SqliteStreams(settings.spool.path)) as spool:
        snapshots = spool.snapshots(shards)
    ages = {shard: (clock() - int(found.state[COMMITTED_US])) / 1e6 for shard, found in snapshots.items()}
    readings = {shard: counts(found.state) for shard, found in snapshots.items()}
    return [ShardHealth(COLLECT, shard, 0, ages.get(shard), totals=readings.get(shard, {})) for shard in shards]
