"""The schedule of one ERP: which of its postings may be admitted, sent or asked for next (M16, M24-M26).

Laws: of a line only the first is sent, and only after a commit has admitted it; behind it at most ``order_window_max``
are admitted ahead. Lanes are served in turns by weight. What is not due yet comes when its time has come.

State: none of its own; it is built anew from the book.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from canonical.contracts.posting import Lane
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.entry import Entry, Phase
from dataflows.processors.delivery.reply import CallKind
from dataflows.processors.delivery.turns import Turns

LANES: Final = {Lane.CRITICAL.value: 16, Lane.STANDARD.value: 4, Lane.BULK.value: 1}
"""Shares of the lanes where all of them have something (M16)."""
FIND: Final = "find"
MOVEMENTS: Final = "movements"
KINDS: Final = {
    Phase.ADMITTED: CallKind.SEND,
    Phase.DOUBT: CallKind.FIND,
    Phase.MOVING: CallKind.MOVEMENTS,
    Phase.STUCK: CallKind.MOVEMENTS,
}
"""What an entry in this phase is called for."""


class Schedule:
    """The queues of one ERP's book.

    ``now_us`` is the time it has reached; ``committed`` is the number of the last commit that is durable.
    """

    def __init__(self, book: Book, order_window_max: int, now_us: int) -> None:
        self._book, self._order_window_max = book, order_window_max
        self.now_us, self.committed = now_us, 0
        self._queued: Turns[Entry] = Turns(LANES)
        self._ready: Turns[Entry] = Turns({FIND: 16, **LANES, MOVEMENTS: 1})
        self._timers: list[tuple[int, int, Entry]] = []
        self._timed = 0

    @property
    def queued(self) -> bool:
        """Return whether something may be admitted; what is stale counts."""
        return self._queued.size() > 0

    @property
    def ready(self) -> bool:
        """Return whether something may be called; what is stale counts."""
        return self._ready.size() > 0

    @property
    def sendable_count(self) -> int:
        """Return how many may be sent; what is stale counts."""
        return self._ready.size(LANES)

    def admissible(self) -> Entry | None:
        """Take the next entry to be admitted."""
        return self._queued.pick(self._is_admissible)

    def callable(self) -> Entry | None:
        """Take the next entry to make a call for, of whatever kind."""
        return self._ready.pick(self._is_callable)

    def sendable(self) -> Entry | None:
        """Take the next entry to be sent."""
        return self._ready.pick(self._is_sendable, LANES)

    def reach(self, now_us: int) -> None:
        """Let time pass; an answer may be later than the batch that is taken after it."""
        self.now_us = max(self.now_us, now_us)

    def touch(self, line: str) -> None:
        """See what may happen next in a line."""
        entries = self._book.lines.of(line)
        if not entries:
            return
        head = entries[0]
        if head.phase in (Phase.QUEUED, Phase.ADMITTED) and not head.calling and self._book.moot(head):
            self._book.withdrawn(head, self.now_us)
            self.touch(line)
            return
        if head.phase is Phase.ADMITTED and not head.calling and head.token <= self.committed:
            self._ready.push(head.posting.lane.value, head.rank, head)
        if (entry := self._next_of(line)) is not None:
            if entry.due_us > self.now_us:
                self._at(entry)
            else:
                self._queued.push(entry.posting.lane.value, entry.rank, entry)

    def placed(self, entry: Entry) -> None:
        """Note when an entry is due that is not in its line's turn: one that the ERP is to be asked about."""
        if entry.phase in (Phase.DOUBT, Phase.MOVING, Phase.STUCK) and not entry.calling:
            self._at(entry)

    def wake(self) -> None:
        """Put in the queues what is due."""
        while self._timers and self._timers[0][0] <= self.now_us:
            _, _, entry = heappop(self._timers)
            if self._book.entries.get(entry.key) is not entry or entry.calling or entry.due_us > self.now_us:
                continue
            if entry.phase is Phase.DOUBT:
                self._ready.push(FIND, entry.rank, entry)
            elif entry.phase in (Phase.MOVING, Phase.STUCK):
                self._ready.push(MOVEMENTS, entry.due_us, entry)
            else:
                self.touch(entry.line)

    def settle(self) -> None:
        """Let those go that waited for what has been settled: reversals of it."""
        while self._book.settled:
            for line in sorted(self._book.reversals.get(self._book.settled.pop(), ())):
                self.touch(line)

    def _at(self, entry: Entry) -> None:
        self._timed += 1
        heappush(self._timers, (entry.due_us, self._timed, entry))

    def _next_of(self, line: str) -> Entry | None:
        """Return the first of a line that is not admitted, if it may be now: it waits for nobody but those admitted."""
        for place, entry in enumerate(self._book.lines.of(line)):
            if place >= self._order_window_max or entry.phase not in (Phase.ADMITTED, Phase.QUEUED):
                return None
            if entry.phase is Phase.QUEUED:
                return None if self._book.original_open(entry) else entry
        return None

    def _is_admissible(self, entry: Entry) -> bool:
        alive = self._book.entries.get(entry.key) is entry and entry.phase is Phase.QUEUED
        return alive and entry.due_us <= self.now_us and self._next_of(entry.line) is entry

    def _is_callable(self, entry: Entry) -> bool:
        if entry.calling or self._book.entries.get(entry.key) is not entry or entry.due_us > self.now_us:
            return False
        return entry.phase in KINDS and (entry.phase is not Phase.ADMITTED or self._is_sendable(entry))

    def _is_sendable(self, entry: Entry) -> bool:
        if entry.calling or self._book.entries.get(entry.key) is not entry or entry.phase is not Phase.ADMITTED:
            return False
        return entry.token <= self.committed and self._book.lines.is_head(entry)
