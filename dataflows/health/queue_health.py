"""How far postings and delivery have come, from their last commits: what waits, for whom, and since when."""

from __future__ import annotations

from datetime import UTC, datetime

from dataflows.committed_states import committed_states
from dataflows.confirmations import COMMITTED_US
from dataflows.delivery.shards import delivery_shards, unread
from dataflows.flow_names import DELIVERY, POSTINGS
from dataflows.health.queue_depth import age_s, delivery_depth, desk_depth
from dataflows.health.shard_health import ShardHealth, behind
from dataflows.intake import Room
from dataflows.posting_policy import posting_policy
from dataflows.postings import SHARD
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.posting.desk import Desk
from dataflows.settings import Settings
from dataflows.shards import postings_shards
from dataflows.sources.shard_source import Clock
from sinks.commit_log import Snapshot


def postings_health(settings: Settings, clock: Clock) -> tuple[ShardHealth, Desk | None]:
    """Return the health of the postings flow, and its desk as of the last commit; None where it has never run.

    Raises: PlantsyncError where the log or the broker cannot be reached; StateVersionUnknown.
    """
    now_us = clock()
    source = postings_shards(settings, clock, Room(settings.postings.waiting_max))[SHARD]
    snapshot = committed_states(settings, [SHARD], POSTINGS).get(SHARD)
    if snapshot is None:
        unread_rows, problem = behind(source, None, {})
        return ShardHealth(POSTINGS, SHARD, unread_rows, problem=problem), None
    unread_rows, problem = behind(source, snapshot.position, snapshot.state)
    desk = Desk.decode(posting_policy(settings), snapshot.state, now_us)
    desk.wake(now_us)  # Why each line waits is known when it has been examined.
    depth = desk_depth(desk, now_us)
    return ShardHealth(POSTINGS, SHARD, unread_rows, _committed_s(snapshot, now_us), queue=depth, problem=problem), desk


def delivery_health(settings: Settings, clock: Clock) -> list[ShardHealth]:
    """Return the health of the shard of each ERP, by name.

    Raises: PlantsyncError where the log or the broker cannot be reached; ValueError where a newer release wrote it.
    """
    if not settings.erps:
        return []
    shards = delivery_shards(settings)
    snapshots = committed_states(settings, shards, DELIVERY)
    return [_delivering(settings, shard, erp, snapshots.get(shard), clock()) for shard, erp in shards.items()]


def _delivering(settings: Settings, shard: str, erp: str, snapshot: Snapshot | None, now_us: int) -> ShardHealth:
    source = unread(settings, erp)
    if snapshot is None:
        unread_rows, problem = behind(source, None, {})
        return ShardHealth(DELIVERY, shard, unread_rows, problem=problem)
    unread_rows, problem = behind(source, snapshot.position, snapshot.state)
    # With the same code that runs it; nothing is called, and so chance has no say.
    delivery = Delivery(erp, settings.erps[erp].policy(1), lambda: 0.5, snapshot.state, now_us)
    depth, away_us = delivery_depth(delivery, now_us), delivery.away_us
    if away_us is not None:
        since = datetime.fromtimestamp(away_us // 1_000_000, UTC).isoformat()
        waiting = depth.waiting + depth.parked
        away = f"left alone since {since}, {waiting} postings wait; plantsync exceptions list --erp {erp} says why"
        problem = "; ".join(filter(None, [problem, away]))
    return ShardHealth(DELIVERY, shard, unread_rows, _committed_s(snapshot, now_us), queue=depth, problem=problem)


def _committed_s(snapshot: Snapshot, now_us: int) -> float | None:
    return age_s(now_us, int(snapshot.state[COMMITTED_US])) if COMMITTED_US in snapshot.state else None
