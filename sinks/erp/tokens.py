"""OAuth2 tokens of a client: fetched when needed, shared by all threads, forgotten when refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]

from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OAuthSettings

LEEWAY_S: Final = 30


class Tokens:
    """The access token that holds now."""

    def __init__(
        self, settings: OAuthSettings, timeout_s: tuple[float, float], configure: Callable[[requests.Session], None]
    ) -> None:
        """Fetch nothing yet; ``configure`` sets up TLS, proxy and bounds."""
        self._settings = settings
        self._lock = threading.Lock()
        self._token = ""
        self._timeout_s = timeout_s
        self._client = OAuth2Session(
            settings.client_id,
            settings.client_secret.get_secret_value(),
            token_endpoint_auth_method=settings.auth_method,
            scope=settings.scope or None,
        )
        configure(self._client)

    def current(self) -> str | Answer:
        """Return the token, a new one where there is none or it runs out; an answer where it cannot be had."""
        with self._lock:
            if not self._token or self._client.token.is_expired(LEEWAY_S):
                fetched = self._fetched()
                if isinstance(fetched, Answer):
                    return fetched
                self._token = fetched
            return self._token

    def refused(self, token: str) -> None:
        """Forget a token that the ERP does not accept; one that another thread has fetched since stays."""
        with self._lock:
            if token == self._token:
                self._token = ""

    def close(self) -> None:
        """Close the connections to the token endpoint."""
        self._client.close()

    def _fetched(self) -> str | Answer:
        try:
            token = self._client.fetch_token(
                self._settings.token_url,
                grant_type="client_credentials",
                timeout=self._timeout_s,
                allow_redirects=False,
            )
            value = str(token["access_token"])
            # It becomes a header.
            return value if value.isascii() and value.isprintable() else _unusable("it is no text of a header")
        except AuthlibBaseError as error:
            # A description may quote what was sent.
            return Answer(Outcome.UNAUTHORISED, code=f"OAUTH/{error.error}", message="the client gets no token")
        except requests.HTTPError as error:
            return _refused(error)
        except (OSError, ValueError, KeyError, TypeError) as error:
            return _unusable(type(error).__name__)


def _unusable(why: str) -> Answer:
    return Answer(Outcome.UNAVAILABLE, code="OAUTH/no-token", message=f"no token: {why}")


def _refused(error: requests.HTTPError) -> Answer:
    status = error.response.status_code if error.response is not None else 0
    outcome = Outcome.UNAUTHORISED if status in {400, 401, 403} else Outcome.UNAVAILABLE
    return Answer(outcome, code=f"OAUTH/HTTP-{status}", message="the token endpoint refuses")
