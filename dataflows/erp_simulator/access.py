"""Who may ask: basic authentication, OAuth2 client credentials, and SAP's sessions with CSRF tokens.

Sessions and tokens live in memory: a restarted ERP knows none of them, and clients have to cope.
No credential is ever logged or kept with a request.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final, TypeVar
from urllib.parse import parse_qs

from dataflows.erp_simulator.chance import token

COOKIE: Final = "SAP_SESSIONID_SIM_100"
DEFAULT_KEY: Final = "simulated"
_REMEMBERED_MAX: Final = 10_000
_V = TypeVar("_V")


class Access:
    """The one user of an ERP, her tokens and sessions."""

    def __init__(self, user: str, key: str, seed: int, *, token_s: int = 3600, session_s: int = 1800) -> None:
        """Let ``user`` in with ``key``; both are also client id and client secret."""
        self.token_s, self.session_s = token_s, session_s
        self._user, self._key, self._seed = user, key, seed
        self._tokens: dict[str, int] = {}
        self._sessions: dict[str, tuple[str, int]] = {}
        self._issued = 0

    def grant(self, headers: Mapping[str, str], form: bytes, now_us: int) -> dict[str, object] | None:
        """Return the answer of the token endpoint; None where the client is not known."""
        fields = {name: values[0] for name, values in parse_qs(form.decode("latin-1")).items()}
        if fields.get("grant_type") != "client_credentials":
            return None
        posted = (fields.get("client_id", ""), fields.get("client_secret", ""))
        if not self._basic(headers) and not self._same(*posted):
            return None
        value = self._new("token")
        _bounded(self._tokens)[value] = now_us + self.token_s * 1_000_000
        return {"access_token": value, "token_type": "Bearer", "expires_in": self.token_s}

    def known(self, headers: Mapping[str, str], now_us: int, *, basic: bool) -> bool:
        """Return whether the request carries credentials that hold now; ``basic``: a password will do."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.get(value.strip(), 0) > now_us
        return basic and self._basic(headers)

    def open_session(self, headers: Mapping[str, str], now_us: int) -> tuple[str, str]:
        """Return (cookie, CSRF token) of the request's session; a new one where it has none that holds."""
        cookie = _cookie(headers)
        value, until_us = self._sessions.get(cookie, ("", 0))
        if until_us <= now_us:
            cookie, value = self._new("session"), self._new("csrf")
        _bounded(self._sessions)[cookie] = (value, now_us + self.session_s * 1_000_000)
        return cookie, value

    def in_session(self, headers: Mapping[str, str], now_us: int) -> bool:
        """Return whether cookie and CSRF token of the request belong together and hold now."""
        value, until_us = self._sessions.get(_cookie(headers), ("", 0))
        return until_us > now_us and hmac.compare_digest(value, headers.get("x-csrf-token", ""))

    def expire_sessions(self) -> None:
        """Forget every session."""
        self._sessions.clear()

    def expire_tokens(self) -> None:
        """Forget every OAuth token."""
        self._tokens.clear()

    def _new(self, what: str) -> str:
        self._issued += 1
        return token(self._seed, what, self._issued)

    def _basic(self, headers: Mapping[str, str]) -> bool:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, key = b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return self._same(user, key)

    def _same(self, user: str, key: str) -> bool:
        return hmac.compare_digest(user.encode(), self._user.encode()) and hmac.compare_digest(
            key.encode(), self._key.encode()
        )


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _bounded(table: dict[str, _V]) -> dict[str, _V]:
    while len(table) >= _REMEMBERED_MAX:
        del table[next(iter(table))]
    return table
