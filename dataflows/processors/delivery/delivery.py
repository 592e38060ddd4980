"""Delivery to one ERP: which call is to be made next, and what its answer changes.

Laws, whatever the ERP answers, is silent about, or a crash cuts off:
- *Once.* A posting becomes at most one document: it is sent only after a commit has admitted it, and what may have been
  sent is asked for in the ERP before it is sent again, not before the ERP can have executed it any more.
- *Order.* Of each order, n+1 is sent after n has been accepted or withdrawn; orders do not wait for each other.
- *Rate.* In any span of T seconds at most ``burst + rate * T`` calls begin, restarts included.
- *Conservation.* Every posting read is accepted, withdrawn, waiting for a person under an open exception, or pending.

A commit lends the process ``lease_us`` in which it may begin calls; one that takes over waits until that is over.
Time and chance are arguments, and nothing is called here: ``calls`` says what is to be called.

Source: M24-M27, M30, M42; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

import orjson

from canonical.contracts.business_exception import BusinessException, ExceptionCode, Resolution
from canonical.contracts.command import Action
from canonical.contracts.posting import Lane, Posting, Receipt
from dataflows.processors.delivery.access import FAILED, Access, Change
from dataflows.processors.delivery.answers import Answers
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.decisions import Decisions
from dataflows.processors.delivery.entry import FOR_A_PERSON, Entry, Phase
from dataflows.processors.delivery.notices import Notice, of_erp
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.processors.delivery.reply import Call, CallKind, Reply
from dataflows.processors.delivery.turns import Turns

STATE: Final = "delivery"
VERSION: Final = 1
LANES: Final = {Lane.CRITICAL.value: 16, Lane.STANDARD.value: 4, Lane.BULK.value: 1}
"""Shares of the lanes where all of them have something (M16)."""
FIND: Final = "find"
MOVEMENTS: Final = "movements"
_KINDS: Final = {
    Phase.ADMITTED: CallKind.SEND,
    Phase.DOUBT: CallKind.FIND,
    Phase.MOVING: CallKind.MOVEMENTS,
    Phase.STUCK: CallKind.MOVEMENTS,
}


class Delivery:
    """The state machine of one ERP.

    Args: state: what the last commit stored, empty at first. now_us: the time only goes on, whatever it is told.
    """

    def __init__(
        self, erp: str, policy: DeliveryPolicy, chance: Callable[[], float], state: Mapping[str, bytes], now_us: int
    ) -> None:
        self.erp, self.policy = erp, policy
        self._now_us = now_us
        self.book = Book(erp, policy.documents_max)
        self.decisions = Decisions(self.book)
        self.answers = Answers(self.book, policy, chance)
        self._access = Access(policy, chance, now_us)
        self._queued: Turns[Entry] = Turns(LANES)
        self._ready: Turns[Entry] = Turns({FIND: 16, **LANES, MOVEMENTS: 1})
        self._timers: list[tuple[int, int, Entry]] = []
        self._timed = 0
        self._rank = 0
        self._leases: dict[int, int] = {}
        self._token = self._committed = 0
        self._admitted: dict[int, list[str]] = {}
        self._closed = False
        self._notices: dict[ExceptionCode, Notice] = {}
        if STATE in state:
            self._restore(state)

    # What comes in

    def enqueue(self, posting: Posting, enqueued_us: int, now_us: int) -> None:
        """Take a posting from the queue; one that is known changes nothing."""
        self._reach(now_us)
        self._rank += 1
        entry = self.book.add(posting, self._rank, enqueued_us)
        if entry is not None:
            self._touch(entry.line)

    def decide(self, action: Action, now_us: int) -> None:
        """Do what a person decided, where it concerns this ERP; the same twice is once."""
        self._reach(now_us)
        done = self.decisions.decide(action, now_us)
        if done.probe:
            self._access.breaker.due_us = now_us
        if done.entry is not None:
            self._placed(done.entry)
            self._touch(done.entry.line)
        self._settle()

    def replied(self, call: Call, replies: Sequence[Reply], now_us: int) -> None:
        """Take the answer to a call that was handed out: one reply for each of its postings, in their order."""
        self._reach(now_us)
        was_away = self._away
        match self._access.answered(call, replies, self._now_us):
            case Change.AWAY:
                self._left(next(reply for reply in replies if reply.kind in FAILED))
            case Change.BACK:
                self._end(ExceptionCode.ERP_UNAVAILABLE)
            case Change.NOTHING:
                pass
        for posting, reply in zip(call.postings, replies, strict=True):
            entry = self.book.entries[str(posting.posting_id)]
            entry.calling = False
            self.answers.take(call, entry, reply, now_us, counts=not was_away)
            self._placed(entry)
            self._touch(entry.line)
        self._settle()

    # What goes out

    def calls(self, now_us: int) -> list[Call]:
        """Return the calls to be made now, each of which takes a token and a place in flight until its answer."""
        self._reach(now_us)
        self._wake()
        made: list[Call] = []
        while (
            not self._closed
            and self._access.lets(self._now_us)
            and (entry := self._ready.pick(self._callable)) is not None
        ):
            made.append(self._call(entry))
        return made

    def take(self) -> list[Receipt | BusinessException]:
        """Return the receipts and exceptions since the last call, in order."""
        out, self.book.out = self.book.out, []
        return out

    def commit(self, now_us: int) -> tuple[int, dict[str, bytes]]:
        """Admit what is next; return the parts of the state that changed, and the number to confirm the commit by."""
        self._reach(now_us)
        self._wake()
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
            "notices": [[code, notice.message, notice.opened_us] for code, notice in self._notices.items()],
            "actions": list(self.decisions.known),
        }
        return self._token, {**self.book.parts(), STATE: orjson.dumps(own)}

    def committed(self, token: int) -> None:
        """A commit is durable, and so are those before it: what it admitted may be sent."""
        self._committed = token
        for number in [number for number in self._leases if number <= token]:
            self._access.lease_us = self._leases.pop(number)
            for key in self._admitted.pop(number, ()):
                if (entry := self.book.entries.get(key)) is not None:
                    self._touch(entry.line)

    def close(self, now_us: int) -> None:
        """Make no more calls; what is under way is in doubt, what was only admitted was not sent. Then commit."""
        self._reach(now_us)
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
        notice = self._notices.get(ExceptionCode.ERP_UNAVAILABLE)
        return None if notice is None else notice.opened_us

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
        return self._queued.size() > 0 and self._room() > 0 and not self._closed

    @property
    def idle(self) -> bool:
        """Return whether nothing goes on by itself: all is settled, waits for a person, or the ERP is away."""
        if self.in_flight:
            return False
        lines = [line[0] for line in self.book.lines]
        waits = all(head.phase in FOR_A_PERSON or self.book.original_open(head) for head in lines)
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
        self._notices = {
            ExceptionCode(code): Notice(ExceptionCode(code), text, us) for code, text, us in own["notices"]
        }
        if ExceptionCode.ERP_UNAVAILABLE in self._notices:
            self._access.breaker.opened_us = self._now_us
        self.book.restore(state)
        for entry in self.book.entries.values():
            if entry.phase is Phase.ADMITTED:
                entry.maybe_us = own["until_us"]
                self.book.put(entry, Phase.DOUBT, self._access.hold_us)
            self._placed(entry)
        for line in list(self.book.lines):
            self._touch(line[0].line)
        self._settle()

    def _reach(self, now_us: int) -> None:
        """Let time pass; an answer may be later than the batch that is taken after it."""
        self._now_us = max(self._now_us, now_us)

    def _leases_wait(self) -> bool:
        return self._ready.size() > 0 and self._now_us >= self._access.lease_us and not self._closed

    @property
    def _away(self) -> bool:
        return self._access.breaker.is_open

    def _room(self) -> int:
        """Return how many more may be admitted: one, to try with, while the ERP is away."""
        return (1 if self._away else self.policy.window_max) - len(self.book.window)

    def _callable(self, entry: Entry) -> bool:
        if entry.calling or self.book.entries.get(entry.key) is not entry or entry.due_us > self._now_us:
            return False
        return entry.phase in _KINDS and (entry.phase is not Phase.ADMITTED or self._sendable(entry))

    def _sendable(self, entry: Entry) -> bool:
        if entry.calling or self.book.entries.get(entry.key) is not entry or entry.phase is not Phase.ADMITTED:
            return False
        return entry.token <= self._committed and self.book.lines.is_head(entry)

    def _call(self, first: Entry) -> Call:
        kind = _KINDS[first.phase]
        entries = [first]
        if kind is CallKind.SEND and not self._away:
            size = min(self.policy.bulk_max, -(-(self._ready.size(LANES) + 1) // self._access.free))
            first.calling = True  # so that it is not picked a second time
            while len(entries) < size and (more := self._ready.pick(self._sendable, LANES)) is not None:
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
        while room > 0 and (entry := self._queued.pick(self._admissible)) is not None:
            self.book.put(entry, Phase.ADMITTED, entry.due_us)
            entry.token = self._token
            own.append(entry.key)
            room -= 1
            self._touch(entry.line)

    def _admissible(self, entry: Entry) -> bool:
        alive = self.book.entries.get(entry.key) is entry and entry.phase is Phase.QUEUED
        return alive and entry.due_us <= self._now_us and self._next_of(entry.line) is entry

    def _next_of(self, line: str) -> Entry | None:
        """Return the first of a line that is not admitted, if it may be now: it waits for nobody but those admitted."""
        for place, entry in enumerate(self.book.lines.of(line)):
            if place >= self.policy.order_window_max or entry.phase not in (Phase.ADMITTED, Phase.QUEUED):
                return None
            if entry.phase is Phase.QUEUED:
                return None if self.book.original_open(entry) else entry
        return None

    def _touch(self, line: str) -> None:
        """See what may happen next in a line."""
        entries = self.book.lines.of(line)
        if not entries:
            return
        head = entries[0]
        if head.phase in (Phase.QUEUED, Phase.ADMITTED) and not head.calling and self.book.moot(head):
            self.book.withdrawn(head, self._now_us)
            self._touch(line)
            return
        if head.phase is Phase.ADMITTED and not head.calling and head.token <= self._committed:
            self._ready.push(head.posting.lane.value, head.rank, head)
        if (entry := self._next_of(line)) is not None:
            if entry.due_us > self._now_us:
                self._at(entry)
            else:
                self._queued.push(entry.posting.lane.value, entry.rank, entry)

    def _placed(self, entry: Entry) -> None:
        """Note when an entry is due that is not in its line's turn: one that the ERP is to be asked about."""
        if entry.phase in (Phase.DOUBT, Phase.MOVING, Phase.STUCK) and not entry.calling:
            self._at(entry)

    def _at(self, entry: Entry) -> None:
        self._timed += 1
        heappush(self._timers, (entry.due_us, self._timed, entry))

    def _wake(self) -> None:
        """Put in the queues what is due."""
        while self._timers and self._timers[0][0] <= self._now_us:
            _, _, entry = heappop(self._timers)
            if self.book.entries.get(entry.key) is not entry or entry.calling or entry.due_us > self._now_us:
                continue
            if entry.phase is Phase.DOUBT:
                self._ready.push(FIND, entry.rank, entry)
            elif entry.phase in (Phase.MOVING, Phase.STUCK):
                self._ready.push(MOVEMENTS, entry.due_us, entry)
            else:
                self._touch(entry.line)

    def _settle(self) -> None:
        """Let those go that waited for what has been settled: reversals of it."""
        while self.book.settled:
            for line in sorted(self.book.reversals.get(self.book.settled.pop(), ())):
                self._touch(line)

    def _left(self, reply: Reply) -> None:
        """The ERP is away: nothing that waits was sent, and it is told once."""
        for line in list(self.book.lines):
            self.book.recall(line[0].line)
            self._touch(line[0].line)
        words = f"{reply.kind.value} {reply.code} {reply.message}".rstrip()
        self._open(ExceptionCode.ERP_UNAVAILABLE, f"{self.erp} does not take postings: {words}")

    def _tell_bound(self) -> None:
        """Say that the queue is not read because too much waits for persons, and when that is over."""
        full = self.held >= self.policy.held_max
        if full and 2 * self.book.lines.for_persons() >= self.policy.held_max:
            text = f"{self.held} postings are held, most of them waiting for persons: the queue is not read further"
            self._open(ExceptionCode.BOUND_REACHED, text)
        elif not full:
            self._end(ExceptionCode.BOUND_REACHED)

    def _open(self, code: ExceptionCode, text: str) -> None:
        if code not in self._notices:
            notice = self._notices[code] = Notice(code, text, self._now_us)
            self.book.out.append(of_erp(self.erp, notice, self.held, self._now_us))

    def _end(self, code: ExceptionCode) -> None:
        if (notice := self._notices.pop(code, None)) is not None:
            self.book.out.append(of_erp(self.erp, notice, self.held, self._now_us, Resolution.REVALIDATED))
