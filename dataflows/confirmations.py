"""The ``confirmations`` flow: raw plant records to ERP confirmations, exactly once.

The mechanism: what a commit interval made, the state of every stage and the position of the
source are stored by the commit log in one transaction, and a restart goes on from the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import Event
from typing import Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows.commit_sink import CommitSink, Write
from dataflows.confirmation_stages import Account, Confirm, Count, Decode, Order
from dataflows.flow_names import CONFIRMATIONS as NAME
from dataflows.in_flight import Begin, at_once
from dataflows.items import Commit
from dataflows.observe import Observe
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.stage import Build, stage
from dataflows.trail.attest import Attest
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import CommitLog

COMMITTED_US: Final = "committed_us"
"""Part of the state that says when it was committed, for those who look at it from outside."""


STAGES: Final[Mapping[str, Build]] = {
    "decode": Decode,
    "sequence": Order,
    "counter": Count,
    "observe": Observe,
    "aggregate": Confirm,
    "trail": partial(Attest, flow=NAME),
    "ledger": partial(Account, flow=NAME),
}
"""What each item passes, in this order: in the engine, and in the simulation that proves the laws."""


Holds = Callable[[str, int], None]
"""Told after each commit how many events a shard holds."""


def _untold(shard: str, rows: int) -> None:
    """Tell nobody."""


def writing(log: CommitLog, holds: Holds = _untold) -> Write:
    """Return how a commit of a shard reaches the log: all of it in one transaction."""

    def write(shard: str, commit: Commit) -> None:
        state = {**commit.state, COMMITTED_US: str(commit.now_us).encode()}
        log.commit(shard, commit.position, state, commit.records)
        if "held" in commit.totals:
            holds(shard, int(commit.totals["held"].sum()))

    return write


def confirmations(
    shards: Mapping[str, ShardInput],
    log: CommitLog,
    pace: Pace,
    clock: Clock,
    stop: Event,
    begin: Begin = at_once,
    watch: Watch = UNWATCHED,
    holds: Holds = _untold,
) -> Dataflow:
    """Return the flow.

    Args:
        shards: what to read; all records of a source are in one shard.
        log: where confirmations, events, dead letters, gaps and ledger land with state and position.
        pace: when to commit.
        clock: now in UTC microseconds.
        stop: set it to end after a last commit.
        begin: whether the flow waits for a commit; who lets it work on settles what is on its way when it has ended.
        watch: told of each batch and of the totals of each commit.
        holds: told how many events each shard holds.
    """
    watched: dict[str, Build] = {
        "decode": partial(Decode, watch=watch),
        "ledger": partial(Account, flow=NAME, watch=watch),
    }
    flow = Dataflow(NAME)
    items = op.input("raw", flow, ShardSource(shards, log.restore, pace, clock, stop))
    for step_id, build in {**STAGES, **watched}.items():
        items = stage(step_id, items, build, clock)
    op.output("commit", items, CommitSink(writing(log, holds), clock=clock, begin=begin))
    return flow
