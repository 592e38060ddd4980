"""What the answer of an ERP makes of a posting (M26, M27)."""

from __future__ import annotations

from collections.abc import Callable

from canonical.contracts.business_exception import ExceptionCode
from canonical.contracts.posting import ReceiptStatus
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.entry import Entry, Phase
from dataflows.processors.delivery.policy import DeliveryPolicy, backoff_us
from dataflows.processors.delivery.reply import Call, CallKind, Reply, ReplyKind


class Answers:
    """Takes answers into a book."""

    def __init__(self, book: Book, policy: DeliveryPolicy, chance: Callable[[], float]) -> None:
        self._book, self._policy, self._chance = book, policy, chance

    def take(self, call: Call, entry: Entry, reply: Reply, now_us: int, *, counts: bool) -> None:
        """Bring the entry where the answer leads.

        Args: counts: a failure is the posting's; where the ERP is known to be away it is not.
        """
        failed = reply.kind in (ReplyKind.UNAVAILABLE, ReplyKind.IN_DOUBT)
        entry.strikes += failed and counts
        match call.kind:
            case CallKind.SEND:
                self._sent(entry, reply, now_us)
            case CallKind.FIND:
                self._asked(call, entry, reply, now_us)
            case CallKind.MOVEMENTS:
                self._followed(entry, reply, now_us)

    def _sent(self, entry: Entry, reply: Reply, now_us: int) -> None:
        match reply.kind:
            case ReplyKind.ACCEPTED:
                self._accepted(entry, reply, now_us, found=False)
            case ReplyKind.REJECTED:
                self._rejected(entry, reply, now_us)
            case ReplyKind.LOCKED:
                self._locked(entry, reply, now_us)
            case ReplyKind.THROTTLED | ReplyKind.UNAVAILABLE | ReplyKind.UNAUTHORISED:
                self._again(entry, reply, now_us)
            case _:  # in doubt, and what no adapter says to this: it may have been executed
                self._book.recall(entry.line)
                self._book.put(entry, Phase.DOUBT, now_us)

    def _asked(self, call: Call, entry: Entry, reply: Reply, now_us: int) -> None:
        # Before that the call that was lost may still be at work in the ERP, and neither it nor a person knows.
        known_us = entry.maybe_us + self._policy.settle_us
        early = call.began_us < known_us
        match reply.kind:
            case ReplyKind.ACCEPTED:
                self._accepted(entry, reply, now_us, found=True)
            case ReplyKind.REJECTED:
                self._rejected(entry, reply, now_us)
            case ReplyKind.NONE | ReplyKind.CANNOT_TELL if early:
                self._book.put(entry, Phase.DOUBT, max(known_us, now_us))
            case ReplyKind.NONE:
                self._again(entry, reply, now_us)
            case ReplyKind.CANNOT_TELL:
                self._book.unknown(entry, f"an answer was lost, and the ERP cannot tell: {reply.message}", now_us)
            case _ if entry.strikes >= self._policy.attempts_max and not early:
                words = f"an answer was lost, and asking failed: {reply.code} {reply.message}"
                self._book.unknown(entry, words, now_us)
            case _:
                self._book.put(entry, Phase.DOUBT, now_us + self._wait_us(max(entry.strikes, 1)))

    def _followed(self, entry: Entry, reply: Reply, now_us: int) -> None:
        entry.polls += 1
        policy, book = self._policy, self._book
        wait_us = backoff_us(entry.polls, policy.movement_us, policy.movement_max_us, self._chance())
        match reply.kind:
            case ReplyKind.ACCEPTED:
                book.receipt(entry, ReceiptStatus.MOVED, reply, now_us)
                book.ended(entry, now_us)
                book.remove(entry)
            case _ if entry.wish is not None:
                book.ended(entry, now_us, entry.wish)
                book.remove(entry)
            case ReplyKind.CANNOT_TELL:
                book.ended(entry, now_us)
                book.remove(entry)
            case ReplyKind.REJECTED:
                if entry.phase is Phase.MOVING:
                    book.receipt(entry, ReceiptStatus.MOVEMENT_FAILED, reply, now_us)
                    book.ended(entry, now_us)
                    words = f"the document is there, its goods did not move: {reply.code} {reply.message}"
                    book.opened(entry, ExceptionCode.MOVEMENT_FAILED, words, now_us)
                book.put(entry, Phase.STUCK, now_us + wait_us)
            case _:
                if entry.phase is Phase.MOVING and now_us - entry.accepted_us >= policy.movement_timeout_us:
                    words = "the document is there, and whether its goods moved is not known yet"
                    book.opened(entry, ExceptionCode.MOVEMENT_FAILED, words, now_us)
                book.put(entry, entry.phase, now_us + wait_us)

    def _accepted(self, entry: Entry, reply: Reply, now_us: int, *, found: bool) -> None:
        first_us = backoff_us(1, self._policy.movement_us, self._policy.movement_max_us, self._chance())
        self._book.accepted(entry, reply, now_us, now_us + first_us, found=found)

    def _rejected(self, entry: Entry, reply: Reply, now_us: int) -> None:
        if entry.wish is None:
            self._book.rejected(entry, reply, now_us)
        else:
            self._book.withdrawn(entry, now_us, entry.wish)

    def _locked(self, entry: Entry, reply: Reply, now_us: int) -> None:
        entry.locked_us = entry.locked_us or now_us
        entry.polls += 1
        if self._queued_again(entry, self._wait_us(entry.polls), now_us) and (
            now_us - entry.locked_us >= self._policy.locked_after_us
        ):
            words = f"the order is locked in the ERP: {reply.code} {reply.message}"
            self._book.opened(entry, ExceptionCode.ERP_ORDER_LOCKED, words, now_us)

    def _again(self, entry: Entry, reply: Reply, now_us: int) -> None:
        """Certainly not executed: once more after a wait, or, too often, a person must decide."""
        entry.locked_us = entry.polls = 0
        self._book.ended(entry, now_us)
        if entry.strikes >= self._policy.attempts_max and entry.wish is None:
            words = f"given up after {entry.strikes} failures in a row, the last: {reply.message or reply.kind.value}"
            self._book.rejected(entry, Reply(ReplyKind.REJECTED, code=reply.code, message=words[:1024]), now_us)
        else:
            self._queued_again(entry, self._wait_us(max(entry.strikes, 1)), now_us)

    def _queued_again(self, entry: Entry, wait_us: int, now_us: int) -> bool:
        if entry.wish is not None:
            self._book.withdrawn(entry, now_us, entry.wish)
            return False
        self._book.put(entry, Phase.QUEUED, now_us + wait_us)
        self._book.recall(entry.line)
        return True

    def _wait_us(self, failures: int) -> int:
        return backoff_us(failures, self._policy.backoff_us, self._policy.backoff_max_us, self._chance())
