"""The courier of one ERP: threads that make the calls, so that the flow never waits for an answer.

Laws: each call that is handed out is answered once, whatever the adapter does: a defect of it is that posting's alone,
and is in doubt. A call that a thread gets to only after the lease is over is not made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from typing import Final

from canonical.contracts.posting import Posting
from dataflows.processors.delivery.reply import Call, CallKind, Reply, ReplyKind
from dataflows.sources.shard_source import Clock
from dataflows.watch import UNWATCHED, Watch
from sinks.erp.connection import TRACEPARENT
from sinks.erp.port import CODE_CHARACTERS_MAX, Answer, ErpAdapter

LOGGER: Final = logging.getLogger(__name__)
NOTHING: Final = Reply(ReplyKind.NONE)
TOO_LATE: Final = Reply(ReplyKind.UNAVAILABLE, code="PLANTSYNC/lease", message="not sent: the lease was over")


ParentOf = Callable[[Posting], str]
"""Says what a call for a posting is part of, for the ERP; empty where nobody traces it."""


def untraced(posting: Posting) -> str:  # noqa: ARG001 - one of the ways to say it
    """Say that nobody traces it."""
    return ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call, a reply for each of its postings, and when the last of them came."""

    call: Call
    replies: Sequence[Reply]
    at_us: int


class Courier:
    """Makes the calls of one ERP, at most ``threads`` at a time.

    The threads are the process's only as long as it lives: one that waits for an ERP does not keep it from ending.
    """

    def __init__(
        self,
        erp: str,
        adapter: ErpAdapter,
        threads: int,
        clock: Clock,
        watch: Watch = UNWATCHED,
        parent_of: ParentOf = untraced,
    ) -> None:
        self._erp, self._adapter, self._clock, self._watch = erp, adapter, clock, watch
        self._parent_of = parent_of
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._answers: SimpleQueue[Answered] = SimpleQueue()
        self._open = 0
        self._changed = Condition()
        self._threads = [Thread(target=self._work, name=f"erp-{erp}-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def hand_out(self, call: Call) -> None:
        """Have a call made."""
        with self._changed:
            self._open += 1
        self._calls.put(call)

    def collect(self) -> list[Answered]:
        """Return what has been answered since the last call."""
        found: list[Answered] = []
        while True:
            try:
                found.append(self._answers.get_nowait())
            except Empty:
                return found

    def drain(self, wait_s: float) -> bool:
        """Wait until every call is answered, so long at most; return whether all are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, wait_s)

    def close(self) -> None:
        """Let the threads end, and the adapter, once nobody uses it; calls under way are left to themselves."""
        for _ in self._threads:
            self._calls.put(None)
        if self.drain(0):
            for thread in self._threads:
                thread.join()
            self._adapter.close()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            began_us = self._clock()
            try:
                replies = self._replies(call)
            except Exception:
                LOGGER.exception("the adapter failed at %s of posting %s", call.kind, call.postings[0].posting_id)
                words = "the adapter has a defect, see the log"
                replies = [Reply(ReplyKind.IN_DOUBT, code="PLANTSYNC/defect", message=words)] * len(call.postings)
            at_us = self._clock()
            self._watch.answered(self._erp, call, replies, at_us - began_us)
            self._answers.put(Answered(call, replies, at_us))
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def _replies(self, call: Call) -> list[Reply]:
        if self._clock() >= call.until_us:
            return [TOO_LATE] * len(call.postings)
        adapter, first = self._adapter, call.postings[0]
        # Several postings are of several traces.
        TRACEPARENT.set(self._parent_of(first) if len(call.postings) == 1 else "")
        match call.kind:
            case CallKind.SEND if len(call.postings) > 1:
                answers: list[Answer | None] = [*adapter.send_many(call.postings)]
            case CallKind.SEND:
                answers = [adapter.send(first)]
            case CallKind.FIND:
                answers = [adapter.find(first)]
            case CallKind.MOVEMENTS:
                answers = [adapter.movements(first, call.documents[0])]
        assert len(answers) == len(call.postings), f"{len(call.postings)} sent, {len(answers)} answered"
        return [NOTHING if answer is None else reply_of(answer) for answer in answers]


def reply_of(answer: Answer) -> Reply:
    """Return what an adapter said in the words of the state machine."""
    return Reply(
        ReplyKind(answer.outcome.value),
        document=answer.document[:CODE_CHARACTERS_MAX],  # What an ERP sends has any length.
        committed_us=answer.committed_us,
        code=answer.code,
        message=answer.message,
        retry_after_us=round((answer.retry_after_s or 0) * 1e6),
        follows=answer.follows,
    )
