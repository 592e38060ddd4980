"""The metrics of one flow's process: what it is told while it runs, in the terms of Prometheus (M36).

Law: nothing here is done once for each event, and a batch is looked into only now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import prometheus_client

from canonical.columns import EventBatch
from canonical.records import RawRecords
from dataflows.flow_names import FlowName
from dataflows.health.queue_depth import delivery_depth, desk_depth
from dataflows.health.shard_health import QueueDepth
from dataflows.intake import Room
from dataflows.items import Commit, Shard
from dataflows.lag import Lag
from dataflows.metrics.commits import CommitFigures
from dataflows.metrics.declared import Declared
from dataflows.metrics.hops import INGESTED, Hops
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.reply import Call, Reply
from dataflows.processors.posting.desk import Desk
from dataflows.watch import Committed, Watch
from sinks.erp.pace import Pace

FOLDER: Final = "folder:"
"""Shards whose names begin so read files, of which bytes are counted."""
SAMPLE_US: Final = 250_000
"""How often a batch of a shard is looked into."""
LOOK_US: Final = 1_000_000
"""How often a desk is looked at, where little waits."""
LOOKED_US: Final = 100
"""How much later the next look is, for each posting that waits: it takes a hundredth of that."""


class FlowMetrics(Watch):
    """Watches one flow and keeps its metrics in a registry."""

    def __init__(self, flow: FlowName, registry: prometheus_client.CollectorRegistry) -> None:
        self.declared = Declared(registry)
        self.declared.build_info.labels(flow, version("plantsync")).set(1)
        self.declared.restarts.labels(flow)
        self._flow = flow
        self._commits = CommitFigures(flow, self.declared)
        self._hops = Hops(flow, self.declared)
        self._lags: dict[str, Lag] = {}
        self._done: Counter[str] = Counter()
        self._due_us: dict[str, int] = {}
        self._sampled_us: dict[str, int] = {}
        self._read: dict[str, prometheus_client.Counter] = {}
        self._requests: Counter[tuple[str, prometheus_client.Counter]] = Counter()

    def polled(self, shard: str, raw: RawRecords) -> None:
        """Count what was read."""
        series = self._read.get(shard)
        if series is None:
            series = self._read[shard] = self.declared.records_read.labels(self._flow, shard)
        series.inc(len(raw))
        self._done[shard] += int(raw.ends[-1] - raw.starts[0]) if shard.startswith(FOLDER) else len(raw)

    def behind(self, shard: str, unread: int, now_us: int) -> None:
        """Note the lag."""
        unit = self.declared.lag_bytes if shard.startswith(FOLDER) else self.declared.lag_records
        unit.labels(self._flow, shard).set(unread)
        lag_us = self._lags.setdefault(shard, Lag()).told(self._done[shard], unread, now_us)
        self.declared.lag.labels(self._flow, shard).set(lag_us / 1e6)
        self.declared.source_away.labels(self._flow, shard)  # 0 where it never was

    def source(self, shard: str, *, away: bool) -> None:
        """Note that a source is away, or back."""
        self.declared.source_away.labels(self._flow, shard).set(away)
        if away:
            self.declared.source_failures.labels(self._flow, shard).inc()

    def restarting(self) -> None:
        """Count a run that an error ended."""
        self.declared.restarts.labels(self._flow).inc()
        self._commits.forget()

    def decoded(self, shard: Shard, events: EventBatch, now_us: int) -> None:
        """Observe how old some events of a batch are, now and then."""
        if events.n and now_us >= self._sampled_us.get(shard.name, 0):
            self._sampled_us[shard.name] = now_us + SAMPLE_US
            self._hops.sampled(shard.mapping.plant or "", INGESTED, events["occurred_us"], now_us)

    def counted(self, shard: Shard, commit: Commit) -> None:
        """Keep a commit's totals until it is durable."""
        self._commits.counted(shard, commit)

    def committed(self, done: Committed) -> None:
        """Take a durable commit in."""
        self._commits.committed(done)

    def posting(self, shard: str, desk: Desk, room: Room, now_us: int) -> None:
        """Note what waits at the desk, now and then."""
        if now_us < self._due_us.get(shard, 0):
            return
        self._depth(shard, desk_depth(desk, now_us), now_us)
        self.declared.back_pressure.labels(self._flow, shard).set(room.resting > 0)

    def delivering(self, shard: str, delivery: Delivery, room: int, pace: Pace, now_us: int) -> None:
        """Note what waits for an ERP and how it is treated, now and then."""
        to, erp = self.declared, delivery.erp
        for counter, so_many in ((to.erp_requests, pace.left), (to.erp_held_back, pace.held_back)):
            before = self._requests[erp, counter]
            # A run that begins anew counts from 0.
            counter.labels(erp).inc(so_many - before if so_many >= before else so_many)
            self._requests[erp, counter] = so_many
        if now_us < self._due_us.get(shard, 0):
            return
        depth = delivery_depth(delivery, now_us)
        self._depth(shard, depth, now_us)
        to.back_pressure.labels(self._flow, shard).set(room <= 0)
        to.erp_away.labels(erp).set(depth.away_s is not None)
        to.erp_in_flight.labels(erp).set(delivery.in_flight)
        to.erp_rate.labels(erp).set(pace.per_s)

    def answered(self, erp: str, call: Call, replies: Sequence[Reply], took_us: int) -> None:
        """Count the answers to a call, and how long they took."""
        for kind, count in Counter(reply.kind for reply in replies).items():
            self.declared.erp_calls.labels(erp, call.kind.value, kind.value).inc(count)
        self.declared.erp_call_duration.labels(erp, call.kind.value).observe(max(took_us, 0) / 1e6)

    def group_told(self, succeeded: bool) -> None:  # noqa: FBT001 - it is all there is to tell
        """Count a telling of the consumer group."""
        self.declared.group_offsets.labels(self._flow, "told" if succeeded else "failed").inc()

    def spans(self, fate: str, count: int) -> None:
        """Count spans by what became of them."""
        self.declared.spans.labels(fate).inc(count)

    def _depth(self, shard: str, depth: QueueDepth, now_us: int) -> None:
        states = {"waiting": depth.waiting, "parked": depth.parked, "following": depth.following}
        self._due_us[shard] = now_us + LOOK_US + LOOKED_US * sum(states.values())
        for state, count in states.items():
            self.declared.queue.labels(self._flow, shard, state).set(count)
        self.declared.queue_oldest.labels(self._flow, shard).set(depth.oldest_s or 0)
        self.declared.exceptions.labels(self._flow, shard).set(depth.exceptions)
