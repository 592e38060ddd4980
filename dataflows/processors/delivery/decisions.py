"""What people decide about postings and their exceptions, and what that changes (M12, M29)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from canonical.contracts.business_exception import ExceptionCode
from canonical.contracts.command import Action, ActionKind
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.entry import Entry, Phase
from dataflows.processors.delivery.notices import notice_id

KNOWN: Final = 256
"""Actions remembered, so that one that comes twice is one."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The entry a decision changed, if it did; ``probe`` says that the ERP is to be tried at once."""

    entry: Entry | None = None
    probe: bool = False


class Decisions:
    """Takes actions into a book; what concerns no posting or exception of it changes nothing."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.known: deque[str] = deque(maxlen=KNOWN)

    def decide(self, action: Action, now_us: int) -> Decided:
        """Do what a person decided."""
        key = str(action.action_id)
        if key in self.known:
            return Decided()
        if action.exception_id == str(notice_id(ExceptionCode.ERP_UNAVAILABLE, self._book.erp)):
            self.known.append(key)
            return Decided(probe=action.kind in (ActionKind.REPROCESS, ActionKind.RELEASE))
        entry = self._book.by_notice(action.exception_id) or self._book.entries.get(action.posting_id)
        if entry is None:
            return Decided()
        self.known.append(key)
        match action.kind:
            case ActionKind.RELEASE | ActionKind.REPROCESS:
                self._go_on(entry, action, now_us)
            case ActionKind.DISCARD:
                self._discard(entry, action, now_us)
            case ActionKind.REVERSE:
                # One that has a document is taken back by a posting of its own, which the flow postings makes.
                if entry.phase not in (Phase.MOVING, Phase.STUCK):
                    self._discard(entry, action, now_us)
        return Decided(entry)

    def _go_on(self, entry: Entry, action: Action, now_us: int) -> None:
        book = self._book
        if not entry.notice:
            return
        book.ended(entry, now_us, action)
        entry.strikes = entry.polls = entry.locked_us = 0
        ask = action.kind is ActionKind.REPROCESS
        match entry.phase:
            case Phase.REJECTED | Phase.QUEUED:
                book.put(entry, Phase.QUEUED, now_us)
            case Phase.UNKNOWN:  # Who releases it has seen that the ERP has not made the document.
                book.put(entry, Phase.DOUBT if ask else Phase.QUEUED, now_us)
            case Phase.MOVING | Phase.STUCK if ask:
                entry.accepted_us = now_us
                book.put(entry, Phase.MOVING, now_us)
            case Phase.MOVING | Phase.STUCK if entry.calling:
                entry.wish = action  # until the answer, which may tell more
            case Phase.MOVING | Phase.STUCK:
                book.remove(entry)
            case _:
                pass

    def _discard(self, entry: Entry, action: Action, now_us: int) -> None:
        book = self._book
        if entry.calling or entry.phase is Phase.DOUBT:
            entry.wish = action  # until it is known that it is not in the ERP
            book.changed.add(entry.key)
        elif entry.phase in (Phase.MOVING, Phase.STUCK):
            book.ended(entry, now_us, action)
            book.remove(entry)
        else:
            book.withdrawn(entry, now_us, action)
