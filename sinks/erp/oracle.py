"""Oracle Fusion Cloud SCM: operation and material transactions of work orders, over REST.

Oracle books each detail of a request by itself, and answers 201 even where it refused them all. A posting is made
whole or not at all (M17): where some of its details were booked and others refused, those are taken back in the
same call. Where that does not succeed the answer is IN_DOUBT, and a person must look.

Transactions cannot be read back, and nothing stops a second copy. ``find`` reads what the work order has come to:
where that is nothing, nothing was booked; otherwise CANNOT_TELL, and nobody guesses.

Source: DOMAIN 3.8; M17, M26, M30, M32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from canonical.contracts.posting import Posting, PostingKind
from canonical.units import QuantityError, thousandths
from sinks.erp import oracle_payload
from sinks.erp.connection import Connection, Reply, refused
from sinks.erp.one_by_one import OneByOne
from sinks.erp.oracle_payload import Detail
from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OracleSettings
from sinks.erp.unmappable import Unmappable

WORK_ORDERS: Final = "workOrders"
MADE: Final = ("CompletedQuantity", "ScrappedQuantity", "RejectedQuantity")
# The posting is refused for good where one detail is; otherwise it waits for what takes longest.
SEVERITY: Final = (Outcome.REJECTED, Outcome.LOCKED, Outcome.UNAVAILABLE)
# Times alone, or that an operation is finished: Oracle sees that from the quantities.
NOTHING: Final = Answer(Outcome.ACCEPTED, message="nothing to be booked: the posting has no quantity")


class OracleAdapter(OneByOne):
    """One Oracle Fusion instance."""

    def __init__(self, settings: OracleSettings, pace: Pace | None = None) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._connection = Connection(settings, pace)

    def send(self, posting: Posting) -> Answer:
        """Send a posting; what was booked of one that is refused in part is taken back."""
        try:
            resource, details = oracle_payload.details(posting, self._settings)
        except Unmappable as unmappable:
            return unmappable.answer()
        if not details:
            return NOTHING
        booked = self._booked(resource, details)
        if isinstance(booked, Answer):
            return booked
        failed = [answer for answer in booked if answer.outcome is not Outcome.ACCEPTED]
        made = [answer.document for answer in booked if answer.outcome is Outcome.ACCEPTED]
        if not failed:
            return Answer(Outcome.ACCEPTED, ",".join(made))
        why = min(failed, key=lambda answer: SEVERITY.index(answer.outcome))
        if not made:
            return why
        halves = [d for d, a in zip(details, booked, strict=True) if a.outcome is Outcome.ACCEPTED]
        return self._taken_back(resource, halves, made, why)

    def find(self, posting: Posting) -> Answer | None:
        """Ask what the work order has come to; that nothing was booked is all it can tell for certain."""
        try:
            _, details = oracle_payload.details(posting, self._settings)
        except Unmappable:
            return None
        if not details:
            return NOTHING
        unknown = Answer(Outcome.CANNOT_TELL, message="Oracle's transactions cannot be read; look at the work order")
        if posting.kind is PostingKind.REVERSAL:
            return unknown
        condition = f"WorkOrderNumber={posting.order};OrganizationCode={posting.erp_plant}"
        reply = self._connection.exchange(
            "GET",
            f"{self._settings.path}/{WORK_ORDERS}",
            writes=False,
            query={"q": condition, "expand": "Operation,Material", "onlyData": "true"},
            headers={"Accept": "application/json"},
        )
        if isinstance(reply, Answer):
            return reply
        if not 200 <= reply.status < 300:
            return refused(reply, writes=False, message=_problem(reply)[1])
        items = _object(reply.body).get("items")
        if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
            return unknown
        return None if _nothing_booked(posting, items[0]) else unknown

    def movements(self, posting: Posting, document: str) -> Answer | None:  # noqa: ARG002 - the port's signature
        """Return that all is done: a transaction moves its goods itself."""
        return Answer(Outcome.ACCEPTED, document)

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _booked(self, resource: tuple[str, str], details: Sequence[Detail]) -> list[Answer] | Answer:
        """Send details; return an answer for each, or one where the request as a whole was not taken."""
        reply = self._connection.exchange(
            "POST",
            f"{self._settings.path}/{resource[0]}",
            writes=True,
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=oracle_payload.request(resource, list(details), self._settings),
        )
        if isinstance(reply, Answer):
            return reply
        if not 200 <= reply.status < 300:
            code, message = _problem(reply)
            if reply.status in {400, 404, 409, 422} and code:
                return self._refusal(code, message)
            return refused(reply, writes=True, code=code, message=message)
        answered = _object(reply.body).get(resource[1])
        if not isinstance(answered, list) or len(answered) != len(details):
            return _unreadable()
        answers = [self._answer(detail) for detail in answered]
        return _unreadable() if any(a.outcome is Outcome.IN_DOUBT for a in answers) else answers

    def _answer(self, detail: object) -> Answer:
        if not isinstance(detail, dict):
            return _unreadable()
        if str(detail.get("ErrorsExistFlag", "")).lower() == "true" or detail.get("ErrorMessages"):
            return self._refusal(str(detail.get("ErrorMessageNames", "")), str(detail.get("ErrorMessages", "")))
        document = detail.get("TransactionId")
        return Answer(Outcome.ACCEPTED, str(document)) if document else _unreadable()

    def _refusal(self, code: str, message: str) -> Answer:
        outcome = Outcome.REJECTED
        if code in self._settings.locked_codes:
            outcome = Outcome.LOCKED
        elif code in self._settings.transient_codes:
            outcome = Outcome.UNAVAILABLE
        return Answer(outcome, code=code, message=message)

    def _taken_back(
        self, resource: tuple[str, str], details: Sequence[Detail], made: Sequence[str], why: Answer
    ) -> Answer:
        """Take back what was booked of a posting, last first; return ``why`` it is refused once that is done."""
        back = self._booked(resource, [oracle_payload.opposite(detail) for detail in reversed(details)])
        if not isinstance(back, Answer) and all(answer.outcome is Outcome.ACCEPTED for answer in back):
            return why
        words = f"booked in part as {', '.join(made)}, which could not be taken back; {why.message}"
        return Answer(Outcome.IN_DOUBT, code=why.code, message=words)


def _unreadable() -> Answer:
    return Answer(Outcome.IN_DOUBT, code="PLANTSYNC/unreadable", message="a success that does not say what was booked")


def _nothing_booked(posting: Posting, work_order: Mapping[str, Any]) -> bool:
    """Return whether none of what the posting would book has happened to the work order, in whatever unit."""
    if posting.kind is PostingKind.GOODS_RECEIPT:
        return _is_zero(work_order.get("CompletedQuantity"))
    if posting.movements:
        lines = [
            row
            for row in _rows(work_order, "Material")
            for m in posting.movements
            if row.get("ItemNumber") == m.material
        ]
        known = {row.get("ItemNumber") for row in lines} >= {m.material for m in posting.movements}
        return known and all(_is_zero(row.get("IssuedQuantity")) for row in lines)
    wanted = oracle_payload.operation_sequence(posting.operation)
    steps = [row for row in _rows(work_order, "Operation") if row.get("OperationSequenceNumber") == wanted]
    return bool(steps) and all(_is_zero(row.get(name)) for row in steps for name in MADE)


def _rows(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the rows of a child, which is a list or a collection of its own."""
    found = parent.get(name)
    found = found.get("items") if isinstance(found, dict) else found
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _is_zero(value: object) -> bool:
    try:
        return isinstance(value, int | float) and thousandths(value) == 0
    except QuantityError:
        return False


def _problem(reply: Reply) -> tuple[str, str]:
    """Return (code, words) of an error of the whole request; empty where it is not in Oracle's form."""
    problem = _object(reply.body)
    inner = problem.get("o:errorDetails")
    first = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], dict) else problem
    code = first.get("o:errorCode") or problem.get("o:errorCode") or ""
    return str(code), str(first.get("detail") or problem.get("title") or "")


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
