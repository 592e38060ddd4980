"""The exceptions a log holds, what a person may decide about one, and the decision written down (M12, M29, M35, M39).

Law: a decision is an ``Action`` in the stream ``actions`` and an entry of the audit trail, committed together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

import orjson
from pydantic import ValidationError

from canonical.contracts import Action, ActionKind, BusinessException, ExceptionCode, Posting, Resolution, TrailAction
from canonical.identity import NAMESPACE
from dataflows.processors.posting.examination import BINDING
from dataflows.settings import Settings
from dataflows.stored_records import stored_records
from dataflows.trail.operator_trail import OperatorTrail, operator_trail
from sinks.commit_log import PlantsyncError, Record
from sinks.streams import ACTIONS, EXCEPTIONS, postings
from sinks.trail import Deed, Head

_C: Final = ExceptionCode
ID_MIN: Final = 4
"""Characters of an id's beginning that may stand for it."""


class ExceptionUnknown(PlantsyncError):
    """There is no such exception, or several begin so."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which exceptions are meant; an empty value means any."""

    code: ExceptionCode | None = None
    plant: str = ""
    order: str = ""
    erp: str = ""
    owner: str = ""
    ended: bool = False

    def lets(self, each: BusinessException) -> bool:
        """Return whether an exception is meant."""
        wanted = ((self.plant, each.plant), (self.order, each.order), (self.erp, each.erp), (self.owner, each.owner))
        return (
            (self.ended or each.resolution is Resolution.OPEN)
            and (self.code is None or each.code is self.code)
            and all(not asked or asked == found for asked, found in wanted)
        )


