"""Notices: the exceptions that a delivery opens, changes and closes, one for each cause (M11, M39, M40)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from canonical.contracts.business_exception import OWNERS, SEVERITIES, BusinessException, ExceptionCode, Resolution
from canonical.contracts.command import Action
from canonical.identity import exception_id
from dataflows.processors.delivery.entry import Entry

TEXT_MAX: Final = 1024
_C: Final = ExceptionCode
REMEDIES: Final = {
    _C.ERP_REJECTED: "Settle in the ERP what it says, then reprocess; or discard, and the quantity stays unposted.",
    _C.ERP_UNAVAILABLE: "See that the ERP and the way to it work, and its credentials; delivery goes on by itself.",
    _C.ERP_ORDER_LOCKED: "See who has the order open in the ERP; it is tried again by itself.",
    _C.ERP_ANSWER_UNKNOWN: "Look in the ERP: release to send it again where it is not there, discard where it is.",
    _C.MOVEMENT_FAILED: "Repair the goods movement in the ERP; it is asked again by itself.",
    _C.BOUND_REACHED: "Settle the exceptions of this ERP; until then nothing more of its queue is read.",
}
BY_ACTION: Final = {
    "release": Resolution.RELEASED,
    "reprocess": Resolution.REPROCESSED,
    "discard": Resolution.DISCARDED,
    "reverse": Resolution.DISCARDED,
}
"""How an exception ends by what a person decided."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an exception of the whole ERP says, and since when; the exceptions of a posting are in its entry."""

    code: ExceptionCode
    message: str
    opened_us: int


def notice_id(code: ExceptionCode, erp: str, concerns: str = "") -> UUID:
    """Return the id of an exception: of its code and of what it concerns, never of when."""
    return exception_id(code, (("erp", erp), ("posting_id", concerns)))


def of_posting(
    erp: str, entry: Entry, waiting: int, now_us: int, ended: Resolution = Resolution.OPEN, action: Action | None = None
) -> BusinessException:
    """Return the open exception of a posting as it is now, or as it ends."""
    posting, code = entry.posting, ExceptionCode(entry.notice)
    return _record(
        Notice(code, entry.message, entry.notice_us),
        notice_id(code, erp, entry.key),
        erp,
        waiting,
        now_us,
        ended,
        action,
    ).model_copy(
        update={
            "plant": posting.plant,
            "order": posting.order,
            "operation": posting.operation,
            "work_center": posting.work_center,
            "material": posting.material or (posting.movements[0].material if posting.movements else ""),
            "lot": posting.lot or (posting.movements[0].lot if posting.movements else ""),
            "posting_id": entry.key,
            "document": entry.document,
        }
    )


def of_erp(
    erp: str, notice: Notice, waiting: int, now_us: int, ended: Resolution = Resolution.OPEN
) -> BusinessException:
    """Return an exception that concerns the whole ERP."""
    return _record(notice, notice_id(notice.code, erp), erp, waiting, now_us, ended, None)


def _record(
    notice: Notice,
    known_as: UUID,
    erp: str,
    waiting: int,
    now_us: int,
    ended: Resolution,
    action: Action | None,
) -> BusinessException:
    return BusinessException.model_validate(
        {
            "exception_id": known_as,
            "code": notice.code,
            "resolution": ended,
            "owner": OWNERS[notice.code],
            "severity": SEVERITIES[notice.code],
            "erp": erp,
            "message": notice.message[:TEXT_MAX],
            "remedy": REMEDIES[notice.code],
            "waiting": waiting,
            "opened_us": notice.opened_us,
            "changed_us": now_us,
            "resolved_us": None if ended is Resolution.OPEN else now_us,
            "actor": "" if action is None else action.actor,
            "reason": "" if action is None else action.reason,
        }
    )
