"""What waits at a desk, for people, doctor and metrics alike."""

from __future__ import annotations

from dataflows.health.shard_health import QueueDepth
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.entry import IN_LINE
from dataflows.processors.posting.desk import Desk


def desk_depth(desk: Desk, now_us: int) -> QueueDepth:
    """Return what waits at the desk of the postings flow; takes time that grows with the lines that wait."""
    lines = list(desk.queues)
    parked = sum(desk.queues.length(line) for line in lines if desk.causes.is_told(line))
    return QueueDepth(
        waiting=desk.queues.size - parked,
        parked=parked,
        oldest_s=age_s(now_us, min((desk.queues.head(line).arrived_us for line in lines), default=None)),
        exceptions=desk.causes.told,
    )


def delivery_depth(delivery: Delivery, now_us: int) -> QueueDepth:
    """Return what waits to be delivered to an ERP; takes time that grows with what is held."""
    entries = [entry for entry in delivery.book.entries.values() if entry.phase in IN_LINE]
    parked = delivery.book.lines.for_persons()
    return QueueDepth(
        waiting=len(entries) - parked,
        parked=parked,
        following=delivery.held - len(entries),
        oldest_s=age_s(now_us, min((entry.enqueued_us for entry in entries), default=None)),
        exceptions=delivery.exceptions,
        away_s=age_s(now_us, delivery.away_us),
    )


def age_s(now_us: int, since_us: int | None) -> float | None:
    """Return how long ago an instant was; None where there is none."""
    return None if since_us is None else max(now_us - since_us, 0) / 1e6
