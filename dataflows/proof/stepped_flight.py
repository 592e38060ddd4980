"""Commits on their way, each stored when the schedule says so, and before its shard's next one at the latest.

What ``dataflows.in_flight`` leaves to a thread happens here between two steps of the process: the thread can have been
before such a step or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dataflows.proof.faults import Place

if TYPE_CHECKING:
    from dataflows.proof.partition import Surroundings


class SteppedFlight:
    """One process's commits on their way; ``flying`` are their shards."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._commits: dict[str, Callable[[], None]] = {}

    @property
    def flying(self) -> list[str]:
        """Shards that have a commit on its way."""
        return list(self._commits)

    def begin(self, shard: str, commit: Callable[[], None]) -> None:
        """Send a commit on its way, once the shard's last one is stored."""
        self.land(shard)
        self._commits[shard] = commit
        self._around.pass_by(Place.BEGUN)

    def land(self, shard: str) -> None:
        """Store what is on its way."""
        if commit := self._commits.pop(shard, None):
            commit()

    def settle(self) -> None:
        """Store all that is on its way."""
        for shard in self.flying:
            self.land(shard)