def exceptions(settings: Settings) -> dict[str, BusinessException]:
    """Return the newest record of each exception, by id, those that changed last at the end.

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    found: dict[str, BusinessException] = {}
    for place, stored in stored_records(settings, EXCEPTIONS):
        try:
            record = BusinessException.model_validate_json(stored.value)
        except ValidationError as error:
            raise PlantsyncError(f"record {place} of the exceptions is none: see who else writes to it") from error
        found.pop(str(record.exception_id), None)
        found[str(record.exception_id)] = record
    return found


def named(known: dict[str, BusinessException], names: Iterable[str]) -> list[BusinessException]:
    """Return the exceptions with these ids, or beginnings of ids. Raises: ExceptionUnknown."""
    chosen = []
    for name in names:
        fits = [key for key in known if key.startswith(name.lower())] if len(name) >= ID_MIN else []
        if len(fits) != 1:
            what = f"{len(fits)} exceptions begin with {name}" if fits else f"there is no exception {name}"
            raise ExceptionUnknown(f"{what}: plantsync exceptions list --all shows them")
        chosen.append(known[fits[0]])
    return chosen


@dataclass(frozen=True, slots=True)
class Effect:
    """What a decision would do, in words; ``possible`` is false where it would do nothing."""

    possible: bool
    words: str


_AGAIN: Final = "it is sent to {erp} again{behind}"
_AT_ONCE: Final = "{erp} is tried at once"
_STAYS: Final = "document {document} stays as it is, and is asked about no more"
_K: Final = ActionKind
_WORDS: Final = {
    (_C.ERP_REJECTED, _K.RELEASE): _AGAIN,
    (_C.ERP_REJECTED, _K.REPROCESS): _AGAIN,
    (_C.ERP_ORDER_LOCKED, _K.RELEASE): _AGAIN,
    (_C.ERP_ORDER_LOCKED, _K.REPROCESS): _AGAIN,
    (_C.ERP_ANSWER_UNKNOWN, _K.RELEASE): "it is sent again{behind}; only where {erp} has no document of it",
    (_C.ERP_ANSWER_UNKNOWN, _K.REPROCESS): "{erp} is asked again whether it made the document",
    (_C.ERP_UNAVAILABLE, _K.RELEASE): _AT_ONCE,
    (_C.ERP_UNAVAILABLE, _K.REPROCESS): _AT_ONCE,
    (_C.MOVEMENT_FAILED, _K.RELEASE): _STAYS,
    (_C.MOVEMENT_FAILED, _K.REPROCESS): "{erp} is asked again what became of document {document}",
    (_C.MOVEMENT_FAILED, _K.DISCARD): _STAYS,
}
"""What delivery does with a decision, where it is not what discarding does to any."""
_BY_KIND: Final = {
    _K.RELEASE: "{waiting} pass in spite of it",
    _K.REPROCESS: "{waiting} are checked again",
    _K.DISCARD: "{waiting} are not posted, and their quantity stays unposted",
}


def effect(about: BusinessException, kind: ActionKind) -> Effect:
    """Return what this decision about this exception does."""
    why_not = _impossible(about, kind)
    if why_not:
        return Effect(possible=False, words=f"nothing: {why_not}")
    behind = f", and the {about.waiting - 1} behind it go on in their order" if about.waiting > 1 else ""
    words = _WORDS.get((about.code, kind), _BY_KIND[kind])
    if kind is ActionKind.DISCARD and about.code in OF_DELIVERY and about.code is not _C.MOVEMENT_FAILED:
        words = "it is not posted, and its quantity stays unposted{behind}"
    told = {"erp": about.erp, "document": about.document, "waiting": about.waiting}
    return Effect(possible=True, words=words.format(behind=behind, **told))


OF_DELIVERY: Final = frozenset(code for code, _ in _WORDS)
"""Codes of what delivery has met; all others are of the checks before it."""


def _impossible(about: BusinessException, kind: ActionKind) -> str:
    """Return why a decision would change nothing; empty where it would."""
    if about.resolution is not Resolution.OPEN:
        return f"it has ended ({about.resolution.value})"
    if about.code is _C.BOUND_REACHED:
        return "it ends when the exceptions that fill the bound are settled"
    if about.code is _C.ERP_UNAVAILABLE and kind is ActionKind.DISCARD:
        return "an outage cannot be discarded"
    if kind is ActionKind.RELEASE and about.code in BINDING:
        return "without what it asks for there is nothing that could be posted"
    return ""


def posting_of(settings: Settings, about: BusinessException) -> Posting | None:
    """Return the posting an exception of an ERP is about, None where it is about none."""
    if about.erp and about.posting_id:
        for _, stored in stored_records(settings, postings(about.erp)):
            if about.posting_id.encode() in stored.value:
                posting = Posting.model_validate_json(stored.value)
                if str(posting.posting_id) == about.posting_id:
                    return posting
    return None


def decide(trail: OperatorTrail, kind: ActionKind, subject: str, actor: str, reason: str, at_us: int) -> Head:
    """Write down what a person decided about an exception, or, to reverse it, about a posting.

    Raises: WriterFenced where somebody else has acted meanwhile; as ``CommitLog.commit`` otherwise.
    """
    head = Head.of(trail.state)
    number = 0 if head is None else head.number + 1
    reverse = kind is ActionKind.REVERSE
    action = Action(
        action_id=uuid5(NAMESPACE, orjson.dumps(("action", number, kind, subject, actor, at_us)).decode()),
        kind=kind,
        exception_id="" if reverse else subject,
        posting_id=subject if reverse else "",
        actor=actor,
        reason=reason,
        at_us=at_us,
    )
    value = action.model_dump_json().encode()
    deed = Deed(
        TrailAction(kind.value),
        actor=actor,
        subject=subject,
        reason=reason,
        after=hashlib.sha256(value).hexdigest(),
        detail=value.decode(),
    )
    record = Record(ACTIONS, subject.encode(), value, (("content-type", b"application/json"),))
    return trail.append(deed, at_us, {}, records=[record])


def settle(
    settings: Settings, kind: ActionKind, subjects: Iterable[str], who: tuple[str, str], clock: Callable[[], int]
) -> None:
    """Write decisions into the log, each with its entry in the audit trail.

    Args:    who: the actor, and her reason.
    Raises:  as ``decide``.
    """
    with operator_trail(settings) as trail:
        for subject in subjects:
            decide(trail, kind, subject, *who, clock())


def is_id(text: str) -> bool:
    """Return whether a text is an id of a posting."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
