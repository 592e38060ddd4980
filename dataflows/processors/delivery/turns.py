"""Turns: several queues served by weight, none of them starving (M16).

Law: while a queue has something, it is served at least once in every ``sum(weights) / its weight`` turns, rounded up,
plus one for each other queue; within a queue the smallest rank comes first.

Source: stride scheduling, Waldspurger and Weihl, 1995.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_LAP: Final = 1 << 20
"""Divided by a queue's weight it is what one turn costs the queue."""


class Turns(Generic[T]):
    """Queues by name.

    What is pushed may have become stale, or may be there twice: ``pick`` drops what is not ``valid`` any more.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._cost = {name: _LAP // weight for name, weight in weights.items()}
        self._queues: dict[str, list[tuple[int, int, T]]] = {name: [] for name in weights}
        self._spent = dict.fromkeys(weights, 0)
        self._now = 0
        self._pushed = 0

    def push(self, name: str, rank: int, item: T) -> None:
        """Put something in a queue; one that was empty has saved up no turns."""
        queue = self._queues[name]
        if not queue:
            self._spent[name] = max(self._spent[name], self._now)
        self._pushed += 1
        heappush(queue, (rank, self._pushed, item))

    def pick(self, valid: Callable[[T], bool], among: Collection[str] = ()) -> T | None:
        """Take the next item, of these queues or of any; None where there is none."""
        names = [name for name in self._queues if not among or name in among]
        for name in sorted(names, key=self._spent.__getitem__):  # the first of the weights where they are equal
            queue = self._queues[name]
            while queue:
                _, _, item = heappop(queue)
                if valid(item):
                    self._now = max(self._now, self._spent[name])
                    self._spent[name] += self._cost[name]
                    return item
        return None

    def size(self, among: Collection[str] = ()) -> int:
        """Return how much is in these queues, or in all; stale items count."""
        return sum(len(queue) for name, queue in self._queues.items() if not among or name in among)
