"""Messages that are accepted now and processed later, as Dynamics' message processor does, and Oracle's interfaces.

Law: messages of one order are processed in the order of their acceptance, each until it is Processed
or, after ``attempts_max`` failures, Failed; only then comes the next. Orders do not wait for each other.
Source: learn.microsoft.com, "Integrate with third-party manufacturing execution systems".
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import Document, Message, MessageState
from dataflows.erp_simulator.refusal import Refused

ATTEMPTS_MAX: Final = 3


class MessageQueue:
    """The messages of one ERP that are not done."""

    def __init__(
        self,
        book: Book,
        process: Callable[[Message, int], list[Document]],
        *,
        delay_us: int,
        retry_us: int,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> None:
        """Take up what ``book`` has queued; ``process`` books a message whole or raises ``Refused``."""
        self._book, self._process = book, process
        self._delay_us, self._retry_us, self._attempts_max = delay_us, retry_us, attempts_max
        self._waiting: defaultdict[str, deque[int]] = defaultdict(deque)
        self._heads: list[tuple[int, int]] = []
        for message in sorted(book.messages.values(), key=lambda m: m.number):
            if message.state is MessageState.QUEUED:
                self._queue(message)

    def accept(
        self, company: str, kind: str, order: str, content: str, now_us: int, failing: int, *, at_once: bool = False
    ) -> Message:
        """Queue a message; its first ``failing`` attempts will fail. One ``at_once`` is due already."""
        number = len(self._book.messages) + 1
        due_us = now_us if at_once else now_us + self._delay_us
        message = Message(number, company, kind, order, content, now_us, due_us, failing_attempts=failing)
        self._book.record("message", message)
        self._queue(message)
        return message

    def again(self, number: int, now_us: int) -> Message:
        """Queue a failed message once more, behind those of its order that wait; what it met is over."""
        failed = self._book.messages[number]
        message = replace(failed, state=MessageState.QUEUED, attempts=0, failing_attempts=0, due_us=now_us)
        self._book.record("message", message)
        self._queue(message)
        return message

    def remove(self, failed: Message) -> None:
        """Forget a failed message, which is not processed any more."""
        self._book.record("message", replace(failed, state=MessageState.REMOVED))

    def wake(self, now_us: int) -> None:
        """Process what is due, each message at its own instant."""
        while self._heads and self._heads[0][0] <= now_us:
            due_us, number = heapq.heappop(self._heads)
            message = self._attempt(self._book.messages[number], due_us)
            if message.state is MessageState.QUEUED:
                heapq.heappush(self._heads, (message.due_us, number))
                continue
            waiting = self._waiting[message.order]
            waiting.popleft()
            if waiting:
                heapq.heappush(self._heads, (max(due_us, self._book.messages[waiting[0]].due_us), waiting[0]))
            else:
                del self._waiting[message.order]

    def _queue(self, message: Message) -> None:
        waiting = self._waiting[message.order]
        waiting.append(message.number)
        if len(waiting) == 1:
            heapq.heappush(self._heads, (message.due_us, message.number))

    def _attempt(self, message: Message, at_us: int) -> Message:
        attempts = message.attempts + 1
        try:
            with self._book.unit():
                _deadlock(failing=attempts <= message.failing_attempts)
                documents = self._process(message, at_us)
                done = replace(
                    message,
                    state=MessageState.PROCESSED,
                    attempts=attempts,
                    error="",
                    documents=tuple(document.number for document in documents),
                )
                self._book.record("message", done)
        except (Refused, _Deadlock) as error:
            failed = attempts >= self._attempts_max
            done = replace(
                message,
                state=MessageState.FAILED if failed else MessageState.QUEUED,
                attempts=attempts,
                error=str(error),
                code=error.words.oracle if isinstance(error, Refused) else "",
                due_us=at_us + self._retry_us,
            )
            self._book.record("message", done)
        return done


class _Deadlock(Exception):
    """The database gave up this attempt."""


def _deadlock(*, failing: bool) -> None:
    if failing:
        raise _Deadlock("Cannot edit a record in Production orders: deadlock, where one or more users locked it")
