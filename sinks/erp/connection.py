"""HTTP to one ERP: pooled, bounded in time and size, and honest about what may have been executed.

Laws: ``exchange`` never raises for what a network or a server does. It returns the server's reply, or an ``Answer``
that is UNAVAILABLE where the request certainly did not arrive, and IN_DOUBT where a writing request may have. No
redirect is followed, no cookie kept, no proxy and no password taken from the environment, and nothing is logged.

Source: RFC 9110 (Retry-After, methods), RFC 6749 section 4.4 (client credentials); requests, authlib.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import HttpSettings
from sinks.erp.tokens import Tokens

TRACEPARENT: Final[ContextVar[str]] = ContextVar("traceparent", default="")
"""What the requests of this thread are part of, for the ERP; empty where nobody traces them (W3C Trace Context)."""
RETRY_AFTER_S_MAX: Final = 86_400.0
CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server sent; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Mapping[str, str]


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; empty where it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


class AnswerTooLong(requests.RequestException):
    """An answer is longer, or takes longer, than the settings allow; it was given up."""


class BoundedTransport(HTTPAdapter):
    """Reads the body of an answer as it comes, and stops at a length and a time."""

    def __init__(self, settings: HttpSettings) -> None:
        """Keep up to ``connections_max`` connections; never retry."""
        super().__init__(pool_connections=2, pool_maxsize=settings.connections_max, max_retries=0, pool_block=True)
        self._settings = settings

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and return the response with its body read."""
        response = super().send(request, *args, **kwargs)
        # Set before reading, so that a failure leaves no body that requests would read for itself, without bounds.
        response._content_consumed = True  # noqa: SLF001 - requests has no other way to hand over a body
        try:
            response._content = self._body(response)  # noqa: SLF001 - as above
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            response.close()
        return response

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        until = time.monotonic() + self._settings.answer_timeout_s
        # What has arrived, and not until so much has: a server that drips must not hold a thread for ever.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._settings.response_bytes_max:
                raise AnswerTooLong(f"longer than {self._settings.response_bytes_max} bytes")
            if time.monotonic() > until:
                raise AnswerTooLong(f"not whole after {self._settings.answer_timeout_s:g} s")
        return bytes(body)


class Connection:
    """Requests to one ERP, with its credentials; for several threads."""

    def __init__(self, settings: HttpSettings, pace: Pace | None = None) -> None:
        """Open nothing yet; ``pace`` is asked before each request."""
        self._settings, self._pace = settings, pace
        self._timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        self._session = requests.Session()
        configure(self._session, settings)
        self._tokens = None
        if settings.oauth is not None:
            self._tokens = Tokens(settings.oauth, self._timeout, lambda session: configure(session, settings))

    def exchange(
        self,
        method: str,
        path: str,
        *,
        writes: bool,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> Reply | Answer:
        """Send one request; where an OAuth token turns out not to hold any more, once again with a new one.

        Args:
            method: of HTTP.
            path: below the base URL.
            writes: whether the ERP may change something, so that a lost answer leaves a doubt.
            query: parameters, escaped here.
            headers: of the request.
            body: of the request.
            cookies: sent with the request; those of the reply are in the reply.
        """
        url = f"{self._settings.base_url}{path}" + (f"?{escaped(query)}" if query else "")
        sent = dict(headers or {})
        if parent := TRACEPARENT.get():
            sent["traceparent"] = parent
        request = requests.Request(method, url, sent, data=body, cookies=dict(cookies or {}))
        if self._tokens is None:
            assert self._settings.password is not None
            # By hand, so that they travel as UTF-8 (RFC 7617): requests would write Latin-1, which knows no euro sign.
            pair = f"{self._settings.user}:{self._settings.password.get_secret_value()}"
            sent["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            return self._sent(request, writes=writes)
        for renewed in (False, True):
            token = self._tokens.current()
            if isinstance(token, Answer):
                return token
            sent["Authorization"] = f"Bearer {token}"
            reply = self._sent(request, writes=writes)
            if renewed or isinstance(reply, Answer) or reply.status != 401:
                break
            self._tokens.refused(token)
        return reply

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
        if self._tokens is not None:
            self._tokens.close()

    def _sent(self, request: requests.Request, *, writes: bool) -> Reply | Answer:
        if self._pace is not None and (wait_s := self._pace.wait()) > 0:
            words = "not sent: more requests than the ERP's rate allows"
            return Answer(Outcome.THROTTLED, code="PLANTSYNC/pace", message=words, retry_after_s=wait_s)
        try:
            response = self._session.send(
                self._session.prepare_request(request), timeout=self._timeout, allow_redirects=False
            )
        except OSError as error:  # of which RequestException is one
            return lost(error, writes=writes)
        return Reply(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
            {cookie.name: cookie.value or "" for cookie in response.cookies},
        )


def escaped(query: Mapping[str, str]) -> str:
    """Return parameters as they stand in a URL: a blank is %20, which OData servers read everywhere."""
    return urlencode(query, safe="$'(),:", quote_via=quote)


def configure(session: requests.Session, settings: HttpSettings) -> None:
    """Set a session up as the settings say; the environment has no part in it."""
    session.trust_env = False
    session.headers["User-Agent"] = "plantsync"
    session.verify = str(settings.ca_file) if settings.ca_file else True
    session.proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else {}
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedTransport(settings))


def lost(error: OSError, *, writes: bool) -> Answer:
    """Return what an exchange without a reply comes to. The words name no URL and no credential."""
    words = f"no answer: {type(error).__name__}"
    if isinstance(error, AnswerTooLong):
        words += f", {error}"
    reached = not (isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError) or _unsent(error))
    outcome = Outcome.IN_DOUBT if reached and writes else Outcome.UNAVAILABLE
    return Answer(outcome, code=f"NET/{type(error).__name__}", message=words)


def _unsent(error: OSError) -> bool:
    """Return whether there was no connection at all: refused, no such host, or a certificate not trusted."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.NameResolutionError)


def refused(reply: Reply, *, writes: bool, code: str = "", message: str = "") -> Answer:
    """Return what a status other than 2xx comes to, unless the protocol knows better.

    A client error that is not in the ERP's own form says nothing about the posting: a proxy or a wrong path is
    for support to mend, and no reason to give a posting up.
    """
    status = reply.status
    code = code or f"HTTP/{status}"
    retry_after_s = retry_after(reply.headers)
    if status in {401, 403} or 300 <= status < 400:
        # Where single sign-on guards a service, credentials that do not hold are sent to a page to log in.
        return Answer(Outcome.UNAUTHORISED, code=code, message=message or "the ERP does not let us in")
    if status == 429:
        return Answer(Outcome.THROTTLED, code=code, message=message, retry_after_s=retry_after_s)
    if status == 423:
        return Answer(Outcome.LOCKED, code=code, message=message, retry_after_s=retry_after_s)
    if status >= 500 and status != 503 and writes:
        return Answer(Outcome.IN_DOUBT, code=code, message=message or "the server failed while it worked on it")
    words = message or f"the server answers {status}, and not in the ERP's form"
    return Answer(Outcome.UNAVAILABLE, code=code, message=words, retry_after_s=retry_after_s)


def looked(reply: Reply | Answer) -> Answer:
    """Return what a read that is about nothing says: whether the server is there and lets us in."""
    if isinstance(reply, Answer):
        return reply
    return Answer(Outcome.ACCEPTED) if 200 <= reply.status < 300 else refused(reply, writes=False)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for; a date counts from the server's own."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), RETRY_AFTER_S_MAX)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX)
