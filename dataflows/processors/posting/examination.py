"""An examination: a case taken through all checks, to what is to be posted or to what fails first.

Laws: it changes nothing, so it may be repeated whenever something it depends on has changed. Of a completion that
confirms several operations, the last takes scrap, rework and times; those before it have let all of it pass as good.
Who counts for the last decides whether it counts at all; one of those before that only others count is left to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from canonical.contracts import (
    ExceptionCode,
    MaterialReference,
    OrderOperation,
    OrderReference,
    PostingKind,
    RouteReference,
    StockType,
    UnpostedState,
)
from dataflows.processors.posting import checks, components, moves
from dataflows.processors.posting.attribution import attributed
from dataflows.processors.posting.case import Case
from dataflows.processors.posting.checks import View
from dataflows.processors.posting.context import Context, Contexts, key_of
from dataflows.processors.posting.conversion import in_unit
from dataflows.processors.posting.draft import Draft, counted_by
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.progress import OrderProgress
from dataflows.processors.posting.verdict import Ready, RuledOut, Verdict

_C: Final = ExceptionCode
BINDING: Final = frozenset(
    {_C.ROUTE_MISSING, _C.ORDER_UNKNOWN, _C.OPERATION_UNMAPPED, _C.UNIT_NOT_CONVERTIBLE, _C.PERIOD_CLOSED}
    | {_C.QUALITY_RELEASE_MISSING, _C.BIN_UNMAPPED, _C.RESIDENCY_REFUSED, _C.NO_ORDER_ACTIVE, _C.ORDER_AMBIGUOUS}
)
"""Nobody can let these through: without what they ask for there is nothing that could be posted."""


T = TypeVar("T")


class Failed(Exception):
    """A check failed, and nobody has let it pass."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def examined(case: Case, view: View, contexts: Contexts, progress: OrderProgress) -> Verdict:
    """Return what a case comes to as things are now."""
    if case.draft.unattributed:
        return attributed(case, view)
    try:
        return _Examination(case, view, contexts, progress).verdict()
    except Failed as failed:
        return failed.failure


