"""Commits on their way, stored by a thread while the flow works on.

Law: what is stored, and in which order, is what ``commit()`` in place of ``begin(shard, commit)`` would store. A commit
of a shard begins only after the one before it has ended, so that one of each shard is on its way at most; where that
one failed, ``begin`` or ``settle`` raises what it raised, and the flow is told to stop at once (docs/decisions/0017).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

Begin = Callable[[str, Callable[[], None]], None]
"""Has a commit of a shard stored, now or while the flow works on."""


def at_once(shard: str, commit: Callable[[], None]) -> None:  # noqa: ARG001 - one of the ways to begin
    """Store a commit before the flow works on."""
    commit()


class CommitsInFlight:
    """The commits of a process that are on their way; leaving the context waits for them.

    One thread stores them one after the other, since a commit log is no one's but its caller's.
    Args: stop: set where a commit fails, so that the flow ends.
    """

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._flying: dict[str, Future[None]] = {}

    def begin(self, shard: str, commit: Callable[[], None]) -> None:
        """Begin to store a commit, once the shard's last one is stored. Raises: what that one raised."""
        self._await(shard)
        self._flying[shard] = self._thread.submit(self._store, commit)

    def settle(self) -> None:
        """Wait until all are stored. Raises: what the first of those that failed raised."""
        for shard in list(self._flying):
            self._await(shard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self.settle()
        finally:  # What is being stored is waited for: the log is about to be closed.
            self._thread.shutdown(cancel_futures=True)

    def _await(self, shard: str) -> None:
        if flying := self._flying.pop(shard, None):
            flying.result()

    def _store(self, commit: Callable[[], None]) -> None:
        try:
            commit()
        except BaseException:
            self._stop.set()
            raise
