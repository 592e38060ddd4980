"""SAP's CSRF tokens: fetched with a read, sent with every write together with the cookies of their session."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sinks.erp.connection import Connection, Reply, refused
from sinks.erp.port import Answer, Outcome

HEADER: Final = "x-csrf-token"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Session:
    """A token and the cookies it belongs to; neither is any good without the other."""

    token: str
    cookies: Mapping[str, str]


class SapSession:
    """Reads and writes of one OData service, for several threads that share a session."""

    def __init__(self, connection: Connection, service: str, client: str) -> None:
        """Fetch nothing yet; ``client`` may be empty."""
        self._connection = connection
        self._service = service
        self._client = {"sap-client": client} if client else {}
        self._lock = threading.Lock()
        self._session: Session | None = None

    def look(self) -> Answer:
        """Open a session of its own, as each write needs one."""
        fetched = self._fetched()
        return fetched if isinstance(fetched, Answer) else Answer(Outcome.ACCEPTED)

    def read(self, resource: str, query: Mapping[str, str]) -> Reply | Answer:
        """Get a resource of the service."""
        return self._connection.exchange(
            "GET",
            f"{self._service}/{resource}",
            writes=False,
            query={**self._client, "$format": "json", **query},
            headers={"Accept": JSON},
        )

    def write(self, resource: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Reply | Answer:
        """Post to a resource; where the session turns out to have ended, once again in a new one."""
        for _ in range(2):
            session = self._current()
            if isinstance(session, Answer):
                return session
            reply = self._connection.exchange(
                "POST",
                f"{self._service}/{resource}",
                writes=True,
                query={**self._client, **query},
                headers={**headers, HEADER: session.token},
                body=body,
                cookies=session.cookies,
            )
            if isinstance(reply, Answer) or reply.status != 403 or reply.headers.get(HEADER, "").lower() != "required":
                return reply
            self._ended(session)
        return Answer(Outcome.UNAVAILABLE, code="PLANTSYNC/csrf", message="the new session has ended at once, too")

    def _current(self) -> Session | Answer:
        with self._lock:
            if self._session is None:
                fetched = self._fetched()
                if isinstance(fetched, Answer):
                    return fetched
                self._session = fetched
            return self._session

    def _ended(self, session: Session) -> None:
        """Forget a session; one that another thread has opened since stays."""
        with self._lock:
            if self._session is session:
                self._session = None

    def _fetched(self) -> Session | Answer:
        reply = self._connection.exchange(
            "GET",
            f"{self._service}/",
            writes=False,
            query=self._client,
            headers={HEADER: "Fetch", "Accept": JSON},
        )
        if isinstance(reply, Answer):
            return reply
        token = reply.headers.get(HEADER, "")
        if token and token.lower() != "required" and reply.status < 400:
            return Session(token, reply.cookies)
        if reply.status < 300:
            return Answer(Outcome.UNAVAILABLE, code="PLANTSYNC/csrf", message="the service gives no CSRF token")
        return refused(reply, writes=False)
