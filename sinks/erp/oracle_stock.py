"""Oracle's transfers of stock: a line in the interface of inventory transactions, which Oracle then processes.

A line is there until it is processed, and stays with an error where it cannot be. So what is staged is accepted,
and how its processing ended is the second level: ``processed``. Staged lines are found by SourceCode and
SourceHeaderId, which is made from the posting's id; processed ones by their reference, which is the id. ``send`` looks
before it stages, and removes what was refused before, so that the same transfer twice is one.

Source: Oracle's REST API for SCM, inventoryStagedTransactions (modes; a request that takes too long is a 408, its line
stays) and inventoryCompletedTransactions; M13, M19, M26.
"""

from __future__ import annotations

from typing import Final

from canonical.contracts.posting import Posting
from sinks.erp import oracle_payload, oracle_replies
from sinks.erp.connection import Connection, json_object, refused
from sinks.erp.oracle_replies import Item, quoted
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OracleSettings
from sinks.erp.transfers import Transfer

STAGED: Final = "inventoryStagedTransactions"
COMPLETED: Final = "inventoryCompletedTransactions"
JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}


class StockTransactions:
    """What is moved without a work order."""

    def __init__(self, settings: OracleSettings, connection: Connection) -> None:
        """Keep nothing."""
        self._settings, self._connection = settings, connection

    def send(self, posting: Posting, move: Transfer) -> Answer:
        """Stage a transfer that is not there yet.

        Raises: Unmappable.
        """
        body = oracle_payload.staged(posting, move, self._settings)
        return self._before(posting) or self._stage(body)

    def find(self, posting: Posting) -> Answer | None:
        """Ask for the line of a posting, then for its transaction: a line that is processed goes from here to there."""
        for look in (self._staged, self._completed):
            found = look(posting)
            if isinstance(found, Answer):
                return found
            if found:
                fault = _fault(found[0])
                return oracle_replies.refusal(*fault, self._settings) if fault else self._arrived(found[0])
        return None

    def processed(self, posting: Posting) -> Answer | None:
        """Ask how the processing of a line ended."""
        found = self.find(posting)
        if found is None:
            words = "the line is neither staged nor among the completed transactions; look whether somebody removed it"
            return Answer(Outcome.CANNOT_TELL, message=words)
        return None if found.outcome is Outcome.ACCEPTED and found.follows else found

    def _before(self, posting: Posting) -> Answer | None:
        """Return what became of a transfer that was sent before; None where nothing did, or no longer does."""
        for look in (self._staged, self._completed):
            found = look(posting)
            if isinstance(found, Answer):
                return found
            for line in found:
                answer = self._removed(line) if _fault(line) else self._arrived(line)
                if answer is not None:
                    return answer
        return None

    def _stage(self, body: bytes) -> Answer:
        reply = self._connection.exchange(
            "POST", f"{self._settings.path}/{STAGED}", writes=True, headers=JSON, body=body
        )
        if isinstance(reply, Answer):
            return reply
        code, words = oracle_replies.problem(reply)
        if 200 <= reply.status < 300:
            line = json_object(reply.body)
            if fault := _fault(line):
                return oracle_replies.refusal(*fault, self._settings)
            if line.get("TransactionInterfaceId"):
                return self._arrived(line)
            return Answer(Outcome.IN_DOUBT, code="PLANTSYNC/unreadable", message="a success without a line")
        if reply.status in oracle_replies.REFUSALS and code:
            return oracle_replies.refusal(code, words, self._settings)
        if reply.status == 408:
            # It was given up while it was processed; the line stays, and is processed later.
            return Answer(Outcome.IN_DOUBT, code=code or "HTTP/408", message=words or "the line waits to be processed")
        return refused(reply, writes=True, code=code, message=words)

    def _staged(self, posting: Posting) -> list[Item] | Answer:
        source = oracle_payload.source_header(posting.posting_id)
        condition = f"SourceCode={quoted(self._settings.source_system)};SourceHeaderId={source}"
        return oracle_replies.items(self._connection, f"{self._settings.path}/{STAGED}", condition)

    def _completed(self, posting: Posting) -> list[Item] | Answer:
        condition = f"Reference={quoted(str(posting.posting_id))}"
        return oracle_replies.items(self._connection, f"{self._settings.path}/{COMPLETED}", condition)

    def _removed(self, line: Item) -> Answer | None:
        """Remove a line that was refused; return why that cannot be done."""
        path = f"{self._settings.path}/{STAGED}/{line.get('TransactionInterfaceId')}"
        reply = self._connection.exchange("DELETE", path, writes=True, headers=JSON)
        if isinstance(reply, Answer):
            return reply
        if 200 <= reply.status < 300 or reply.status == 404:
            return None
        return refused(reply, writes=True, message=oracle_replies.problem(reply)[1])

    @staticmethod
    def _arrived(line: Item) -> Answer:
        """Return the acceptance of a line, or of the transaction that it has become."""
        if line.get("TransactionId"):
            return Answer(Outcome.ACCEPTED, str(line["TransactionId"]))
        return Answer(Outcome.ACCEPTED, f"interface/{line['TransactionInterfaceId']}", follows=True)


def _fault(line: Item) -> tuple[str, str] | None:
    """Return (code, words) of a line that cannot be processed."""
    code, words = line.get("ErrorCode"), line.get("ErrorExplanation")
    return (str(code or "ORACLE/error"), str(words or "")) if code or words else None
