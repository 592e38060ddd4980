"""Attribution: a confirmation that names no order gets the one that was at its work centre while it was made.

Law: it waits for ``settle_us``; then it gets the order that was there from its first event to its last, and cites the
mark that says so. Where there was none, or more than one, it waits in a line of its own for a mark or a person.

Source: M22; DOMAIN 2.3 (machine counts never reach the order); docs/decisions/0028.
"""

from __future__ import annotations

from dataclasses import replace

from canonical.contracts import ExceptionCode
from dataflows.processors.posting.case import Case
from dataflows.processors.posting.checks import View
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.reference_book import Subject
from dataflows.processors.posting.verdict import Attributed


def attributed(case: Case, view: View) -> Attributed | Failure:
    """Return the draft with its order; a failure while it waits to settle, or where no order can be told."""
    draft, presence = case.draft, view.presence
    view.book.looked.add(awaited(draft.plant, draft.work_center))
    if view.now_us - case.arrived_us < presence.policy.settle_us:
        return _settling(draft)
    mark = presence.at(draft.plant, draft.work_center, draft.operation, draft.start_us, draft.end_us)
    if isinstance(mark, Failure):
        return mark
    return Attributed(
        replace(
            draft,
            order=mark.order,
            operation=draft.operation or mark.operation,
            causes=(*draft.causes, mark.event_id),
            unattributed=False,
        )
    )


def awaited(plant: str, work_center: str) -> Subject:
    """Return what such a confirmation waits on: marks of its work centre."""
    return ("presence", plant, work_center)


def _settling(draft: Draft) -> Failure:
    # Of a cause of its own, so that an open exception of the work centre does not count what only waits to settle.
    concerns = (("plant", draft.plant), ("work_center", draft.work_center), ("item", "settling"))
    return Failure(ExceptionCode.NO_ORDER_ACTIVE, concerns, "it names no order, and marks may still come", "")
