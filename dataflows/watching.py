"""Who watches a flow that runs, as the settings say: Prometheus, lag tools, a collector of traces."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

import orjson

from dataflows.delivery.courier import ParentOf, untraced
from dataflows.flow_names import DELIVERY, FlowName
from dataflows.positions import next_offsets
from dataflows.residency import kept_from
from dataflows.settings import Settings
from dataflows.watch import UNWATCHED, Committed, OnCommit, Watch
from sinks.kafka_group import GroupOffsets
from sinks.streams import RECEIPTS


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told of what a flow does, and who of its commits; and what calls of ERPs are part of."""

    watch: Watch = UNWATCHED
    on_commit: Sequence[OnCommit] = ()
    parent_of: ParentOf = untraced


def watching(settings: Settings, flow: FlowName, number: int, opened: ExitStack) -> Watching:
    """Return who watches a flow's process of this number.

    Args: opened: ends it.
    Raises: MetricsNotServed.
    """
    watch = UNWATCHED
    on_commit: list[OnCommit] = []
    address = settings.metrics.address(flow, number)
    if address is not None:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - only where metrics are served

        from dataflows.metrics.endpoint import Endpoint  # noqa: PLC0415
        from dataflows.metrics.flow_metrics import FlowMetrics  # noqa: PLC0415

        registry = CollectorRegistry()
        watch = FlowMetrics(flow, registry)
        on_commit.append(watch.committed)
        opened.enter_context(Endpoint(flow, registry, settings.metrics, address))
    if settings.log.kind == "kafka" and settings.kafka is not None and (group := settings.kafka.group_of(flow)):
        offsets = GroupOffsets(group, settings.kafka.connection(), watch.group_told)
        opened.callback(offsets.close)
        on_commit.append(lambda done: offsets.tell(next_offsets(done.position), done.ended_us))
    collector = settings.traces.collector()
    if flow != DELIVERY or collector is None:
        return Watching(watch, on_commit)
    from dataflows.spans import parent_of, spans_of  # noqa: PLC0415 - only where traces are wanted
    from sinks.otlp_export import SpanExport  # noqa: PLC0415

    resource = {"service.name": "plantsync", "service.version": version("plantsync")}
    export = SpanExport(collector, resource, watch.spans)
    opened.callback(export.close)

    kept_out = kept_from(settings.traces.residency, settings.mappings())

    def traced(done: Committed) -> None:
        for record in done.records:
            if record.stream == RECEIPTS and (receipt := orjson.loads(record.value))["plant"] not in kept_out:
                export.put(spans_of(receipt))

    on_commit.append(traced)
    return Watching(watch, on_commit, parent_of)
