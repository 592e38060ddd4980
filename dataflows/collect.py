"""The ``collect`` flow: what machines, brokers and systems say, into the spool, untouched.

The mechanism: the records of a commit interval and the collector's position are one transaction of the spool, and
only then is a peer told that we have them. What each protocol loses or repeats: docs/collect.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Event

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows.commit_sink import CommitSink
from dataflows.confirmations import writing
from dataflows.flow_names import COLLECT as NAME
from dataflows.items import Commit, Shard, Work
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.stage import stage
from sinks.commit_log import CommitLog, Record
from sinks.records import Records


class Keep:
    """Records as they are, into the shard's stream."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position is all
        self.stream = shard.name
        self.records = Records()

    def work(self, work: Work) -> Iterable[Work]:
        """Take the records; until the commit only the time flows on."""
        raw = work.raw
        for row in range(len(raw)):
            key = raw.keys[row] if raw.keys is not None else None
            headers = raw.headers[row] if raw.headers is not None else ()
            self.records.append(Record(self.stream, key, raw.value(row), headers))
        yield Work(work.now_us)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Hand over the records since the last commit."""
        commit.records = self.records
        self.records = Records()
        return {}


def collect(
    shards: Mapping[str, ShardInput],
    log: CommitLog,
    tidy: Callable[[int], None],
    pace: Pace,
    clock: Clock,
    stop: Event,
) -> Dataflow:
    """Return the flow. Args: tidy: is told the time. The others as for ``confirmations``."""
    flow = Dataflow(NAME)
    raw = op.input("protocols", flow, ShardSource(shards, log.restore, pace, clock, stop))
    kept = stage("keep", raw, Keep, clock)
    op.output("spool", kept, CommitSink(writing(log), lambda _shard, item: tidy(item.now_us), clock))
    return flow
