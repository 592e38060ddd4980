"""A case: a draft on its way through the desk, and the line it stands in.

Law: cases of one line are posted in the order in which they came; a line that fails holds up nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from canonical.contracts import ExceptionCode, PostingKind
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.policy import Sort


class Line(NamedTuple):
    """What waits behind each other: an operation of an order, a lot received from it, its issues."""

    plant: str
    order: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Case:
    """A draft with its place in the order of arrival, ``number``, and when it came.

    ``base`` is the same for all revisions of a draft and for what follows from it; ``derived`` is what the desk made
    itself from another case. ``erp`` binds it to an ERP: what is taken back is so where it was posted.
    ``waived`` are the codes that a person has decided do not count.
    """

    number: int
    arrived_us: int
    base: str
    draft: Draft
    sort: Sort
    revision: int = 0
    derived: bool = False
    erp: str = ""
    erp_plant: str = ""
    waived: frozenset[ExceptionCode] = frozenset()

    @property
    def line(self) -> Line:
        """Return where it waits."""
        return line_of(self.draft)


CASE: Final[TypeAdapter[Case]] = TypeAdapter(Case)
"""Reads and writes a case as JSON."""


def line_of(draft: Draft) -> Line:
    """Return the line of a draft: what is said of an operation by several machines is one line, whoever said it."""
    if draft.unattributed:
        return Line(draft.plant, "", "confirmation", draft.cause)  # the next one may be of another order
    match draft.kind:
        case PostingKind.CONFIRMATION | PostingKind.REVERSAL:
            named = ("operation", draft.operation) if draft.operation else ("work_center", draft.work_center)
            return Line(draft.plant, draft.order, *named)
        case PostingKind.GOODS_RECEIPT:
            return Line(draft.plant, draft.order, "lot", draft.lot)
        case _:
            return Line(draft.plant, draft.order, draft.kind, draft.lot or draft.material or draft.operation)
