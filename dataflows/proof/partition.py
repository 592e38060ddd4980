"""The simulated broker, seen by one reader: a partition whose records become readable one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final, Protocol

from canonical.records import NO_RECORDS, RawRecords
from dataflows.outage import OWN
from dataflows.proof.faults import Place
from dataflows.proof.laws import BrokenLaw, Law
from dataflows.proof.workload import ShardLog

PART: Final = f"{OWN}end"
"""The reader's part of the state: like a folder's list of files read, it belongs to the position."""


class Surroundings(Protocol):
    """What a call that leaves the process meets."""

    now_us: int

    def pass_by(self, place: Place) -> None:
        """Let happen what is planned for this time. Raises: Crash, SourceUnavailable, CommitLogError."""
        ...


class Partition:
    """Reads one shard's log from an offset; a ``Reader``.

    Args: rows_max: of one poll.
    """

    def __init__(self, name: str, log: ShardLog, around: Surroundings, rows_max: int) -> None:
        self._name, self._log, self._around, self._rows_max = name, log, around, rows_max
        around.pass_by(Place.OPEN)
        self._at = 0
        self._told = 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a position."""
        self._around.pass_by(Place.SEEK)
        if position is None:
            return
        self._at = int(position)
        self._told = int(state.get(PART, b"0"))
        if self._told < self._at:
            raise BrokenLaw(
                Law.ONCE,
                f"shard {self._name}: state as old as its position, {self._at}",
                f"the state of position {self._told}",
            )

    def poll(self) -> RawRecords:
        """Return what has become readable. Raises: SourceUnavailable."""
        self._around.pass_by(Place.POLL)
        first = self._at
        self._at = min(bisect_right(self._log.stored_us, self._around.now_us), first + self._rows_max)
        if self._at <= first:
            self._at = first
            return NO_RECORDS
        self._around.pass_by(Place.POLLED)
        return self._log.between(first, self._at)

    def position(self) -> str:
        """Return the offset of the next record."""
        self._around.pass_by(Place.POSITION)
        return str(self._at)

    def state(self) -> Mapping[str, bytes]:
        """Return how far has been read, if that has changed."""
        self._around.pass_by(Place.STATE)
        if self._told == self._at:
            return {}
        self._told = self._at
        return {PART: str(self._at).encode()}

    def at_end(self) -> bool:
        """Return whether everything has been read."""
        return self._at == len(self._log)

    def behind(self) -> int:
        """Return how many records have not been read."""
        return len(self._log) - self._at

    def close(self) -> None:
        """Let go."""
