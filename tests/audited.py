"""Audits of logs that a test made, read as ``plantsync audit --log`` reads them."""

from __future__ import annotations

from functools import partial

from dataflows.analytics import TABLES
from dataflows.audit import Reading
from dataflows.sources.log_stream import LogStream
from dataflows.sources.shard_source import ShardInput
from sinks.audit.check import Audit, Scope, audit
from sinks.audit.ground import opened
from sinks.commit_log import Streams

EVERYTHING = Scope()


def shards(streams: Streams) -> dict[str, ShardInput]:
    return {stream: ShardInput(partial(LogStream, streams, stream), stream=stream) for stream in TABLES}


def audited(streams: Streams, scope: Scope = EVERYTHING, findings_max: int = 1000) -> Audit:
    """Audit a log by what its records say, not by how they are numbered."""
    with opened(None) as ground:
        with Reading(shards(streams), ground, numbered=False) as log:
            log.rest({})
        return audit(ground, scope, findings_max=findings_max)
