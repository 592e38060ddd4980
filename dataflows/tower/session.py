"""Sessions: who is signed in, in a signed cookie, so that a server that is started anew knows her still.

Law: a cookie counts only if this server signed it, it is not past its end, and it has not been ended by signing out.
The token of its forms follows from it and from the server's key, so no other site can know it.

Source: RFC 2104 (HMAC), RFC 6265bis (cookies).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from dataflows.tower.person import Grant, Person, Role

KEY_BYTES: Final = 32
ID_BYTES: Final = 16
COOKIE_BYTES_MAX: Final = 3_500
"""A browser keeps 4,096 bytes of a cookie with its name and attributes."""
ENDED_MAX: Final = 10_000


class SessionTooLarge(Exception):
    """The grants of a person do not fit into a cookie."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in; ``token_id`` names the token it was done with, empty where that was another way."""

    id: str
    person: Person
    expires_us: int
    token_id: str = ""


class Seal:
    """Signs and reads values that browsers keep for us; ``purpose`` keeps one kind from passing for another."""

    def __init__(self, key: bytes) -> None:
        """Sign with a key of at least 32 bytes that nobody can guess."""
        assert len(key) >= KEY_BYTES
        self._key = key

    def sign(self, purpose: str, value: Any) -> str:
        """Return a value with its signature."""
        body = base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()
        return f"{body}.{self.digest(purpose, body)}"

    def read(self, purpose: str, text: str) -> Any:
        """Return the value, None where it was not signed here or for this."""
        body, _, signature = text.partition(".")
        if not text.isascii() or not hmac.compare_digest(signature, self.digest(purpose, body)):
            return None
        return orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

    def digest(self, purpose: str, text: str) -> str:
        """Return the signature of a text."""
        return hmac.new(self._key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


class Sessions:
    """The sessions of one server."""

    def __init__(self, seal: Seal, session_us: int, chance: Callable[[int], bytes]) -> None:
        """Let sessions last so long; ``chance`` gives bytes that nobody can guess."""
        self._seal, self._session_us, self._chance = seal, session_us, chance
        self._ended: dict[str, int] = {}

    def begin(self, person: Person, now_us: int, token_id: str = "") -> str:
        """Return the cookie of a new session. Raises: SessionTooLarge."""
        grants = [[grant.role.value, list(grant.plants)] for grant in person.grants]
        value = {
            "id": self._chance(ID_BYTES).hex(),
            "subject": person.subject,
            "name": person.name,
            "grants": grants,
            "expires_us": now_us + self._session_us,
            "token_id": token_id,
        }
        cookie = self._seal.sign("session 1", value)
        if len(cookie) > COOKIE_BYTES_MAX:
            raise SessionTooLarge(f"{person.subject} has more roles and plants than a cookie holds")
        return cookie

    def read(self, cookie: str, now_us: int) -> Session | None:
        """Return the session of a cookie, None where it does not count."""
        value = self._seal.read("session 1", cookie)
        if value is None or value["expires_us"] <= now_us or value["id"] in self._ended:
            return None
        grants = tuple(Grant(Role(role), tuple(plants)) for role, plants in value["grants"])
        person = Person(value["subject"], value["name"], grants)
        return Session(value["id"], person, value["expires_us"], value["token_id"])

    def end(self, session: Session, now_us: int) -> None:
        """Let a session count no longer."""
        self._ended = {name: until for name, until in self._ended.items() if until > now_us}
        while len(self._ended) >= ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = session.expires_us

    def form_token(self, session: Session) -> str:
        """Return what the forms of a session carry."""
        return self._seal.digest("form", session.id)

    def is_form_token(self, session: Session, given: str) -> bool:
        """Return whether a form is of this session."""
        return given.isascii() and hmac.compare_digest(given, self.form_token(session))