class _Examination:
    """The checks of one case."""

    __slots__ = ("case", "contexts", "draft", "passing", "progress", "view")

    def __init__(self, case: Case, view: View, contexts: Contexts, progress: OrderProgress) -> None:
        self.case, self.draft, self.view, self.contexts, self.progress = case, case.draft, view, contexts, progress
        self.passing = case.waived | view.policy.unchecked if case.waived else view.policy.unchecked

    def verdict(self) -> Verdict:
        if self.draft.kind is PostingKind.CONFIRMATION:
            return self._confirmation()
        route = self._route()
        match self.draft.kind:
            case PostingKind.GOODS_RECEIPT:
                return (self._receipt(route),)
            case _:
                return self._movements(route)

    def _confirmation(self) -> Verdict:
        draft = self.draft
        if not (_made(draft) or _times(draft) or draft.final):
            return RuledOut("nothing was made")
        key = key_of(draft)
        context = None if self.case.waived or self.case.erp else self.contexts.get(key)
        if context is None:
            found = self._context()
            if not isinstance(found, tuple):
                return found
            draft, context = found
            if draft.unit == self.draft.unit and not self.case.waived and not self.case.erp:
                self.contexts.keep(key, context)
        elif context.material != draft.material:
            draft = replace(draft, material=context.material)
        route, order, posted, _, day, _ = context
        reason = self._or(checks.reason_of(draft, self.view), "")
        parts = tuple(_shares(draft, posted, reason))
        if order is not None:
            self._within_limits(parts, posted, order)
        last = order.operations[-1].operation if order is not None and order.operations else None
        return tuple(
            Ready(part, route.erp, route.erp_plant, day, order if part.operation == last and part.good else None)
            for part in parts
        )

    def _context(self) -> tuple[Draft, Context] | RuledOut:
        """Look up all that does not depend on quantities; return the draft in the order's unit with it."""
        draft, view = self.draft, self.view
        view.book.timed = False
        route = self._route()
        order = self._order(route)
        steps = self._found(checks.steps_of(draft, view))
        if not steps:
            return RuledOut("completions at the work centre are not posted")
        known = [(self._operation(name, order), work_center) for name, work_center in steps]
        own = [pair for pair in known if order is None or not checks.confirmed_by_milestone(pair[0], order)]
        if not own:
            return RuledOut("a milestone confirms the operation")
        if order is not None:
            source, last = counted_by(draft), own[-1][0]
            if not checks.counts(source, last, order):
                others = ", ".join(last.counting_sources or order.counting_sources)
                why = f"operation {last.operation} of order {order.order} is counted by {others}, not by {source}"
                return RuledOut(why, UnpostedState.NOT_COUNTED)
            # Where others count one of those before, they post it.
            own = [pair for pair in own if checks.counts(source, pair[0], order)]
        posted = []
        for operation, work_center in own:
            named = work_center or operation.work_center or draft.work_center
            posted.append((operation, self._or(checks.work_center_of(draft, named, view), named)))
        draft = self._in_order_unit(order)
        day = self._found(checks.day_of(draft, route.erp, view))
        return draft, Context(route, order, tuple(posted), draft.material, day, frozenset(view.book.looked))

    def _receipt(self, route: RouteReference) -> Ready:
        draft, view = self.draft, self.view
        self._order(route)
        material = view.book.material(draft.material, draft.end_us)
        view.book.looked.add(("quality", draft.lot))
        if material is not None and material.inspected and not view.lots.released(draft.material, draft.lot):
            if view.now_us - self.case.arrived_us < view.policy.quality_timeout_us:
                raise Failed(checks.not_released(draft))
            movements = tuple(m.model_copy(update={"stock_type": StockType.QUALITY}) for m in draft.movements)
            draft = replace(draft, movements=movements)
        return Ready(draft, route.erp, route.erp_plant, self._found(checks.day_of(draft, route.erp, view)))

    def _movements(self, route: RouteReference) -> Verdict:
        draft, view = self.draft, self.view
        order = self._order(route) if draft.order or draft.kind is not PostingKind.STOCK_TRANSFER else None
        if not self.case.derived:
            found = self._in_erp_words(order)
            if isinstance(found, RuledOut):
                return found
            draft = found
            for movement in draft.movements:
                if fault := checks.movement_fault(draft, movement, view):
                    self._or(fault, None)
        return (Ready(draft, route.erp, route.erp_plant, self._found(checks.day_of(draft, route.erp, view))),)

    def _in_erp_words(self, order: OrderReference | None) -> Draft | RuledOut:
        """Return the draft with places, movement types and reservations, where it was gathered in the plant's words."""
        draft, book = self.draft, self.view.book
        if all(movement.movement_type for movement in draft.movements):
            return draft
        if draft.kind is PostingKind.STOCK_TRANSFER:
            placed = moves.placed(draft, book)
            return RuledOut("both bins are one place") if placed is None else self._found(placed)
        issue = components.issue(draft, order.components if order is not None else ())
        for movement in issue.unknown if order is not None else ():
            self._or(components.component_unknown(draft, movement), None)
        if issue.backflushed and self.view.policy.backflushed == "exception":
            self._or(components.component_backflushed(draft, issue.backflushed[0]), None)
        if not (issue.movements or issue.unknown):
            return RuledOut("the ERP issues the components itself")
        return self._found(components.taken_from(draft, issue, book))

    # -- single checks -------------------------------------------------------------------------

    def _route(self) -> RouteReference:
        case = self.case
        if case.erp:
            return RouteReference(changed_us=0, plant=case.draft.plant, erp=case.erp, erp_plant=case.erp_plant)
        return self._found(checks.route_of(self.draft, self.view))

    def _order(self, route: RouteReference) -> OrderReference | None:
        found = checks.order_of(self.draft, route, self.view)
        if isinstance(found, Failure):
            known = self.view.book.order(route.erp, self.draft.plant, self.draft.order, self.view.now_us)
            return self._or(found, known)
        return found

    def _operation(self, name: str, order: OrderReference | None) -> OrderOperation:
        found = OrderOperation(operation=name) if order is None else checks.operation_of(self.draft, name, order)
        return self._or(found, OrderOperation(operation=name)) if isinstance(found, Failure) else found

    def _in_order_unit(self, order: OrderReference | None) -> Draft:
        """Return the draft with the order's material and unit; its material and its lot are looked at on the way."""
        draft, view = self.draft, self.view
        if order is None:
            return draft
        name = self._or(checks.product_of(draft, order), order.material)
        material = self._or(checks.material_of(draft, name, view), None)
        if material is not None:
            if fault := checks.lot_fault(draft, material, draft.lot, view):
                self._or(fault, None)
        elif order.unit != draft.unit:
            material = MaterialReference(changed_us=0, material=name or "-", base_unit=order.unit)
        if material is None or order.unit == draft.unit:
            return draft if name == draft.material else replace(draft, material=name)
        quantities = (draft.good, draft.scrap, draft.rework)
        made = self._found(in_unit(draft, quantities, draft.unit, order.unit, material))
        return replace(draft, material=name, unit=order.unit, good=made[0], scrap=made[1], rework=made[2])

    def _within_limits(
        self, parts: tuple[Draft, ...], posted: Sequence[tuple[OrderOperation, str]], order: OrderReference
    ) -> None:
        """See that no operation yields too much, those of the same completion counting already."""
        self.view.book.looked.add(("progress", self.draft.plant, self.draft.order))
        good: dict[str, int] = {}
        for part, (operation, _) in zip(parts, posted, strict=True):
            total = good[operation.operation] = self.progress.good(operation.operation) + part.good
            before = checks.predecessor(operation.operation, order)
            if before is not None:
                limit = good.get(before, self.progress.good(before))
                if fault := checks.within_predecessor(part, before, total, limit):
                    self._or(fault, None)
            if fault := checks.within_tolerance(part, operation, order, total):
                self._or(fault, None)

    def _found(self, found: T | Failure) -> T:
        """Return what a check found. Raises: Failed."""
        if isinstance(found, Failure):
            raise Failed(found)
        return found

    def _or(self, found: T | Failure, otherwise: T) -> T:
        """Return what a check found, or the other where its failure is let pass. Raises: Failed."""
        if not isinstance(found, Failure):
            return found
        if found.code in self.passing and found.code not in BINDING:
            return otherwise
        raise Failed(found)


def _made(draft: Draft) -> int:
    return draft.good or draft.scrap or draft.rework


def _times(draft: Draft) -> int:
    return draft.setup_us or draft.machine_us or draft.labour_us


def _shares(draft: Draft, posted: Sequence[tuple[OrderOperation, str]], reason: str) -> Iterator[Draft]:
    """Yield the draft of each operation that one completion confirms."""
    for operation, work_center in posted[:-1]:
        passed = draft.good + draft.scrap + draft.rework
        yield replace(
            draft,
            operation=operation.operation,
            work_center=work_center,
            good=passed,
            scrap=0,
            rework=0,
            setup_us=0,
            machine_us=0,
            labour_us=0,
            reason="",
        )
    operation, work_center = posted[-1]
    yield _named(draft, operation.operation, work_center, reason)


def _named(draft: Draft, operation: str, work_center: str, reason: str) -> Draft:
    """Return the draft with the ERP's names."""
    if (draft.operation, draft.work_center, draft.reason) == (operation, work_center, reason):
        return draft
    return replace(draft, operation=operation, work_center=work_center, reason=reason)
