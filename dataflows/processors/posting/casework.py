"""Casework: how cases are settled, wait, go on and are taken back; the desk's inner half.

Laws: a case that fails waits with what follows it in its line; what waits is asked again when something its checks
looked at has changed, or its time has come. What follows from a case, and what takes one back, is a case of its own.

Source: M10, M12, M19, M24, M30; docs/decisions/0015.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from canonical.contracts import (
    Action,
    BusinessException,
    Command,
    ComponentUsage,
    ExceptionCode,
    Lane,
    Posting,
    PostingKind,
    Resolution,
    StockType,
)
from canonical.identity import document_name
from dataflows.processors.posting import checks, documents
from dataflows.processors.posting.case import CASE, Case, Line
from dataflows.processors.posting.causes import Causes
from dataflows.processors.posting.checks import View
from dataflows.processors.posting.context import Contexts
from dataflows.processors.posting.documents import Made
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.examination import Ready, RuledOut, Verdict, examined
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.history import History
from dataflows.processors.posting.lots import LotShelf
from dataflows.processors.posting.policy import LANES, NOT_POSTED, PostingPolicy, Sort
from dataflows.processors.posting.progress import OrderShelf
from dataflows.processors.posting.queues import Queues
from dataflows.processors.posting.reference_book import ReferenceBook
from dataflows.processors.posting.usage import Concern, usages

_C: Final = ExceptionCode


@dataclass(slots=True)
class Outcome:
    """What was decided since the last look."""

    postings: list[Made] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    exceptions: list[BusinessException] = field(default_factory=list)
    usages: list[ComponentUsage] = field(default_factory=list)


class Refused(Exception):
    """A record that cannot be taken: a bound is reached, or it is not its sender's to tell."""

    def __init__(self, code: ExceptionCode, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Casework:
    """Settles cases. ``counts`` tells what became of those that came in."""

    def __init__(self, policy: PostingPolicy) -> None:
        self.policy = policy
        self.book = ReferenceBook(policy.references_max)
        self.lots = LotShelf()
        self.orders = OrderShelf()
        self.history = History(policy.remembered_max)
        self.queues = Queues()
        self.causes = Causes(policy.exceptions_max, self.queues.length)
        self.counts: Counter[str] = Counter()
        self._next = 0
        self._derived: deque[Case] = deque()
        self._ended: list[Line] = []
        self._ending: tuple[Resolution, Action | None] = (Resolution.REVALIDATED, None)
        self._lanes = {sort: _lane(policy.lanes.get(sort, LANES[sort])) for sort in Sort}
        self._view = View(self.book, self.lots, policy)
        self._contexts = Contexts(self.book)
        self._outcome = Outcome()
        self._used: dict[Concern, None] = {}
        self._urgent = False

    @property
    def pending(self) -> bool:
        """Whether something has been decided that was not taken yet."""
        return bool(self._outcome.postings or self._outcome.commands or self._used) or self.causes.pending

    @property
    def urgent(self) -> bool:
        """Whether some of it should not be long in being taken (M16)."""
        return self._urgent

    # -- cases ---------------------------------------------------------------------------------

    def _take(self, draft: Draft, sort: Sort, base: str, revision: int, now_us: int) -> bool:
        """Take a draft; return whether nothing was known that is as new. Raises: Refused."""
        self.counts["offered"] += 1
        if self._lanes[sort] is None:
            self.counts["ruled out"] += 1
            return True
        self._room_for_order(draft.plant, draft.order, now_us)
        if not self._newest(base, revision, now_us):
            return False
        self._run(now_us)  # What is taken back goes first.
        self._arrive(Case(self._number(), now_us, base, draft, sort, revision), now_us)
        self._run(now_us)
        return True

    def _newest(self, base: str, revision: int, now_us: int) -> bool:
        """Return whether nothing is known that is as new; what is older makes way, and what it posted is taken back."""
        posted = self.history.revision(base)
        held = self.queues.of(base)
        if posted is None and not held:
            return True
        known = max([case.revision for case in held] + ([] if posted is None else [posted]))
        if revision <= known:
            self.counts["copies" if revision == known else "superseded"] += 1
            return False
        for case in held:
            self._withdraw(case)
        for before in reversed(self.history.of(base)):
            self._take_back(before, base, now_us)
        return True

    def _withdraw(self, case: Case) -> None:
        """Take a case out of its line, since a newer one is there, or what it follows from was taken back."""
        line = case.line
        self.queues.remove(case)
        if line in self.queues:
            self.queues.ask(line)
        else:
            self._ended.append(line)
        if not case.derived:
            self.counts["superseded"] += 1

    def _arrive(self, case: Case, now_us: int) -> None:
        """Settle a case, or let it wait."""
        line = case.line
        behind = line in self.queues
        verdict = None if behind else self._examined(case, now_us)
        if verdict is not None and not isinstance(verdict, Failure):
            self._settle(case, verdict, now_us)
            return
        self.queues.append(case)
        if behind:
            self.causes.grown(line)
        else:
            assert isinstance(verdict, Failure)
            self._fail(line, verdict, now_us)

    def _run(self, now_us: int) -> None:
        """Go on with what follows from what was posted, and with the lines that are to be asked again."""
        while True:
            while self._ended:
                self.causes.let_go(self._ended.pop(), now_us, *self._ending)
            if self._derived:
                self._arrive(self._derived.popleft(), now_us)
            elif (line := self.queues.next()) is not None:
                self._ask(line, now_us)
            else:
                return

    def _ask(self, line: Line, now_us: int) -> None:
        """Examine the head of a line again."""
        case = self.queues.head(line)
        verdict = self._examined(case, now_us)
        if isinstance(verdict, Failure):
            self._fail(line, verdict, now_us)
            return
        self._leave(line)
        self._settle(case, verdict, now_us)

    def _leave(self, line: Line) -> None:
        """Take the head out of a line; what follows is asked."""
        self.queues.pop(line)
        if line in self.queues:
            self.causes.grown(line)
            self.queues.ask(line)
        else:
            self._ended.append(line)

    def _examined(self, case: Case, now_us: int) -> Verdict:
        self.book.looked.clear()
        self._view.now_us = now_us
        return examined(case, self._view, self._contexts, self.orders.look(case.draft.plant, case.draft.order))

    def _fail(self, line: Line, failure: Failure, now_us: int) -> None:
        """Let a line wait; it becomes an exception once it has waited too long."""
        head = self.queues.head(line)
        self.causes.hold(line, failure, now_us, *self._ending)
        due_us: int | None = head.arrived_us + self._patience_us(failure.code)
        if due_us is not None and due_us <= now_us:
            first = (head.draft.causes or (head.draft.cause,))[0]
            due_us = None if self.causes.tell(failure, first, now_us) else now_us + self.policy.patience_us
        self.queues.rest(line, frozenset(self.book.looked), due_us)

    def _patience_us(self, code: ExceptionCode) -> int:
        match code:
            case _C.ORDER_NOT_RELEASED:
                return self.policy.release_timeout_us
            case _C.QUALITY_RELEASE_MISSING:
                return self.policy.quality_timeout_us
            case _:
                return self.policy.patience_us

    # -- postings ------------------------------------------------------------------------------

    def _settle(self, case: Case, verdict: tuple[Ready, ...] | RuledOut, now_us: int) -> None:
        if not case.derived:
            self.counts["ruled out" if isinstance(verdict, RuledOut) else "posted"] += 1
        posted: tuple[Ready, ...] = () if isinstance(verdict, RuledOut) else verdict
        if case.draft.kind is PostingKind.GOODS_ISSUE and not case.derived:
            # Lines of components that the ERP issues itself are left out (M18).
            left_out = len(case.draft.movements) - sum(len(ready.draft.movements) for ready in posted)
            self.counts["backflushed"] += left_out
        for ready in posted:
            self._post(case, ready, now_us)

    def _post(self, case: Case, ready: Ready, now_us: int) -> None:
        """Make a posting, and what follows from it."""
        draft = ready.draft
        progress = self.orders.change(draft.plant, draft.order)
        made = documents.made(ready, progress.number(ready.erp), self._lanes[case.sort] or Lane.STANDARD)
        self.history.add(made.posting_id, case.base, case.revision, made.value)
        self._outcome.postings.append(made)
        self._urgent |= made.lane is Lane.CRITICAL
        match draft.kind:
            case PostingKind.CONFIRMATION:
                progress.add(draft.operation, draft.good, draft.scrap, draft.rework)
                self.queues.stirred(("progress", draft.plant, draft.order))
                if ready.received is not None and (of := self._lanes[Sort.GOODS_RECEIPT]) is not None:
                    self._follow(case, documents.receipt(ready, of), Sort.GOODS_RECEIPT, now_us)
            case PostingKind.GOODS_RECEIPT if draft.movements[0].stock_type is StockType.QUALITY:
                self._in_quality(case, ready, made.posting_id, now_us)
            case PostingKind.GOODS_ISSUE:
                progress.issue(ready.erp, draft.movements, 1)
                self._used[ready.erp, draft.plant, draft.order] = None
            case PostingKind.REVERSAL:
                self._undone(draft.reverses, now_us)
            case _:
                pass

    def _follow(self, case: Case, draft: Draft, sort: Sort, now_us: int) -> None:
        """Let a draft that follows from a case go the same way."""
        self._derived.append(Case(self._number(), now_us, case.base, draft, sort, case.revision, derived=True))

    # -- quality -------------------------------------------------------------------------------

    def _said(self, material: str, lot: str, at_us: int, now_us: int, *, released: bool) -> None:
        """Take a word on a lot: receipts wait for it, or lie in quality stock."""
        if self.lots.look(material, lot) is None and len(self.lots) >= self.policy.lots_max:
            settled = self.lots.settled()
            if settled is None:
                raise self._bound("lots_max", now_us)
            self.lots.forget(settled)
        self.lots.said(material, lot, at_us, released=released)
        self.queues.stirred(("quality", lot))
        for key in self.lots.in_quality(lot):
            if self.lots.released(*key):
                known = self.lots.change(*key)
                for text in known.in_quality.values():
                    case = CASE.validate_json(text)
                    self._derived.append(replace(case, number=self._number(), arrived_us=now_us))
                    self._count_quality(case.draft, 0, now_us)
                known.in_quality.clear()
        self._run(now_us)

    def _in_quality(self, case: Case, ready: Ready, name: str, now_us: int) -> None:
        """Remember what is to be done once the lot is released, and tell that it was not in time."""
        draft = documents.to_unrestricted(ready.draft, Lane.STANDARD)
        moved = Case(
            0,
            0,
            case.base,
            draft,
            Sort.STOCK_TRANSFER,
            case.revision,
            derived=True,
            erp=ready.erp,
            erp_plant=ready.erp_plant,
        )
        known = self.lots.change(draft.material, draft.lot)
        known.in_quality[name] = CASE.dump_json(moved).decode()
        self._count_quality(draft, len(known.in_quality), now_us)

    def _count_quality(self, draft: Draft, waiting: int, now_us: int) -> None:
        self.causes.count(checks.not_released(draft), "in quality stock", waiting, draft.cause, now_us)

    # -- taking back ---------------------------------------------------------------------------

    def _reverse(self, name: str, now_us: int) -> None:
        """Take back a posting, and what followed from it (M30)."""
        found = self.history.find(name)
        if found is None:
            self.causes.count(_unknown(name), name, 1, name, now_us)
            return
        base, first = found
        followed = [
            posting
            for posting in self.history.of(base)
            if posting.operation == first.operation and _RANK[posting.kind] > _RANK[first.kind]
        ]
        for posting in [*reversed(followed), first]:
            self._take_back(posting, base, now_us)
        if first.kind is PostingKind.CONFIRMATION:
            for case in self.queues.of(base):
                if (
                    case.derived
                    and case.draft.kind is not PostingKind.REVERSAL
                    and case.draft.operation == first.operation
                ):
                    self._withdraw(case)

    def _take_back(self, before: Posting, base: str, now_us: int) -> None:
        """Let a reversal go its way, unless there is one."""
        name = str(before.posting_id)
        if before.kind is PostingKind.REVERSAL:
            return
        if document_name(before.plant, name, PostingKind.REVERSAL, before.operation) in self.history:
            return
        waiting = [*self.queues.of(base), *self._derived]
        if any(case.draft.reverses == name for case in waiting):
            return
        draft = documents.reversal(before, Lane.STANDARD)
        reversing = Case(
            self._number(),
            now_us,
            base,
            draft,
            Sort.REVERSAL,
            self.history.revision(base) or 0,
            derived=True,
            erp=before.erp,
            erp_plant=before.erp_plant,
        )
        self._derived.append(reversing)

    def _undone(self, name: str, now_us: int) -> None:
        """Count what a posting made no longer: it was taken back, or withdrawn before it was sent."""
        found = self.history.find(name)
        if found is None:
            return
        undone, sign = found[1], -1
        if undone.kind is PostingKind.REVERSAL:  # What it would have taken back stays.
            original = self.history.find(undone.reverses)
            if original is None:
                return
            undone, sign = original[1], 1
        if undone.kind in {PostingKind.CONFIRMATION, PostingKind.GOODS_ISSUE}:
            if (undone.plant, undone.order) in self.orders:
                progress = self.orders.change(undone.plant, undone.order)
                progress.add(undone.operation, sign * undone.good, sign * undone.scrap, sign * undone.rework)
                progress.issue(undone.erp, undone.movements, sign)
                if undone.movements:
                    self._used[undone.erp, undone.plant, undone.order] = None
                self.queues.stirred(("progress", undone.plant, undone.order))
        elif sign < 0 and self.lots.look(undone.material, undone.lot) is not None:
            held = self.lots.change(undone.material, undone.lot).in_quality
            if (text := held.pop(name, None)) is not None:
                self._count_quality(CASE.validate_json(text).draft, len(held), now_us)

    def _tell_usage(self, now_us: int) -> None:
        """Tell of the components of the orders of which something was issued, or the plan has changed."""
        for concern in self._used:
            self._outcome.usages += usages(concern, self.orders.look(*concern[1:]), self.book, now_us)
        self._used.clear()

    # -- limits --------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether no more confirmations should come: as many cases wait as may, and since then few have gone."""
        size, most = self.queues.size, self.policy.waiting_max
        return size >= most or (size > most - most // 8 and self.causes.counted(_FULL, _WAITING) > 0)

    def _tell_full(self, now_us: int) -> None:
        self.causes.count(_FULL, _WAITING, self.queues.size if self.full else 0, "", now_us)

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _bound(self, name: str, now_us: int) -> Refused:
        """Count what is refused because a bound is reached."""
        failure = Failure(
            _C.BOUND_REACHED,
            (("item", name),),
            f"{name} is reached: what comes beyond it is kept as dead letters",
            f"settle the exceptions that are open, or raise postings.{name}",
        )
        self.counts["refused"] += name != "references_max"
        self.causes.count(failure, name, self.causes.counted(failure, name) + 1, "", now_us)
        return Refused(_C.BOUND_REACHED, failure.message)

    def _room_for_order(self, plant: str, order: str, now_us: int) -> None:
        """Make room for an order, at the cost of one that is closed. Raises: Refused."""
        if (plant, order) in self.orders or len(self.orders) < self.policy.orders_max:
            return
        for key in islice(self.orders, _LOOKED_AT):
            if self.book.closed(*key, now_us):
                self.orders.forget(key)
                return
        raise self._bound("orders_max", now_us)


def _lane(name: str) -> Lane | None:
    """Return the lane of this name, None where what is in it is not posted (M14, M16)."""
    return None if name == NOT_POSTED else Lane(name)


def _unknown(name: str) -> Failure:
    return Failure(
        _C.POSTING_UNKNOWN,
        (("item", name),),
        f"posting {name or '(none)'} is to be taken back and is not known, or not any more",
        "take its document back in the ERP, and discard this",
    )


_LOOKED_AT: Final = 1_000
_WAITING: Final = "waiting_max"
_FULL: Final = Failure(
    _C.BOUND_REACHED,
    (("item", _WAITING),),
    "waiting_max is reached: confirmations are read no further, and what was gathered waits to be offered again",
    "settle the exceptions that are open, or raise postings.waiting_max; reading goes on by itself",
)
_RANK: Final = {
    PostingKind.REVERSAL: -1,
    PostingKind.CONFIRMATION: 0,
    PostingKind.GOODS_ISSUE: 0,
    PostingKind.GOODS_RECEIPT: 1,
    PostingKind.STOCK_TRANSFER: 2,
}
"""What followed from what has a greater one."""
