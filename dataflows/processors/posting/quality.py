"""Quality: the receipts that lie in quality stock, and what is to be done once their lot is released (M19).

Law: each receipt into quality stock is transferred once, when the quality system has released its lot; until then it
counts in the exception that says so. A receipt that is taken back is transferred no more.

State: none of its own; the cases of the transfers are kept by lot, in ``LotShelf``.
"""

from __future__ import annotations

from canonical.contracts import Lane, Posting
from dataflows.processors.posting import checks, documents
from dataflows.processors.posting.case import CASE, Case
from dataflows.processors.posting.causes import Causes
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.lots import LotShelf
from dataflows.processors.posting.policy import Sort
from dataflows.processors.posting.verdict import Ready


class Quality:
    """Receipts by lot, and the word that frees them."""

    def __init__(self, lots: LotShelf, causes: Causes) -> None:
        self._lots, self._causes = lots, causes

    def lay(self, case: Case, ready: Ready, name: str, now_us: int) -> None:
        """Remember what is to be done once the lot is released, and tell that it was not in time.

        Args: ready: the receipt, posted for the case under the id ``name``.
        """
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
        known = self._lots.change(draft.material, draft.lot)
        known.in_quality[name] = CASE.dump_json(moved).decode()
        self._count(draft, len(known.in_quality), now_us)

    def free(self, lot: str, now_us: int) -> list[Case]:
        """Return the transfers of the lots of this name that are released now; they have no number yet."""
        freed: list[Case] = []
        for key in self._lots.in_quality(lot):
            if self._lots.released(*key):
                known = self._lots.change(*key)
                for text in known.in_quality.values():
                    case = CASE.validate_json(text)
                    freed.append(case)
                    self._count(case.draft, 0, now_us)
                known.in_quality.clear()
        return freed

    def take_out(self, receipt: Posting, name: str, now_us: int) -> None:
        """Forget a receipt that was taken back, by the id under which it was laid."""
        if self._lots.look(receipt.material, receipt.lot) is not None:
            held = self._lots.change(receipt.material, receipt.lot).in_quality
            if (text := held.pop(name, None)) is not None:
                self._count(CASE.validate_json(text).draft, len(held), now_us)

    def _count(self, draft: Draft, waiting: int, now_us: int) -> None:
        self._causes.count(checks.not_released(draft), "in quality stock", waiting, draft.cause, now_us)
