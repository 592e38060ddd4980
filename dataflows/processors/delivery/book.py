"""The book of one ERP: its postings that are not settled, and what becomes of each (M24-M26, M30).

Laws: a posting leaves the book settled, once: accepted and all that follows done, or withdrawn. It waits for a person
only under an open exception. What changed since the last ``parts`` is in the next.

State: O(postings held + documents remembered); a part for each posting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from canonical.contracts.business_exception import BusinessException, ExceptionCode, Resolution
from canonical.contracts.command import Action
from canonical.contracts.posting import Posting, PostingKind, Receipt, ReceiptStatus
from dataflows.processors.delivery.documents import Documents
from dataflows.processors.delivery.entry import FOLLOWED, IN_LINE, PREFIX, Entry, Phase
from dataflows.processors.delivery.lines import Lines
from dataflows.processors.delivery.notices import BY_ACTION, TEXT_MAX, notice_id, of_posting
from dataflows.processors.delivery.reply import Reply, ReplyKind

NOTHING_TO_REVERSE: Final = "there is nothing to take back: the posting it reverses was withdrawn before it was sent"


class Book:
    """The entries of an ERP by posting id, and their lines.

    Each method that changes an entry writes the receipts and exceptions that follow into ``out``.
    ``in_turn``: what the ERP has accepted and not processed yet stays in its line.
    """

    def __init__(self, erp: str, documents_max: int, *, in_turn: bool) -> None:
        self.erp = erp
        self._in_line = IN_LINE | (FOLLOWED if in_turn else frozenset())
        self.entries: dict[str, Entry] = {}
        self.lines = Lines()
        self.documents = Documents(documents_max)
        self.out: list[Receipt | BusinessException] = []
        self.changed: set[str] = set()
        self.settled: list[str] = []
        """Ids of those that have a document or never will, since somebody looked."""
        self.window: set[str] = set()
        """Ids of those that may be in the ERP without our knowing."""
        self.reversals: dict[str, list[str]] = {}
        """Lines in which a posting is taken back, by its id."""
        self._notices: dict[str, str] = {}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take up what a commit stored."""
        self.documents.restore(state)
        for part, value in state.items():
            if part.startswith(PREFIX):
                entry = Entry.decode(value)
                self._enter(entry)
                if entry.phase in (Phase.ADMITTED, Phase.DOUBT):
                    self.window.add(entry.key)
                if entry.phase in self._in_line:
                    self.lines.add(entry)
                if entry.notice:
                    self._notices[self._notice_id(entry)] = entry.key

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; what is empty is gone."""
        changed, self.changed = self.changed, set()
        own = {f"{PREFIX}{key}": self.entries[key].encode() if key in self.entries else b"" for key in sorted(changed)}
        return own | self.documents.take()

    def add(self, posting: Posting, rank: int, enqueued_us: int) -> Entry | None:
        """Take a posting in; None where it is there or was settled."""
        key = str(posting.posting_id)
        if key in self.entries or self.documents.get(key) is not None:
            return None
        entry = Entry(posting, rank, enqueued_us)
        self._enter(entry)
        self.lines.add(entry)
        self.changed.add(key)
        return entry

    def by_notice(self, exception_id: str) -> Entry | None:
        """Return the entry that an open exception is about."""
        return self.entries.get(self._notices.get(exception_id, ""))

    def put(self, entry: Entry, phase: Phase, due_us: int = 0) -> None:
        """Bring an entry into a phase."""
        entry.phase, entry.due_us = phase, due_us
        self.changed.add(entry.key)
        if phase in (Phase.ADMITTED, Phase.DOUBT):
            self.window.add(entry.key)
        else:
            self.window.discard(entry.key)

    def recall(self, line: str) -> None:
        """Take back the admission of those in a line that are not under way: certainly none of them was sent."""
        for entry in self.lines.of(line):
            if entry.phase is Phase.ADMITTED and not entry.calling:
                self.put(entry, Phase.QUEUED, entry.due_us)

    def original_open(self, entry: Entry) -> bool:
        """Return whether an entry takes back a posting that is not settled itself."""
        original = self.entries.get(entry.posting.reverses) if entry.posting.kind is PostingKind.REVERSAL else None
        return original is not None and original is not entry and original.phase in IN_LINE

    def moot(self, entry: Entry) -> bool:
        """Return whether an entry takes back a posting that was never sent."""
        posting = entry.posting
        return posting.kind is PostingKind.REVERSAL and self.documents.get(posting.reverses) == ""

    def accepted(self, entry: Entry, reply: Reply, now_us: int, due_us: int, *, found: bool) -> None:
        """The ERP has made the document; it is asked at ``due_us`` for what follows, where something does."""
        self.ended(entry, now_us)
        entry.document, entry.accepted_us, entry.polls, entry.message = reply.document, now_us, 0, reply.message
        self.documents.add(entry.key, reply.document)
        self.receipt(entry, ReceiptStatus.ACCEPTED, reply, now_us, found=found)
        self.put(entry, Phase.MOVING, due_us)
        self.settled.append(entry.key)
        if not reply.follows:
            self.remove(entry)
        elif Phase.MOVING not in self._in_line:
            self.lines.remove(entry)

    def rejected(self, entry: Entry, reply: Reply, now_us: int) -> None:
        """The ERP refuses for good, or has failed too often: its order waits for a person."""
        self.receipt(entry, ReceiptStatus.REJECTED, reply, now_us)
        self.put(entry, Phase.REJECTED)
        self.recall(entry.line)
        self.opened(entry, ExceptionCode.ERP_REJECTED, f"{reply.code}: {reply.message}".strip(": "), now_us)

    def unknown(self, entry: Entry, message: str, now_us: int) -> None:
        """The ERP cannot tell whether it made the document: its order waits for a person."""
        self.put(entry, Phase.UNKNOWN)
        self.opened(entry, ExceptionCode.ERP_ANSWER_UNKNOWN, message, now_us)

    def withdrawn(self, entry: Entry, now_us: int, action: Action | None = None) -> None:
        """A person took it back, or there is nothing that it could take back; it is certainly not in the ERP."""
        self.ended(entry, now_us, action)
        self.documents.add(entry.key, "")
        words = NOTHING_TO_REVERSE if action is None else f"{action.actor}: {action.reason}"
        self.receipt(entry, ReceiptStatus.WITHDRAWN, Reply(ReplyKind.NONE, message=words[:TEXT_MAX]), now_us)
        self.settled.append(entry.key)
        self.remove(entry)

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that is settled."""
        assert not entry.notice, "an entry with an open exception waits for a person"
        del self.entries[entry.key]
        self.lines.remove(entry)
        self.window.discard(entry.key)
        self.changed.add(entry.key)
        if entry.posting.reverses:
            lines = self.reversals[entry.posting.reverses]
            lines.remove(entry.line)
            if not lines:
                del self.reversals[entry.posting.reverses]

    def opened(self, entry: Entry, code: ExceptionCode, message: str, now_us: int) -> None:
        """Open an exception, once; one for another reason ends, since it is not what is wrong now."""
        if entry.notice == code:
            return
        self.ended(entry, now_us)
        entry.notice, entry.notice_us, entry.message = code.value, now_us, message[:TEXT_MAX]
        entry.told = self.lines.waiting(entry)
        self._notices[self._notice_id(entry)] = entry.key
        self.out.append(of_posting(self.erp, entry, entry.told, now_us))
        self.changed.add(entry.key)

    def ended(self, entry: Entry, now_us: int, action: Action | None = None) -> None:
        """End its exception, if it has one, by what a person decided or by itself."""
        if not entry.notice:
            return
        how = Resolution.REVALIDATED if action is None else BY_ACTION[action.kind.value]
        self.out.append(of_posting(self.erp, entry, self.lines.waiting(entry), now_us, how, action))
        self._notices.pop(self._notice_id(entry), None)
        entry.notice, entry.notice_us, entry.told = "", 0, 0
        self.changed.add(entry.key)

    def tell_waiting(self, now_us: int) -> None:
        """Write the exceptions anew for which more or fewer wait than they say."""
        for key in self._notices.values():
            entry = self.entries[key]
            waiting = self.lines.waiting(entry)
            if waiting != entry.told:
                entry.told = waiting
                self.out.append(of_posting(self.erp, entry, waiting, now_us))
                self.changed.add(key)

    def receipt(self, entry: Entry, status: ReceiptStatus, reply: Reply, now_us: int, *, found: bool = False) -> None:
        """Write what became of a posting."""
        posting = entry.posting
        self.out.append(
            Receipt(
                posting_id=posting.posting_id,
                status=status,
                kind=posting.kind,
                erp=self.erp,
                lane=posting.lane,
                plant=posting.plant,
                order=posting.order,
                document=reply.document or entry.document,
                reverses=(self.documents.get(posting.reverses) or "") if posting.reverses else "",
                code=reply.code,
                message=reply.message,
                attempts=entry.attempts,
                found=found,
                occurred_us=posting.end_us,
                enqueued_us=entry.enqueued_us,
                first_sent_us=entry.first_sent_us,
                sent_us=entry.sent_us,
                committed_us=reply.committed_us,
                answered_us=now_us,
                correlation_id=posting.correlation_id,
            )
        )

    def _enter(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        if entry.posting.reverses:
            self.reversals.setdefault(entry.posting.reverses, []).append(entry.line)

    def _notice_id(self, entry: Entry) -> str:
        return str(notice_id(ExceptionCode(entry.notice), self.erp, entry.key))
