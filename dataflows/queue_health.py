"""How far postings and delivery have come, from their last commits: what waits, for whom, and since when."""

from __future__ import annotations

from datetime import UTC, datetime

from dataflows.committed_states import committed_states
from dataflows.confirmations import COMMITTED_US
from dataflows.delivery_shards import delivery_shards, unread
from dataflows.flow_names import DELIVERY, POSTINGS
from dataflows.intake import Room
from dataflows.posting_policy import posting_policy
from dataflows.postings import SHARD
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.entry import IN_LINE
from dataflows.processors.posting.desk import Desk
from dataflows.settings import Settings
from dataflows.shard_health import QueueDepth, ShardHealth, behind
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
    lines = list(desk.queues)
    parked = sum(desk.queues.length(line) for line in lines if desk.causes.is_told(line))
    depth = QueueDepth(
        waiting=desk.queues.size - parked,
        parked=parked,
        oldest_s=_age_s(now_us, min((desk.queues.head(line).arrived_us for line in lines), default=None)),
        exceptions=desk.causes.told,
    )
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
    entries = [entry for entry in delivery.book.entries.values() if entry.phase in IN_LINE]
    parked = delivery.book.lines.for_persons()
    away_us = delivery.away_us
    depth = QueueDepth(
        waiting=len(entries) - parked,
        parked=parked,
        following=delivery.held - len(entries),
        oldest_s=_age_s(now_us, min((entry.enqueued_us for entry in entries), default=None)),
        exceptions=delivery.exceptions,
        away_s=_age_s(now_us, away_us),
    )
    if away_us is not None:
        since = datetime.fromtimestamp(away_us // 1_000_000, UTC).isoformat()
        away = f"left alone since {since}, {len(entries)} postings wait; plantsync exceptions list --erp {erp} says why"
        problem = "; ".join(filter(None, [problem, away]))
    return ShardHealth(DELIVERY, shard, unread_rows, _committed_s(snapshot, now_us), queue=depth, problem=problem)


def _age_s(now_us: int, since_us: int | None) -> float | None:
    return None if since_us is None else max(now_us - since_us, 0) / 1e6


def _committed_s(snapshot: Snapshot, now_us: int) -> float | None:
    return _age_s(now_us, int(snapshot.state[COMMITTED_US])) if COMMITTED_US in snapshot.state else None
