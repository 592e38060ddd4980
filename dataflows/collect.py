"""The ``collect`` flow: what machines, brokers and systems say, into the spool, untouched.

The mechanism: the records of a commit interval and the collector's position are one transaction of the spool, and
only then is a peer told that we have them. What each protocol loses or repeats: docs/collect.md. What a collector
refuses goes into a stream beside them, with the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Event

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows.collectors.refusals import Refusals
from dataflows.commit_sink import CommitSink
from dataflows.confirmations import writing
from dataflows.flow_names import COLLECT as NAME
from dataflows.items import Commit, Shard, Work
from dataflows.refused_stream import refused_record
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.spool import refused_beside
from dataflows.stage import stage
from sinks.commit_log import CommitLog, Record
from sinks.records import Records


class Keep:
    """Records as they are, into the shard's stream, and what was refused into the one beside it.

    Args: refusals: by shard.
    """

    def __init__(
        self,
        shard: Shard,
        state: Mapping[str, bytes],  # noqa: ARG002 - the position is all
        refusals: Mapping[str, Refusals],
    ) -> None:
        self.shard, self.stream = shard, shard.name
        self.refusals, self.refused = refusals[shard.name], refused_beside(shard.name)
        self.records = Records()

    def work(self, work: Work) -> Iterable[Work]:
        """Take the records and the refusals that are due; until the commit only the time flows on."""
        raw = work.raw
        for row in range(len(raw)):
            key = raw.keys[row] if raw.keys is not None else None
            headers = raw.headers[row] if raw.headers is not None else ()
            self.records.append(Record(self.stream, key, raw.value(row), headers))
        self.records.extend(refused_record(self.refused, each) for each in self.refusals.due(work.now_us))
        self.shard.pending = bool(self.records)
        yield Work(work.now_us)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Hand over the records since the last commit."""
        commit.records = self.records
        self.records = Records()
        self.shard.pending = False
        return {}


def collect(
    shards: Mapping[str, ShardInput],
    refusals: Mapping[str, Refusals],
    log: CommitLog,
    tidy: Callable[[int], None],
    pace: Pace,
    clock: Clock,
    stop: Event,
) -> Dataflow:
    """Return the flow. Args: refusals: by shard. tidy: is told the time. The others as for ``confirmations``."""
    flow = Dataflow(NAME)
    raw = op.input("protocols", flow, ShardSource(shards, log.restore, pace, clock, stop))
    kept = stage("keep", raw, partial(Keep, refusals=refusals), clock)
    op.output("spool", kept, CommitSink(writing(log), lambda _shard, item: tidy(item.now_us), clock))
    return flow
