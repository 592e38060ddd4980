"""Reversals: which postings are taken back, and what the desk counts no longer then (M30).

Laws: a posting is taken back at most once, and after what followed from it. What was taken back, or withdrawn before
it was sent, is counted no longer; where a reversal is withdrawn, what it would have taken back counts again.

State: none of its own; it reads what was posted and changes what the orders have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from canonical.contracts import ExceptionCode, Lane, Posting, PostingKind
from canonical.identity import document_name
from dataflows.processors.posting import documents
from dataflows.processors.posting.case import Case
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.history import History
from dataflows.processors.posting.policy import Sort
from dataflows.processors.posting.progress import OrderShelf
from dataflows.processors.posting.quality import Quality
from dataflows.processors.posting.queues import Queues
from dataflows.processors.posting.usage import Concern


class Reversals:
    """What takes a posting back, and what that changes."""

    def __init__(self, history: History, orders: OrderShelf, queues: Queues, quality: Quality) -> None:
        self._history, self._orders, self._queues, self._quality = history, orders, queues, quality

    def chain(self, base: str, first: Posting) -> list[Posting]:
        """Return a posting and what followed from it, in the order in which they are to be taken back."""
        followed = [
            posting
            for posting in self._history.of(base)
            if posting.operation == first.operation and _RANK[posting.kind] > _RANK[first.kind]
        ]
        return [*reversed(followed), first]

    def waiting(self, base: str, first: Posting) -> list[Case]:
        """Return the cases that follow from a confirmation and wait: they go with it, but what takes something back."""
        return [
            case
            for case in self._queues.of(base)
            if case.derived and case.draft.kind is not PostingKind.REVERSAL and case.draft.operation == first.operation
        ]

    def of(self, before: Posting, base: str, going: Iterable[Case]) -> Case | None:
        """Return the case that takes a posting back, without a number yet; None where there is one.

        Args: going: the cases that follow from others and have not arrived in a line.
        """
        name = str(before.posting_id)
        if before.kind is PostingKind.REVERSAL:
            return None
        if document_name(before.plant, name, PostingKind.REVERSAL, before.operation) in self._history:
            return None
        if any(case.draft.reverses == name for case in (*self._queues.of(base), *going)):
            return None
        draft = documents.reversal(before, Lane.STANDARD)
        return Case(
            0,
            0,
            base,
            draft,
            Sort.REVERSAL,
            self._history.revision(base) or 0,
            derived=True,
            erp=before.erp,
            erp_plant=before.erp_plant,
        )

    def undone(self, name: str, now_us: int) -> Concern | None:
        """Count what a posting made no longer; return the order whose usage of components that changes."""
        found = self._history.find(name)
        if found is None:
            return None
        undone, sign = found[1], -1
        if undone.kind is PostingKind.REVERSAL:  # What it would have taken back stays.
            original = self._history.find(undone.reverses)
            if original is None:
                return None
            undone, sign = original[1], 1
        if undone.kind in {PostingKind.CONFIRMATION, PostingKind.GOODS_ISSUE}:
            if (undone.plant, undone.order) in self._orders:
                progress = self._orders.change(undone.plant, undone.order)
                progress.add(undone.operation, sign * undone.good, sign * undone.scrap, sign * undone.rework)
                progress.issue(undone.erp, undone.movements, sign)
                self._queues.stirred(("progress", undone.plant, undone.order))
                if undone.movements:
                    return undone.erp, undone.plant, undone.order
        elif sign < 0:
            self._quality.take_out(undone, name, now_us)
        return None


def unknown(name: str) -> Failure:
    """Return the failure of taking back what is not known."""
    return Failure(
        ExceptionCode.POSTING_UNKNOWN,
        (("item", name),),
        f"posting {name or '(none)'} is to be taken back and is not known, or not any more",
        "take its document back in the ERP, and discard this",
    )


_RANK: Final = {
    PostingKind.REVERSAL: -1,
    PostingKind.CONFIRMATION: 0,
    PostingKind.GOODS_ISSUE: 0,
    PostingKind.GOODS_RECEIPT: 1,
    PostingKind.STOCK_TRANSFER: 2,
}
"""What followed from what has a greater one."""
