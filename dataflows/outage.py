"""Outages: how long to wait before trying again, and a reader that waits one out by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import PlantsyncError

LOGGER: Final = logging.getLogger(__name__)
WAIT_MAX_S: Final = 30.0
"""Where the settings (``pace.outage_wait_max_s``) say nothing else."""
OWN: Final = "source."
"""Parts of a shard's state that are its reader's begin so."""

Chance = Callable[[], float]
"""A number from 0 to 1, which spreads the waits of those that failed together."""


def wait_after(failures: int, chance: float, wait_max_s: float = WAIT_MAX_S) -> float:
    """Return the seconds to wait after this many failures in a row: doubling, capped, half of it by chance."""
    return float(min(2.0 ** min(failures - 1, 20), wait_max_s)) * (0.5 + 0.5 * chance)


class PatientReader:
    """A reader that outlives outages of its source, so that other shards of the flow go on. A ``Reader``.

    Law: it yields what one reader would that never failed. After an error that may pass it lets go of
    its reader, yields nothing for a while, and then opens another where the last successful poll ended.
    """

    def __init__(
        self,
        shard: str,
        opened: Callable[[], Reader],
        clock: Clock,
        chance: Chance,
        wait_max_s: float = WAIT_MAX_S,
        watch: Watch = UNWATCHED,
    ) -> None:
        self._shard, self._open, self._clock, self._chance, self._watch = shard, opened, clock, chance, watch
        self._wait_max_s = wait_max_s
        self._reader: Reader | None = opened()
        self._position: str | None = None  # after the last successful poll, once there was a poll
        self._state: dict[str, bytes] = {}  # the reader's parts, as far as they have been handed out
        self._unsaved: dict[str, bytes] = {}  # of a reader that was let go
        self._failures = 0
        self._due_us = 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position. Raises: as the reader does; the first opening is not waited for."""
        assert self._reader is not None
        self._reader.seek(position, state)
        self._state = {part: value for part, value in state.items() if part.startswith(OWN)}

    def poll(self) -> RawRecords:
        """Return the next records; none while the source is away. Raises: what will not pass by itself."""
        if self._reader is None and self._clock() < self._due_us:
            return NO_RECORDS
        try:
            reader = self._again()
            self._position = reader.position()  # A poll that fails may have gone on half-way.
            records = reader.poll()
        except PlantsyncError as error:
            if not error.retryable:
                raise
            self._let_go(error)
            return NO_RECORDS
        if self._failures:
            LOGGER.info("shard %s: its source is back", self._shard)
            self._watch.source(self._shard, away=False)
            self._failures = 0
        return records

    def position(self) -> str:
        """Return where the next successful poll goes on."""
        if self._reader is not None:
            return self._reader.position()
        assert self._position is not None
        return self._position

    def state(self) -> Mapping[str, bytes]:
        """Return the parts of the reader's state that changed since the last call."""
        parts = self._unsaved | (dict(self._reader.state()) if self._reader is not None else {})
        self._unsaved = {}
        self._state |= parts
        return parts

    def at_end(self) -> bool:
        """Return whether everything has been polled; not known, so no, while the source is away."""
        return self._reader is not None and self._reader.at_end()

    def behind(self) -> int:
        """Return how much is there that has not been polled; 0 while the source is away or does not say."""
        try:
            return self._reader.behind() if self._reader is not None else 0
        except PlantsyncError as error:
            if not error.retryable:
                raise
            return 0  # Only a number to look at: the next poll finds out whether the source is away.

    def close(self) -> None:
        """Release what the reader holds."""
        if self._reader is not None:
            self._reader.close()

    def _again(self) -> Reader:
        if self._reader is None:
            reader = self._open()
            try:
                reader.seek(self._position, self._state | self._unsaved)
            except PlantsyncError:
                reader.close()
                raise
            self._reader = reader
        return self._reader

    def _let_go(self, error: PlantsyncError) -> None:
        if self._reader is not None:
            self._unsaved |= self._reader.state()
            self._reader.close()
            self._reader = None
        self._failures += 1
        self._watch.source(self._shard, away=True)
        wait_s = wait_after(self._failures, self._chance(), self._wait_max_s)
        self._due_us = self._clock() + round(wait_s * 1e6)
        LOGGER.warning("shard %s: %s Trying again in %.1f s; other shards go on.", self._shard, error, wait_s)
