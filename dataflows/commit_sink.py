"""The end of a flow: each ``Commit`` becomes one transaction."""

from __future__ import annotations

from collections.abc import Callable

from bytewax.outputs import DynamicSink, StatelessSinkPartition

from dataflows.items import Commit, Item, Work

Write = Callable[[str, Commit], None]
Tick = Callable[[int], None]


def _nothing(now_us: int) -> None:
    """Let time pass."""


class CommitSink(DynamicSink[tuple[str, Item]]):
    """Hands each commit of each shard to ``write``, which stores all of it or raises.

    ``tick`` is told the time (UTC microseconds) of every ``Work`` that gets here, commit or not.
    """

    def __init__(self, write: Write, tick: Tick = _nothing) -> None:
        self._write = write
        self._tick = tick

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[tuple[str, Item]]:
        return _Commits(self._write, self._tick)


class _Commits(StatelessSinkPartition[tuple[str, Item]]):
    def __init__(self, write: Write, tick: Tick) -> None:
        self._write, self._tick = write, tick

    def write_batch(self, items: list[tuple[str, Item]]) -> None:
        for shard, item in items:
            if isinstance(item, Commit):
                self._write(shard, item)
                self._tick(item.now_us)
            elif isinstance(item, Work):
                self._tick(item.now_us)
