"""The end of a flow: each ``Commit`` becomes one transaction, and its shard is told what such a one costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bytewax.outputs import DynamicSink, StatelessSinkPartition

from dataflows.in_flight import Begin, at_once
from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.sources.shard_source import Clock, timeless
from sinks.records import weighed
from sinks.streams import LEDGER

Write = Callable[[str, Commit], None]
Tick = Callable[[str, Work | Commit], None]


def _nothing(shard: str, item: Work | Commit) -> None:
    """Let time pass."""


class CommitSink(DynamicSink[tuple[str, Item]]):
    """Hands each commit of each shard to ``write``, which stores all of it or raises.

    ``tick`` is told every ``Work`` of a shard that gets here, and every ``Commit`` once it is begun;
    ``clock`` tells how long a commit takes; ``begin`` says whether the flow waits for it.
    """

    def __init__(self, write: Write, tick: Tick = _nothing, clock: Clock = timeless, begin: Begin = at_once) -> None:
        self._write, self._tick, self._clock, self._begin = write, tick, clock, begin

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[tuple[str, Item]]:
        return _Commits(self._write, self._tick, self._clock, self._begin)


class _Commits(StatelessSinkPartition[tuple[str, Item]]):
    def __init__(self, write: Write, tick: Tick, clock: Clock, begin: Begin) -> None:
        self._write, self._tick, self._clock, self._begin = write, tick, clock, begin
        self._shards: dict[str, Shard] = {}

    def write_batch(self, items: list[tuple[str, Item]]) -> None:
        for shard, item in items:
            match item:
                case Restored():
                    self._shards[shard] = item.shard
                case Work():
                    self._tick(shard, item)
                case Commit():
                    self._begin(shard, partial(self._store, shard, item))
                    self._tick(shard, item)

    def _store(self, shard: str, commit: Commit) -> None:
        began_us = self._clock()
        self._write(shard, commit)
        writing_us = self._clock() - began_us
        self._shards[shard].commit_cost_us = commit.encoding_us + round(writing_us * _kept(commit))


def _kept(commit: Commit) -> float:
    """Return how much of what a commit writes is there to be written however short its interval.

    That are the state and the lines of the ledger, one for each session; results only come as they come.
    """
    kept = sum(map(len, commit.state.values()))
    results: int = sum(table.nbytes for table in commit.tables.values())
    for stream, (_, size) in weighed(commit.records).items():
        if stream == LEDGER:
            kept += size
        else:
            results += size
    return kept / max(kept + results, 1)
