"""Casework: how cases are settled, wait, go on and are taken back; the desk's inner half.

Laws: a case that fails waits with what follows it in its line; what waits is asked again when something its checks
looked at has changed, or its time has come. What follows from a case, and what takes one back, is a case of its own.

Source: M10, M12, M19, M24, M30; docs/decisions/0015.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from canonical.contracts import (
    Action,
    Lane,
    Posting,
    PostingKind,
    Resolution,
    StockType,
    UnpostedState,
)
from dataflows.processors.posting import documents, reversals
from dataflows.processors.posting.accounting import Accounting
from dataflows.processors.posting.case import Case, Line
from dataflows.processors.posting.causes import Causes
from dataflows.processors.posting.checks import View
from dataflows.processors.posting.context import Contexts
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.examination import examined
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.finals import ending
from dataflows.processors.posting.gathering import Gathering
from dataflows.processors.posting.history import History
from dataflows.processors.posting.limits import Limits, Refused
from dataflows.processors.posting.lots import LotShelf
from dataflows.processors.posting.outcome import Outcome
from dataflows.processors.posting.policy import LANES, NOT_POSTED, PostingPolicy, Sort
from dataflows.processors.posting.presence import Presence
from dataflows.processors.posting.progress import OrderShelf
from dataflows.processors.posting.quality import Quality
from dataflows.processors.posting.queues import Queues
from dataflows.processors.posting.reference_book import ReferenceBook
from dataflows.processors.posting.reversals import Reversals
from dataflows.processors.posting.usage import Concern, usages
from dataflows.processors.posting.verdict import Attributed, Ready, RuledOut, Verdict


class Casework:
    """Settles cases. ``counts`` tells what became of those that came in."""

    def __init__(self, policy: PostingPolicy) -> None:
        self.policy = policy
        self.book = ReferenceBook(policy.references_max)
        self.lots = LotShelf()
        self.orders = OrderShelf()
        self.history = History(policy.remembered_max)
        self.queues = Queues()
        self.accounting = Accounting()
        self.causes = Causes(policy.exceptions_max, self.queues.length)
        self.counts: Counter[str] = Counter()
        self._next = 0
        self._derived: deque[Case] = deque()
        self._ended: list[Line] = []
        self._ending: tuple[Resolution, Action | None] = (Resolution.REVALIDATED, None)
        self._lanes = {sort: _lane(policy.lanes.get(sort, LANES[sort])) for sort in Sort}
        self.presence = Presence(policy.attribution)
        self.gathering = Gathering(policy.gathering)
        self._view = View(self.book, self.lots, policy, self.presence)
        self._contexts = Contexts(self.book)
        self._outcome = Outcome()
        self._used: dict[Concern, None] = {}
        self._urgent = False
        self._quality = Quality(self.lots, self.causes)
        self._reversals = Reversals(self.history, self.orders, self.queues, self._quality)
        self._limits = Limits(policy, self.causes, self.queues, self.counts)

    @property
    def pending(self) -> bool:
        """Whether something has been decided that was not taken yet."""
        decided = self._outcome.postings or self._outcome.commands or self._used
        return bool(decided) or self.causes.pending or self.accounting.pending

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
            self.accounting.ended(draft, UnpostedState.RULED_OUT, f"{sort} is {NOT_POSTED}")
            return True
        self._limits.room_for_order(draft.plant, draft.order, self.orders, self.book, now_us)
        if not self._newest(draft, base, revision, now_us):
            return False
        self._run(now_us)  # What is taken back goes first.
        self._arrive(Case(self._number(), now_us, base, draft, sort, revision), now_us)
        self._run(now_us)
        return True

    def _newest(self, draft: Draft, base: str, revision: int, now_us: int) -> bool:
        """Return whether nothing is known that is as new; what is older makes way, and what it posted is taken back."""
        posted = self.history.revision(base)
        held = self.queues.of(base)
        if posted is None and not held:
            return True
        known = max([case.revision for case in held] + ([] if posted is None else [posted]))
        if revision <= known:
            self.counts["copies" if revision == known else "superseded"] += 1
            if revision < known:
                self.accounting.ended(draft, UnpostedState.SUPERSEDED, f"revision {known} came before it")
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
        self.accounting.went_on(case)
        why = "a newer revision is there, or what it follows from was taken back"
        self.accounting.ended(case.draft, UnpostedState.SUPERSEDED, why)
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
        self.accounting.waits(case)
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
        self.accounting.went_on(self.queues.pop(line))
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
        due_us: int | None = head.arrived_us + self.policy.patience_of_us(failure.code)
        if due_us is not None and due_us <= now_us:
            first = (head.draft.causes or (head.draft.cause,))[0]
            due_us = None if self.causes.tell(failure, first, now_us) else now_us + self.policy.patience_us
        self.queues.rest(line, frozenset(self.book.looked), due_us)

    # -- postings ------------------------------------------------------------------------------

    def _settle(self, case: Case, verdict: tuple[Ready, ...] | RuledOut | Attributed, now_us: int) -> None:
        posted: tuple[Ready, ...] = ()
        if isinstance(verdict, tuple):
            posted = verdict
            if not case.derived:
                self.counts["posted"] += 1
        elif isinstance(verdict, Attributed):
            self._attribute(case, verdict.draft, now_us)
            return
        else:
            self._rule_out(case, verdict, now_us)
        if case.draft.kind is PostingKind.GOODS_ISSUE and not case.derived:
            # Lines of components that the ERP issues itself are left out (M18).
            left_out = len(case.draft.movements) - sum(len(ready.draft.movements) for ready in posted)
            self.counts["backflushed"] += left_out
        for ready in posted:
            self._post(case, ready, now_us)

    def _rule_out(self, case: Case, verdict: RuledOut, now_us: int) -> None:
        """End a case without a posting."""
        self.accounting.ended(case.draft, verdict.state, verdict.why)
        if not case.derived:
            self.counts[verdict.state.replace("-", " ")] += 1
        if verdict.state is UnpostedState.NOT_COUNTED and case.draft.final:
            # Whoever counts: that the operation is complete holds.
            self._follow(case, ending(case.draft), case.sort, now_us)

    def _post(self, case: Case, ready: Ready, now_us: int) -> None:
        """Make a posting, and what follows from it."""
        draft = ready.draft
        progress = self.orders.change(draft.plant, draft.order)
        lane = self._lanes[case.sort] or Lane.STANDARD
        made = documents.made(ready, progress.number(ready.erp), lane, case.arrived_us)
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
                self._quality.lay(case, ready, made.posting_id, now_us)
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

    def _go(self, case: Case, now_us: int) -> None:
        """Let a case that has no number yet go its way, behind those that do already."""
        self._derived.append(replace(case, number=self._number(), arrived_us=now_us))

    def _attribute(self, case: Case, draft: Draft, now_us: int) -> None:
        """Let a case whose order was found go that order's way, where there is room for the order."""
        try:
            self._limits.room_for_order(draft.plant, draft.order, self.orders, self.book, now_us)
        except Refused as refused:
            self.accounting.ended(draft, UnpostedState.REFUSED, refused.detail)
            return
        self.counts["attributed"] += 1
        if self.gathering.finals is not None:
            self.gathering.finals.heard(draft.plant, draft.order, draft.operation, now_us)
        self._go(replace(case, draft=draft), now_us)

    # -- quality -------------------------------------------------------------------------------

    def _said(self, material: str, lot: str, at_us: int, now_us: int, *, released: bool) -> None:
        """Take a word on a lot: receipts wait for it, or lie in quality stock. Raises: Refused."""
        self._limits.room_for_lot(material, lot, self.lots, now_us)
        self.lots.said(material, lot, at_us, released=released)
        self.queues.stirred(("quality", lot))
        for case in self._quality.free(lot, now_us):
            self._go(case, now_us)
        self._run(now_us)

    # -- taking back ---------------------------------------------------------------------------

    def _reverse(self, name: str, now_us: int) -> None:
        """Take back a posting, and what followed from it (M30)."""
        found = self.history.find(name)
        if found is None:
            self.causes.count(reversals.unknown(name), name, 1, name, now_us)
            return
        base, first = found
        for posting in self._reversals.chain(base, first):
            self._take_back(posting, base, now_us)
        if first.kind is PostingKind.CONFIRMATION:
            for case in self._reversals.waiting(base, first):
                self._withdraw(case)

    def _take_back(self, before: Posting, base: str, now_us: int) -> None:
        """Let a reversal go its way, unless there is one."""
        case = self._reversals.of(before, base, self._derived)
        if case is not None:
            self._go(case, now_us)

    def _undone(self, name: str, now_us: int) -> None:
        """Count what a posting made no longer: it was taken back, or withdrawn before it was sent."""
        concern = self._reversals.undone(name, now_us)
        if concern is not None:
            self._used[concern] = None

    # -- usage ---------------------------------------------------------------------------------

    def _tell_usage(self, now_us: int) -> None:
        """Tell of the components of the orders of which something was issued, or the plan has changed."""
        for concern in self._used:
            self._outcome.usages += usages(concern, self.orders.look(*concern[1:]), self.book, now_us)
        self._used.clear()

    # -- limits --------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether no more confirmations should come: as many cases wait as may, and since then few have gone."""
        return self._limits.full

    def _number(self) -> int:
        self._next += 1
        return self._next


def _lane(name: str) -> Lane | None:
    """Return the lane of this name, None where what is in it is not posted (M14, M16)."""
    return None if name == NOT_POSTED else Lane(name)
