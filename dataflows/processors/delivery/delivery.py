"""Delivery to one ERP: which call is to be made next, and what its answer changes.

Laws, whatever the ERP answers, is silent about, or a crash cuts off:
- *Once.* A posting becomes at most one document: it is sent only after a commit has admitted it, and what may have been
  sent is asked for in the ERP before it is sent again, not before the ERP can have executed it any more.
- *Order.* Of each order, n+1 is sent after n has been accepted or withdrawn, and where postings are to be processed
  ``in_turn``, after n has been processed; orders do not wait for each other.
- *Rate.* In any span of T seconds at most ``burst + rate * T`` calls begin, restarts included.
- *Conservation.* Every posting read is accepted, withdrawn, waiting for a person under an open exception, or pending.

A commit lends the process ``lease_us`` in which it may begin calls; one that takes over waits until that is over.
Time and chance are arguments, and nothing is called here: ``calls`` says what is to be called.

Source: M24-M27, M30, M42; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from canonical.contracts.business_exception import BusinessException, ExceptionCode
from canonical.contracts.command import Action
from canonical.contracts.posting import Posting, Receipt
from dataflows.processors.delivery.access import FAILED, Access, Change
from dataflows.processors.delivery.answers import Answers
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.decisions import Decisions
from dataflows.processors.delivery.entry import FOR_A_PERSON, WAITING, Entry, Phase
from dataflows.processors.delivery.erp_notices import ErpNotices
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.processors.delivery.reply import Call, CallKind, Reply
from dataflows.processors.delivery.schedule import KINDS, Schedule

STATE: Final = "delivery"
VERSION: Final = 1


class Delivery:
    """The state machine of one ERP.

    Args: state: what the last commit stored, empty at first. now_us: the time only goes on, whatever it is told.
    """

    def __init__(
        self, erp: str, policy: DeliveryPolicy, chance: Callable[[], float], state: Mapping[str, bytes], now_us: int
    ) -> None:
        self.erp, self.policy = erp, policy
        self.book = Book(erp, policy.documents_max, in_turn=policy.in_turn)
        self.decisions = Decisions(self.book)
        self.answers = Answers(self.book, policy, chance)
        self._access = Access(policy, chance, now_us)
        self._schedule = Schedule(self.book, policy.order_window_max, now_us)
        self._rank = 0
        self._leases: dict[int, int] = {}
        self._token = 0
        self._admitted: dict[int, list[str]] = {}
        self._closed = False
        self._notices = ErpNotices(self.book)
        if STATE in state:
            self._restore(state)

    # What comes in

    def enqueue(self, posting: Posting, enqueued_us: int, now_us: int) -> None:
        """Take a posting from the queue; one that is known changes nothing."""
        self._schedule.reach(now_us)
        self._rank += 1
        entry = self.book.add(posting, self._rank, enqueued_us)
        if entry is not None:
            self._schedule.touch(entry.line)

    def decide(self, action: Action, now_us: int) -> None:
        """Do what a person decided, where it concerns this ERP; the same twice is once."""
        self._schedule.reach(now_us)
        done = self.decisions.decide(action, now_us)
        if done.probe:
            self._access.breaker.due_us = now_us
        if done.entry is not None:
            self._schedule.placed(done.entry)
            self._schedule.touch(done.entry.line)
        self._schedule.settle()

    def replied(self, call: Call, replies: Sequence[Reply], now_us: int) -> None:
        """Take the answer to a call that was handed out: one reply for each of its postings, in their order."""
        self._schedule.reach(now_us)
        was_away = self._away
        match self._access.answered(call, replies, self._now_us):
            case Change.AWAY:
                self._left(next(reply for reply in replies if reply.kind in FAILED))
            case Change.BACK:
                self._notices.end(ExceptionCode.ERP_UNAVAILABLE, self._now_us)
            case Change.NOTHING:
                pass
        for posting, reply in zip(call.postings, replies, strict=True):
            entry = self.book.entries[str(posting.posting_id)]
            entry.calling = False
            self.answers.take(call, entry, reply, now_us, counts=not was_away)
            self._schedule.placed(entry)
            self._schedule.touch(entry.line)
        self._schedule.settle()

    # What goes out

    def calls(self, now_us: int) -> list[Call]:
        """Return the calls to be made now, each of which takes a token and a place in flight until its answer."""
        self._schedule.reach(now_us)
        self._schedule.wake()
        made: list[Call] = []
        while not self._closed and self._access.lets(self._now_us) and (entry := self._schedule.callable()) is not None:
            made.append(self._call(entry))
        return made

    def take(self) -> list[Receipt | BusinessException]:
        """Return the receipts and exceptions since the last call, in order."""
        out, self.book.out = self.book.out, []
        return out

    def commit(self, now_us: int) -> tuple[int, dict[str, bytes]]:
        """Admit what is next; return the parts of the state that changed, and the number to confirm the commit by."""
        self._schedule.reach(now_us)
        self._schedule.wake()
        self._token += 1
        if not self._closed:
            self._admit()
        self._tell_bound()
        self.book.tell_waiting(now_us)
        going = not self._closed and any(entry.phase not in FOR_A_PERSON for entry in self.book.entries.values())
        until_us = max(now_us + self.policy.lease_us if going else 0, self._access.hold_us)
        self._leases[self._token] = until_us
        own = {
            "version": VERSION,
            "rank": self._rank,
            "until_us": until_us,
            "notices": self._notices.encode(),
            "actions": list(self.decisions.known),
        }
        return self._token, {**self.book.parts(), STATE: orjson.dumps(own)}

    def committed(self, token: int) -> None:
        """A commit is durable, and so are those before it: what it admitted may be sent."""
        self._schedule.committed = token
        for number in [number for number in self._leases if number <= token]:
            self._access.lease_us = self._leases.pop(number)
            for key in self._admitted.pop(number, ()):
                if (entry := self.book.entries.get(key)) is not None:
                    self._schedule.touch(entry.line)

    def close(self, now_us: int) -> None:
        """Make no more calls; what is under way is in doubt, what was only admitted was not sent. Then commit."""
        self._schedule.reach(now_us)
        self._closed = True
        for entry in self.book.entries.values():
            if entry.phase is Phase.ADMITTED:
                if entry.calling:
                    self.book.put(entry, Phase.DOUBT, now_us)
                else:
                    self.book.put(entry, Phase.QUEUED, entry.due_us)

    # What others may know

    @property
    def held(self) -> int:
        """Return how many postings are not settled."""
        return len(self.book.entries)

    @property
    def in_flight(self) -> int:
        """Return how many calls are under way."""
        return self._access.in_flight

    @property
    def away_us(self) -> int | None:
        """Return since when the ERP has been left alone; None while it is not."""
        return self._notices.opened_us(ExceptionCode.ERP_UNAVAILABLE)

    @property
    def exceptions(self) -> int:
        """Return how many exceptions are open."""
        return len(self._notices) + sum(bool(entry.notice) for entry in self.book.entries.values())

    @property
    def pending(self) -> bool:
        """Return whether a commit is worth while: something changed, or calls wait for its lease."""
        changed = bool(self.book.changed or self.book.out or self._leases_wait())
        return changed or self.urgent

    @property
    def urgent(self) -> bool:
        """Return whether a posting waits for nothing but its admission."""
        return self._schedule.queued and self._room() > 0 and not self._closed

    @property
    def idle(self) -> bool:
        """Return whether nothing goes on by itself: all is settled, waits for a person, or the ERP is away."""
        if self.in_flight:
            return False
        lines = [line[0] for line in self.book.lines]
        waits = all(head.phase in WAITING or self.book.original_open(head) for head in lines)
        follows = any(entry.phase is Phase.MOVING for entry in self.book.entries.values())
        return self._access.breaker.tried or (waits and not follows)

    # How

    def _restore(self, state: Mapping[str, bytes]) -> None:
        own = orjson.loads(state[STATE])
        if own["version"] != VERSION:
            raise ValueError("a newer plantsync wrote the state of this delivery; upgrade plantsync")
        self._rank = own["rank"]
        self._access.hold(own["until_us"], self._now_us)
        self.decisions.known.extend(own["actions"])
        self._notices.restore(own["notices"])
        if self.away_us is not None:
            self._access.breaker.opened_us = self._now_us
        self.book.restore(state)
        for entry in self.book.entries.values():
            if entry.phase is Phase.ADMITTED:
                entry.maybe_us = own["until_us"]
                self.book.put(entry, Phase.DOUBT, self._access.hold_us)
            self._schedule.placed(entry)
        for line in list(self.book.lines):
            self._schedule.touch(line[0].line)
        self._schedule.settle()

    def _leases_wait(self) -> bool:
        return self._schedule.ready and self._now_us >= self._access.lease_us and not self._closed

    @property
    def _away(self) -> bool:
        return self._access.breaker.is_open

    def _room(self) -> int:
        """Return how many more may be admitted: one, to try with, while the ERP is away."""
        return (1 if self._away else self.policy.window_max) - len(self.book.window)

    def _call(self, first: Entry) -> Call:
        kind = KINDS[first.phase]
        entries = [first]
        if kind is CallKind.SEND and not self._away:
            size = min(self.policy.bulk_max, -(-(self._schedule.sendable_count + 1) // self._access.free))
            first.calling = True  # so that it is not picked a second time
            while len(entries) < size and (more := self._schedule.sendable()) is not None:
                more.calling = True
                entries.append(more)
        self._access.begin()
        for entry in entries:
            entry.calling = True
            if kind is CallKind.SEND:
                entry.attempts += 1
                entry.sent_us = entry.maybe_us = self._now_us
                entry.first_sent_us = entry.first_sent_us or self._now_us
        postings = tuple(entry.posting for entry in entries)
        return Call(kind, postings, tuple(entry.document for entry in entries), self._now_us, self._access.lease_us)

    def _admit(self) -> None:
        room = self._room()
        own = self._admitted[self._token] = []
        while room > 0 and (entry := self._schedule.admissible()) is not None:
            self.book.put(entry, Phase.ADMITTED, entry.due_us)
            entry.token = self._token
            own.append(entry.key)
            room -= 1
            self._schedule.touch(entry.line)

    def _left(self, reply: Reply) -> None:
        """The ERP is away: nothing that waits was sent, and it is told once."""
        for line in list(self.book.lines):
            self.book.recall(line[0].line)
            self._schedule.touch(line[0].line)
        words = f"{reply.kind.value} {reply.code} {reply.message}".rstrip()
        self._notices.open(ExceptionCode.ERP_UNAVAILABLE, f"{self.erp} does not take postings: {words}", self._now_us)

    def _tell_bound(self) -> None:
        """Say that the queue is not read because too much waits for persons, and when that is over."""
        full = self.held >= self.policy.held_max
        if full and 2 * self.book.lines.for_persons() >= self.policy.held_max:
            text = f"{self.held} postings are held, most of them waiting for persons: the queue is not read further"
            self._notices.open(ExceptionCode.BOUND_REACHED, text, self._now_us)
        elif not full:
            self._notices.end(ExceptionCode.BOUND_REACHED, self._now_us)

    @property
    def _now_us(self) -> int:
        return self._schedule.now_us
