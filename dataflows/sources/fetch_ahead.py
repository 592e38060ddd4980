"""The next batch of a partition, taken by a thread while the last one is processed.

Law: what ``next`` returns is what calling ``take`` in its place would, in the same order. A batch is taken ahead only
where more waited than the last one held, so that nothing waits here which could have been processed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import BoundedSemaphore
from typing import Final

from canonical.records import RawRecords

AHEAD_MAX: Final = 4
"""Batches of all partitions of a process that may be ahead, which bounds their memory."""

_room: Final = BoundedSemaphore(AHEAD_MAX)


class FetchAhead:
    """Takes batches, one of them ahead when it was told to. Only its own thread and its caller's call ``take``."""

    def __init__(self, take: Callable[[], RawRecords]) -> None:
        self._take = take
        self._ahead: Future[RawRecords] | None = None

    def begin(self) -> None:
        """Begin to take the next batch, if there is room for one more."""
        if self._ahead is None and _room.acquire(blocking=False):
            self._ahead = _thread().submit(self._take)

    def next(self) -> RawRecords:
        """Return the batch that was taken ahead, or take one now."""
        if self._ahead is None:
            return self._take()
        ahead, self._ahead = self._ahead, None
        try:
            return ahead.result()
        finally:
            _room.release()

    def drop(self) -> None:
        """Wait until nothing is being taken, and forget what was."""
        if self._ahead is not None:
            self.next()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="fetch-ahead")
