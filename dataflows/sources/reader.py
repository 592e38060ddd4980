"""The port of a source: one shard's records, read in order from a position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from canonical.records import RawRecords


class Reader(Protocol):
    """Reads one shard.

    Law: reading on from ``position`` after ``seek(position)`` yields the records that follow
    those already polled when the position was taken, with the same offsets.
    """

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position; None starts at the beginning."""
        ...

    def poll(self) -> RawRecords:
        """Return the next records, none when there are none now. Raises: SourceUnavailable."""
        ...

    def position(self) -> str:
        """Return where the next poll goes on."""
        ...

    def state(self) -> Mapping[str, bytes]:
        """Return what the position needs beyond itself; only parts that changed since the last call."""
        ...

    def at_end(self) -> bool:
        """Return whether everything that is there now has been polled."""
        ...

    def behind(self) -> int:
        """Return how much is there that has not been polled: records, or bytes of files. Raises: SourceUnavailable."""
        ...

    def close(self) -> None:
        """Release what the reader holds."""
        ...
