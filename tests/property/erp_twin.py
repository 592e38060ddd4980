"""An ERP that is wrong in every way ERPs are, a log that crashes, and a person: what delivery is held against.

The twin is naive: each send that is executed makes a document, whatever was sent before. It knows no request ids, so
that only delivery itself keeps it from making two.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from heapq import heappop, heappush
from uuid import UUID, uuid5

from canonical.contracts import Action, ActionKind, Lane, Movement, Posting, PostingKind, Receipt
from canonical.contracts.business_exception import BusinessException
from dataflows.processors.delivery.delivery import STATE, Delivery
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.processors.delivery.reply import Call, CallKind, Reply, ReplyKind

MS = 1_000
S = 1_000_000
SPACE = UUID(int=7)
POLICY = DeliveryPolicy(
    rate_milli=20_000,
    burst=5,
    in_flight_max=3,
    held_max=60,
    window_max=12,
    order_window_max=3,
    lease_us=2 * S,
    settle_us=4 * S,
    backoff_us=200 * MS,
    backoff_max_us=2 * S,
    attempts_max=4,
    locked_after_us=3 * S,
    breaker_failures=3,
    probe_us=500 * MS,
    probe_max_us=4 * S,
    movement_us=500 * MS,
    movement_max_us=4 * S,
    movement_timeout_us=20 * S,
)


def posting(order: str, number: int, lane: Lane = Lane.STANDARD, **more) -> Posting:
    """A posting of an order; its id says which."""
    day = date(2026, 11, 2)
    fields = {
        "posting_id": uuid5(SPACE, f"{order}/{number}"),
        "kind": PostingKind.CONFIRMATION,
        "erp": "E",
        "lane": lane,
        "plant": "A",
        "erp_plant": "1000",
        "order": order,
        "number": number,
        "posting_date": day,
        "document_date": day,
        "start_us": 1,
        "end_us": 2,
    }
    return Posting(**{**fields, **more})


def movement(material: str, lot: str) -> Movement:
    return Movement(movement_type="311", material=material, lot=lot, quantity=1000, unit="H87")


@dataclass
class Erp:
    """Documents in the order in which they were made; ``trouble`` from 0 to 1 is how often something goes wrong."""

    rng: random.Random
    trouble: float
    many: bool = False
    documents: list[tuple[Posting, str]] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    faulty: set[str] = field(default_factory=set)
    """Postings that it refuses until a person has repaired something."""
    stuck: dict[str, int] = field(default_factory=dict)
    """Documents whose movements are not through yet, and how many questions it takes."""
    failed: set[str] = field(default_factory=set)
    unprocessed: dict[str, str] = field(default_factory=dict)
    """Orders of what it has accepted, and neither processed nor been told by a person to forget."""
    in_turn: bool = False
    """Nothing of an order may come before what is there has been processed."""
    follows: set[str] = field(default_factory=set)
    """Postings whose goods move later."""
    locked: set[str] = field(default_factory=set)
    """Orders that somebody has open."""
    poison: set[str] = field(default_factory=set)
    """Postings on which it fails."""
    unauthorised: bool = False
    away_until_us: int = 0
    blind: bool = False
    """It cannot tell whether it has made a document."""

    def made(self, posting_id: object) -> list[str]:
        return [document for own, document in self.documents if own.posting_id == posting_id]

    def execute(self, wanted: Posting) -> str:
        document = f"{4900 + len(self.documents)}/2026"
        self.documents.append((wanted, document))
        return document

    def serve(self, call: Call, now_us: int) -> tuple[int, list[Reply], list[tuple[int, Posting]]]:
        """Return when the answer comes, the replies, and what is executed later although no answer says so."""
        self.calls.append(now_us)
        rng = self.rng
        takes_us = rng.choice([5, 20, 80, 300]) * MS
        if rng.random() < self.trouble / 20:
            self.away_until_us = now_us + rng.choice([1, 6, 30]) * S
        if now_us < self.away_until_us:
            kind = rng.choice([ReplyKind.UNAVAILABLE, ReplyKind.UNAVAILABLE, ReplyKind.UNAUTHORISED])
            wait_us = rng.choice([0, 0, 3 * S])
            return takes_us, [Reply(kind, retry_after_us=wait_us) for _ in call.postings], []
        if self.unauthorised:
            return takes_us, [Reply(ReplyKind.UNAUTHORISED) for _ in call.postings], []
        if rng.random() < self.trouble / 10:
            return takes_us, [Reply(ReplyKind.THROTTLED, retry_after_us=2 * S) for _ in call.postings], []
        later: list[tuple[int, Posting]] = []
        if call.kind is CallKind.SEND:
            if rng.random() < self.trouble / 5:  # the answer is lost: executed now, later, or not at all
                whole = [p for p in call.postings if str(p.posting_id) not in self.faulty and rng.random() < 0.6]
                later = [(now_us + rng.choice([0, 100 * MS, 3900 * MS]), wanted) for wanted in whole]
                return takes_us, [Reply(ReplyKind.IN_DOUBT) for _ in call.postings], later
            return takes_us, [self._sent(wanted) for wanted in call.postings], []
        (wanted,) = call.postings
        if rng.random() < self.trouble / 6:
            return takes_us, [Reply(rng.choice([ReplyKind.UNAVAILABLE, ReplyKind.IN_DOUBT]))], []
        if call.kind is CallKind.FIND:
            if self.blind:
                return takes_us, [Reply(ReplyKind.CANNOT_TELL)], []
            made = self.made(wanted.posting_id)
            follows = str(wanted.posting_id) in self.unprocessed
            found = Reply(ReplyKind.ACCEPTED, made[0], follows=follows) if made else Reply(ReplyKind.NONE)
            return takes_us, [found], []
        return takes_us, [self._followed(wanted)], []

    def _sent(self, wanted: Posting) -> Reply:
        key = str(wanted.posting_id)
        if key in self.faulty:
            return Reply(ReplyKind.REJECTED, code="RU/1", message="no")
        if key in self.poison:
            return Reply(ReplyKind.UNAVAILABLE, code="HTTP/500")
        if wanted.order in self.locked or self.rng.random() < self.trouble / 8:
            return Reply(ReplyKind.LOCKED, code="CO/469")
        follows = key in self.follows or self.rng.random() < 0.4 * (self.trouble > 0)
        assert not self.in_turn or wanted.order not in self.unprocessed.values(), "it overtakes what is not processed"
        document = self.execute(wanted)
        if follows:
            self.unprocessed[key] = wanted.order
            self.stuck[key] = self.rng.randrange(3)
            if self.rng.random() < self.trouble / 2:
                self.failed.add(key)
        return Reply(ReplyKind.ACCEPTED, document, committed_us=1, follows=follows)

    def _followed(self, wanted: Posting) -> Reply:
        key = str(wanted.posting_id)
        if self.stuck.get(key, 0) > 0:
            self.stuck[key] -= 1
            return Reply(ReplyKind.NONE)
        if key in self.failed:
            return Reply(ReplyKind.REJECTED)
        self.unprocessed.pop(key, None)
        return Reply(ReplyKind.ACCEPTED)


@dataclass
class Log:
    """What is durable: state, position in the queue and in the actions, receipts and exceptions."""

    state: dict[str, bytes] = field(default_factory=dict)
    position: int = 0
    decided: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    exceptions: dict[str, BusinessException] = field(default_factory=dict)


class World:
    """One queue, one ERP, one log, and who delivers; now and then also one who does not know that he is replaced."""

    def __init__(self, seed: int, postings: list[Posting], trouble: float, policy: DeliveryPolicy = POLICY) -> None:
        self.rng = random.Random(seed)
        self.policy = policy
        self.queue = postings
        self.actions: list[Action] = []
        self.erp = Erp(self.rng, trouble, in_turn=policy.in_turn)
        self.log = Log()
        self.now_us = 1_000 * S
        self.crashes = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self.told: list[str] = []
        """Codes of the exceptions as they were committed, each as often as it was told."""
        self._start()

    def _start(self) -> None:
        self.delivery = Delivery("E", self.policy, self.rng.random, self.log.state, self.now_us)
        self.read, self.decided = self.log.position, self.log.decided
        self.out: list[Receipt | BusinessException] = []

    def at(self, at_us: int, do: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._events, (at_us, self._number, do))

    def advance(self, by_us: int) -> None:
        until_us = self.now_us + by_us
        while self._events and self._events[0][0] <= until_us:
            at_us, _, do = heappop(self._events)
            self.now_us = max(self.now_us, at_us)
            do()
        self.now_us = until_us

    def tick(self, read_max: int = 5) -> None:
        """Read some, make the calls that are due."""
        delivery = self.delivery
        for wanted in self.queue[self.read : self.read + min(read_max, self.policy.held_max - delivery.held)]:
            delivery.enqueue(wanted, self.now_us, self.now_us)
            self.read += 1
        for action in self.actions[self.decided :]:
            delivery.decide(action, self.now_us)
            self.decided += 1
        self._call(delivery)
        assert delivery.held <= self.policy.held_max
        assert delivery.in_flight <= self.policy.in_flight_max

    def _call(self, delivery: Delivery) -> None:
        for call in delivery.calls(self.now_us):
            takes_us, replies, later = self.erp.serve(call, self.now_us)
            for at_us, wanted in later:
                self.at(at_us, lambda wanted=wanted: self.erp.execute(wanted) and None)
            self.at(self.now_us + takes_us, lambda call=call, replies=replies: self._reply(delivery, call, replies))

    def _reply(self, delivery: Delivery, call: Call, replies: list[Reply]) -> None:
        delivery.replied(call, replies, self.now_us)

    def commit(self, crash: str = "") -> None:
        """Commit, or crash before or after it is durable."""
        token, parts = self.delivery.commit(self.now_us)
        out = self.delivery.take()
        if crash == "before":
            self.crash()
            return
        log = self.log
        log.state = {part: value for part, value in {**log.state, **parts}.items() if value}
        log.position, log.decided = self.read, self.decided
        for told in out:
            if isinstance(told, Receipt):
                log.receipts.append(told)
            else:
                log.exceptions[str(told.exception_id)] = told
                self.told.append(told.code.value)
        if crash == "after":
            self.crash()
        else:
            self.delivery.committed(token)

    def crash(self) -> None:
        """End without a word; sometimes only from the new process's point of view."""
        self.crashes += 1
        old = self.delivery
        if self.rng.random() < 0.5:
            # It was paused, or cut off from the log, and goes on for as long as its lease lets it.
            for step in range(1, 40):
                self.at(self.now_us + step * 100 * MS, lambda: self._call(old))
        self._start()

    def restart(self) -> None:
        """End in order: no more calls, a last commit, another process."""
        self.delivery.close(self.now_us)
        self.commit()
        assert self.delivery.calls(self.now_us) == []
        self._start()

    def person(self) -> None:
        """Settle one open exception, as somebody would who has looked in the ERP."""
        opened = [e for e in self.log.exceptions.values() if e.resolution == "open" and e.posting_id]
        if not opened:
            return
        chosen = self.rng.choice(sorted(opened, key=lambda e: str(e.exception_id)))
        kind = self.rng.choice([ActionKind.REPROCESS, ActionKind.REPROCESS, ActionKind.DISCARD, ActionKind.RELEASE])
        if chosen.code == "ERP_ANSWER_UNKNOWN":
            there = bool(self.erp.made(UUID(chosen.posting_id)))
            kind = ActionKind.DISCARD if there else ActionKind.RELEASE
        if kind is not ActionKind.REPROCESS:
            self.erp.unprocessed.pop(chosen.posting_id, None)
        if self.rng.random() < 0.7:
            self.erp.faulty.discard(chosen.posting_id)
            self.erp.failed.discard(chosen.posting_id)
        self.act(kind, exception_id=str(chosen.exception_id))

    def act(self, kind: ActionKind, **about: str) -> None:
        action_id = uuid5(SPACE, f"action {len(self.actions)}")
        action = Action(action_id=action_id, kind=kind, actor="anna", reason="seen", at_us=self.now_us, **about)
        self.actions += [action] * self.rng.choice([1, 1, 2])

    def settle(self, most_s: int = 900) -> None:
        """Let everything that goes wrong end, and the rest go on until nothing does."""
        self.erp.trouble = 0.0
        self.erp.away_until_us = 0
        for _ in range(most_s * 4):
            self.advance(250 * MS)
            self.tick()
            self.commit()
            self.person()
            if self.read == len(self.queue) and not self.delivery.held:
                self.commit()
                return

    def check_always(self) -> None:
        """What holds at every instant."""
        made = [wanted.posting_id for wanted, _ in self.erp.documents]
        assert len(made) == len(set(made)), "a posting became two documents"
        numbers: dict[tuple[str, str], int] = {}
        for wanted, _ in self.erp.documents:
            line = (wanted.order, wanted.movements[0].lot if wanted.movements and not wanted.order else "")
            assert numbers.get(line, -1) < wanted.number, f"order {wanted.order}: {wanted.number} came too late"
            numbers[line] = wanted.number
        level, at_us = float(self.policy.burst), 0
        for us in self.erp.calls:
            level = min(self.policy.burst, level + (us - at_us) * self.policy.rate_milli / 1e9) - 1
            at_us = us
            assert level > -1e-6, "more calls than the ERP may get"

    def check_committed(self) -> None:
        """What the log tells is what is, as far as it was committed."""
        held = {part.removeprefix("posting.") for part in self.log.state if part.startswith("posting.")}
        accepted = [str(r.posting_id) for r in self.log.receipts if r.status == "accepted"]
        withdrawn = [str(r.posting_id) for r in self.log.receipts if r.status == "withdrawn"]
        moving = held & set(accepted)
        assert len(accepted) == len(set(accepted))
        assert not set(accepted) & set(withdrawn)
        read = {str(wanted.posting_id) for wanted in self.queue[: self.log.position]}
        assert read == held | set(accepted) | set(withdrawn)
        assert not (held - moving) & {*accepted, *withdrawn}
        assert STATE in self.log.state
