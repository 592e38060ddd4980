"""Where a process was when it died: a page of memory that it shares with whoever kills it.

The process notes what it is about to do, a store to memory and nothing else, so the page is right
about the very instant of SIGKILL. ``watched`` makes a log or store note it, without changing what it does.
"""

from __future__ import annotations

import mmap
import time
from contextlib import contextmanager
from enum import IntEnum


class Place(IntEnum):
    STARTING = 0
    RESTORING = 1
    BEFORE_FIRST_COMMIT = 2
    IN_COMMIT = 3  # records and state are being handed over
    COMMITTING = 4  # the call that decides is running: COMMIT, or commit_transaction
    AFTER_COMMIT = 5
    PUBLISHING = 6  # the store's snapshot is being copied or renamed


IN_COMMIT = frozenset({Place.IN_COMMIT, Place.COMMITTING})

_PLACE, _COMMITS, _STARTED_NS, _FIRST_NS, _BEGAN_NS, _COMMIT_NS, _CELLS = range(7)


class Page:
    """The page; the watched process writes it, the other reads it."""

    def __init__(self):
        self._cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._cells[_STARTED_NS] = time.monotonic_ns()

    @property
    def place(self):
        return Place(self._cells[_PLACE])

    @place.setter
    def place(self, place):
        self._cells[_PLACE] = place

    @property
    def commits(self):
        """Commits that have returned."""
        return self._cells[_COMMITS]

    @property
    def age_s(self):
        return (time.monotonic_ns() - self._cells[_STARTED_NS]) / 1e9

    @property
    def first_commit_s(self):
        """Seconds from the start to the end of the first commit; None before it."""
        first_ns = self._cells[_FIRST_NS]
        return (first_ns - self._cells[_STARTED_NS]) / 1e9 if first_ns else None

    @property
    def commit_s(self):
        """Duration of the latest commit that returned, 0 before the first."""
        return self._cells[_COMMIT_NS] / 1e9

    def seen(self, commits):
        """Note how many commits were seen from outside, where the process itself notes nothing."""
        if commits:
            self._cells[_FIRST_NS] = self._cells[_FIRST_NS] or time.monotonic_ns()
            self.place = Place.AFTER_COMMIT
        self._cells[_COMMITS] = commits

    @contextmanager
    def at(self, place):
        self.place, before = place, self.place
        yield
        self.place = before

    @contextmanager
    def committing(self):
        self._cells[_BEGAN_NS] = time.monotonic_ns()
        self.place = Place.IN_COMMIT
        yield
        now_ns = time.monotonic_ns()
        self._cells[_COMMIT_NS] = now_ns - self._cells[_BEGAN_NS]
        self._cells[_FIRST_NS] = self._cells[_FIRST_NS] or now_ns
        self._cells[_COMMITS] += 1
        self.place = Place.AFTER_COMMIT


def watched(kind, page):
    """Return the class of a log or store, so made that its instances note on the page where they are."""

    class Watched(kind):
        def restore(self, shard):
            with page.at(Place.RESTORING):
                snapshot = super().restore(shard)
            page.place = Place.BEFORE_FIRST_COMMIT
            return snapshot

        def commit(self, *args):
            with page.committing():
                return super().commit(*args)

        def take_over(self, shards):  # Kafka
            with page.at(Place.RESTORING):
                super().take_over(shards)

        def _send(self, *args):  # Kafka: what follows is commit_transaction
            chunks = super()._send(*args)
            page.place = Place.COMMITTING
            return chunks

        @contextmanager
        def _transaction(self, operation):  # SQLite and DuckDB: what follows the block is COMMIT
            with super()._transaction(operation):
                yield
                if operation.startswith("commit"):
                    page.place = Place.COMMITTING

        def publish(self):
            with page.at(Place.PUBLISHING):
                super().publish()

    return Watched
