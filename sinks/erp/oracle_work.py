"""Oracle's operation and material transactions of work orders.

Oracle books each detail of a request by itself, and answers 201 even where it refused them all. A posting is made
whole or not at all (M17): where some of its details were booked and others refused, those are taken back in the
same call. Where that does not succeed the answer is IN_DOUBT.

Nothing stops a second copy, and these resources cannot be read back (GET is 405). Where ``history_path`` names a
resource that lists transactions by TransactionNote, which is the posting's id, ``find`` compares them with the details
of the posting; what was booked in part is completed by the next ``send``. Without one it reads what the work order has
come to: where that is nothing, nothing was booked; otherwise CANNOT_TELL, and nobody guesses.

Source: DOMAIN 3.8; M17, M26, M30.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from canonical.contracts.posting import Posting, PostingKind
from canonical.units import QuantityError, thousandths
from sinks.erp import oracle_history, oracle_payload, oracle_replies
from sinks.erp.amounts import operation_number
from sinks.erp.connection import Connection, json_object, looked, refused
from sinks.erp.oracle_payload import Detail
from sinks.erp.oracle_replies import Item, children
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OracleSettings

WORK_ORDERS: Final = "workOrders"
MADE: Final = ("CompletedQuantity", "ScrappedQuantity", "RejectedQuantity")
# The posting is refused for good where one detail is; otherwise it waits for what takes longest.
SEVERITY: Final = (Outcome.REJECTED, Outcome.LOCKED, Outcome.UNAVAILABLE)
# Times alone, or that an operation is finished: Oracle sees that from the quantities.
NOTHING: Final = Answer(Outcome.ACCEPTED, message="nothing to be booked: the posting has no quantity")
UNKNOWN: Final = Answer(Outcome.CANNOT_TELL, message="Oracle's transactions cannot be read; look at the work order")
FOREIGN: Final = Answer(
    Outcome.CANNOT_TELL, message="Oracle has transactions with the posting's id that are none of its own; look at them"
)


class WorkTransactions:
    """What is posted to work orders."""

    def __init__(self, settings: OracleSettings, connection: Connection) -> None:
        """Know of nothing that was booked in part."""
        self._settings, self._connection = settings, connection
        self._begun: dict[UUID, Mapping[int, str]] = {}

    def send(self, posting: Posting) -> Answer:
        """Send what is not booked of a posting; what was booked of one that is refused is taken back.

        Raises: Unmappable.
        """
        resource, details = oracle_payload.details(posting, self._settings)
        if not details:
            return NOTHING
        begun = self._begun.pop(posting.posting_id, {})
        rest = [number for number in range(len(details)) if number not in begun]
        booked = self._booked(resource, [details[number] for number in rest])
        if isinstance(booked, Answer):
            if begun and booked.outcome is Outcome.REJECTED:
                return self._taken_back(resource, details, begun, booked)
            if begun:
                self._begun[posting.posting_id] = begun
            return booked
        made, failed = dict(begun), []
        for number, answer in zip(rest, booked, strict=True):
            if answer.outcome is Outcome.ACCEPTED:
                made[number] = answer.document
            else:
                failed.append(answer)
        if not failed:
            return _accepted(made)
        why = min(failed, key=lambda answer: SEVERITY.index(answer.outcome))
        return self._taken_back(resource, details, made, why) if made else why

    def find(self, posting: Posting) -> Answer | None:
        """Ask what of a posting is booked.

        Raises: Unmappable.
        """
        self._begun.pop(posting.posting_id, None)
        _, details = oracle_payload.details(posting, self._settings)
        if not details:
            return NOTHING
        if self._settings.history_path is None:
            return self._seen_in_work_order(posting)
        condition = f"TransactionNote={oracle_replies.quoted(str(posting.posting_id))}"
        rows = oracle_replies.items(self._connection, self._settings.history_path, condition)
        if isinstance(rows, Answer):
            return rows
        made = oracle_history.compared(details, rows)
        if made is None:
            return FOREIGN
        if len(made) == len(details):
            return _accepted(made)
        if made:
            self._begun[posting.posting_id] = made
        return None

    def look(self) -> Answer:
        """Read one work order, whichever."""
        query = {"limit": "1", "onlyData": "true"}
        path = f"{self._settings.path}/{WORK_ORDERS}"
        return looked(self._connection.exchange("GET", path, writes=False, query=query))

    def _seen_in_work_order(self, posting: Posting) -> Answer | None:
        """Ask what the work order has come to; that nothing was booked is all it can tell for certain."""
        if posting.kind is PostingKind.REVERSAL:
            return UNKNOWN
        found = oracle_replies.items(
            self._connection,
            f"{self._settings.path}/{WORK_ORDERS}",
            f"WorkOrderNumber={posting.order};OrganizationCode={posting.erp_plant}",
            expand="Operation,Material",
        )
        if isinstance(found, Answer):
            return found
        return None if len(found) == 1 and _nothing_booked(posting, found[0]) else UNKNOWN

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
            code, message = oracle_replies.problem(reply)
            if reply.status in oracle_replies.REFUSALS and code:
                return oracle_replies.refusal(code, message, self._settings)
            return refused(reply, writes=True, code=code, message=message)
        answered = json_object(reply.body).get(resource[1])
        if not isinstance(answered, list) or len(answered) != len(details):
            return _unreadable()
        answers = [self._answer(detail) for detail in answered]
        return _unreadable() if any(a.outcome is Outcome.IN_DOUBT for a in answers) else answers

    def _answer(self, detail: object) -> Answer:
        if not isinstance(detail, dict):
            return _unreadable()
        if str(detail.get("ErrorsExistFlag", "")).lower() == "true" or detail.get("ErrorMessages"):
            code, words = str(detail.get("ErrorMessageNames", "")), str(detail.get("ErrorMessages", ""))
            return oracle_replies.refusal(code, words, self._settings)
        document = detail.get("TransactionId")
        return Answer(Outcome.ACCEPTED, str(document)) if document else _unreadable()

    def _taken_back(
        self, resource: tuple[str, str], details: Sequence[Detail], made: Mapping[int, str], why: Answer
    ) -> Answer:
        """Take back what was booked of a posting, last first; return ``why`` it is refused once that is done."""
        back = [oracle_payload.opposite(details[number]) for number in sorted(made, reverse=True)]
        answers = self._booked(resource, back)
        if not isinstance(answers, Answer) and all(answer.outcome is Outcome.ACCEPTED for answer in answers):
            return why
        words = f"booked in part as {_accepted(made).document}, which could not be taken back; {why.message}"
        return Answer(Outcome.IN_DOUBT, code=why.code, message=words)


def _accepted(made: Mapping[int, str]) -> Answer:
    return Answer(Outcome.ACCEPTED, ",".join(made[number] for number in sorted(made)))


def _unreadable() -> Answer:
    return Answer(Outcome.IN_DOUBT, code="PLANTSYNC/unreadable", message="a success that does not say what was booked")


def _nothing_booked(posting: Posting, work_order: Item) -> bool:
    """Return whether none of what the posting would book has happened to the work order, in whatever unit."""
    if posting.kind is PostingKind.GOODS_RECEIPT:
        return _is_zero(work_order.get("CompletedQuantity"))
    if posting.movements:
        materials = {movement.material for movement in posting.movements}
        lines = [row for row in children(work_order, "Material") if row.get("ItemNumber") in materials]
        known = {row.get("ItemNumber") for row in lines} == materials
        return known and all(_is_zero(row.get("IssuedQuantity")) for row in lines)
    wanted = operation_number(posting.operation)
    steps = [row for row in children(work_order, "Operation") if row.get("OperationSequenceNumber") == wanted]
    return bool(steps) and all(_is_zero(row.get(name)) for row in steps for name in MADE)


def _is_zero(value: object) -> bool:
    try:
        return isinstance(value, int | float) and thousandths(value) == 0
    except QuantityError:
        return False
