"""A stage: how a processor becomes a step of a dataflow.

Law: for each shard a stage sees ``Restored``, then ``Work`` and ``Commit`` in the order of the
source, and hands on what its processor makes of them in the same order.

A stage is a plain operator that keeps one processor per shard, not a keyed stateful one: a shard
stays on the worker that reads it, so nothing is exchanged or pickled between workers, and the
state goes into the commit log together with the results (docs/decisions/0001, 0002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import bytewax.operators as op
from bytewax.operators import KeyedStream

from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.sources.shard_source import Clock, timeless


class Processor(Protocol):
    """One shard's part of a stage."""

    def work(self, work: Work) -> Iterable[Work]:
        """Process a batch, or let time pass."""
        ...

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Return the state as of now, and add to the commit what is only known now."""
        ...


Build = Callable[[Shard, Mapping[str, bytes]], Processor]
Keyed = tuple[str, Item]
"""The name of a shard, and an item of it."""


class Stage:
    """Applies a processor to the items of each shard, one worker's shards together.

    Args:
        build: makes a shard's processor from its state, empty at first.
        clock: tells how long a commit takes.
    """

    def __init__(self, build: Build, clock: Clock = timeless) -> None:
        self._build, self._clock = build, clock
        self._processors: dict[str, Processor] = {}
        self._committed: dict[str, Mapping[str, bytes]] = {}

    def __call__(self, keyed: Keyed) -> Iterator[Keyed]:
        """Yield what becomes of an item of a shard."""
        shard, item = keyed
        match item:
            case Restored():
                state = self._committed.get(shard, {}) if item.state is None else item.state
                self._processors[shard] = self._build(item.shard, state)
                yield keyed
            case Work():
                for work in self._processors[shard].work(item):
                    yield shard, work
            case Commit():
                began_us = self._clock()
                state = self._processors[shard].commit(item)
                self._committed[shard] = state
                item.state.update(state)
                item.encoding_us += self._clock() - began_us
                yield keyed


def stage(step_id: str, up: KeyedStream[Item], build: Build, clock: Clock = timeless) -> KeyedStream[Item]:
    """Add a stage to the flow."""
    return op.flat_map(step_id, up, Stage(build, clock))
