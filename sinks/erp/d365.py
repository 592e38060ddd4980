"""Dynamics 365 Supply Chain Management: the message service for manufacturing execution systems.

A message is accepted when it arrives and processed later, messages of an order in the order they came. So what is
accepted has been handed over, and how its processing ended is the second level: ``movements``. A message that comes
twice is processed twice; whether one arrived can be asked only where ``messages_path`` is set, otherwise a lost
answer is CANNOT_TELL.

Source: DOMAIN 3.9; M26, M30, M32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from canonical.contracts.posting import Posting
from sinks.erp import d365_payload
from sinks.erp.connection import Connection, Reply, json_object, looked, refused
from sinks.erp.one_by_one import OneByOne
from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import D365Settings
from sinks.erp.unmappable import Unmappable

PAGE: Final = "1000"
PAGES_MAX: Final = 20
NOT_READ: Final = frozenset({404, 405})
"""How a service that only takes messages answers to a read, when it has seen our token."""
NOTHING: Final = Answer(Outcome.ACCEPTED, message="nothing to be told: the posting has no quantity and no time")

Message = Mapping[str, Any]


class D365Adapter(OneByOne):
    """One Dynamics 365 environment and legal entity."""

    def __init__(self, settings: D365Settings, pace: Pace | None = None) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._connection = Connection(settings, pace)

    def send(self, posting: Posting) -> Answer:
        """Send a message; it will be processed later."""
        try:
            message = d365_payload.message(posting, self._settings)
        except Unmappable as unmappable:
            return unmappable.answer()
        if message is None:
            return NOTHING
        kind, content = message
        body = {
            "_companyId": self._settings.company,
            "_messageQueue": self._settings.queue,
            "_messageType": kind,
            "_messageContent": content,
        }
        reply = self._connection.exchange(
            "POST",
            f"{self._settings.service_path}/SendMessage",
            writes=True,
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=orjson.dumps(body),
        )
        if isinstance(reply, Answer):
            return reply
        if 200 <= reply.status < 300:
            return self._arrived(posting)
        problem = json_object(reply.body)
        code, words = str(problem.get("ExceptionType") or ""), str(problem.get("Message") or "")
        if reply.status == 400 and words:
            return Answer(Outcome.REJECTED, code=f"D365/{code or reply.status}", message=words)
        return refused(reply, writes=True, message=words)

    def find(self, posting: Posting) -> Answer | None:
        """Ask whether the message of a posting arrived; how it was processed is for ``movements``."""
        try:
            if d365_payload.message(posting, self._settings) is None:
                return NOTHING
        except Unmappable:
            return None
        found = self._message(posting)
        return found if found is None or isinstance(found, Answer) else self._arrived(posting)

    def movements(self, posting: Posting, document: str) -> Answer | None:
        """Ask how the processing of a message ended."""
        found = self._message(posting)
        if found is None:
            # It was accepted, so somebody has removed it from the queue.
            return Answer(Outcome.CANNOT_TELL, message="the message is not in the list of messages any more")
        if isinstance(found, Answer):
            return found
        state = str(found.get("MessageState", ""))
        if state == "Processed":
            return Answer(Outcome.ACCEPTED, document)
        if state == "Failed":
            return Answer(Outcome.REJECTED, code="D365/Failed", message=str(found.get("Error", "")))
        return None

    def look(self) -> Answer:
        """Read one message; where there is no list of them, see whether the service lets us in."""
        query = {"limit": "1"} if self._settings.messages_path else None
        path = self._settings.messages_path or self._settings.service_path
        reply = self._connection.exchange("GET", path, writes=False, query=query)
        if isinstance(reply, Reply) and reply.status in NOT_READ and not self._settings.messages_path:
            return Answer(Outcome.ACCEPTED, message="it has nothing that could be read")
        return looked(reply)

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _arrived(self, posting: Posting) -> Answer:
        # The service gives no number; this names the message by what its content holds.
        document = f"{self._settings.company}/{posting.posting_id}"
        return Answer(Outcome.ACCEPTED, document, follows=self._settings.messages_path is not None)

    def _message(self, posting: Posting) -> Message | Answer | None:
        """Return the message of a posting; None where it did not arrive."""
        if self._settings.messages_path is None:
            words = "Dynamics does not say which messages arrived; look at its list of messages"
            return Answer(Outcome.CANNOT_TELL, message=words)
        after = "0"
        for _ in range(PAGES_MAX):
            reply = self._connection.exchange(
                "GET",
                self._settings.messages_path,
                writes=False,
                query={"order": posting.order, "after": after, "limit": PAGE},
                headers={"Accept": "application/json"},
            )
            if isinstance(reply, Answer):
                return reply
            page = json_object(reply.body)
            value = page.get("value")
            if not 200 <= reply.status < 300 or not isinstance(value, list):
                return refused(reply, writes=False)
            messages = [message for message in value if isinstance(message, dict)]
            for message in messages:
                if _posting_id(message) == str(posting.posting_id):
                    return message
            if not page.get("hasMore") or not messages:
                return None
            after = str(messages[-1].get("MessageNumber"))
        return Answer(Outcome.CANNOT_TELL, message=f"the order has more than {PAGES_MAX * int(PAGE)} messages")


def _posting_id(message: Message) -> str:
    return str(json_object(str(message.get("MessageContent", "")).encode()).get("PostingId", ""))
