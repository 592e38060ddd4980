"""The end of a flow: each ``Commit`` becomes one transaction."""

from __future__ import annotations

from collections.abc import Callable

from bytewax.outputs import DynamicSink, StatelessSinkPartition

from dataflows.items import Commit, Item

Write = Callable[[str, Commit], None]


class CommitSink(DynamicSink[tuple[str, Item]]):
    """Hands each commit of each shard to ``write``, which stores all of it or raises."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[tuple[str, Item]]:
        return _Commits(self._write)


class _Commits(StatelessSinkPartition[tuple[str, Item]]):
    def __init__(self, write: Write) -> None:
        self._write = write

    def write_batch(self, items: list[tuple[str, Item]]) -> None:
        for shard, item in items:
            if isinstance(item, Commit):
                self._write(shard, item)
