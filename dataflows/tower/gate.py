"""The gate before every page: hosts, sizes, rates, where a form comes from, and the headers of each answer.

Law: nothing that changes something gets past unless the browser says that it comes from a page of this server; no page
of another server can frame ours, run a script in it or read it.

Source: Fetch metadata (Sec-Fetch-Site), RFC 6454 (Origin), CSP level 3, RFC 6797 (HSTS).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataflows.tower.allowance import Allowance

TARGET_BYTES_MAX: Final = 4_096
BODY_BYTES_MAX: Final = 16_384
SAFE: Final = frozenset({"GET", "HEAD"})
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # With none at all browsers would call the origin of our own forms null.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class BodyTooLarge(Exception):
    """A request says more than any form of ours does."""


class Gate:
    """Lets requests through to the pages, or answers them itself."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        secure: bool,
        allowance: Allowance,
        clock: Callable[[], int],
    ) -> None:
        """Guard ``app``; ``hosts`` are the names it may be asked by, none of them: any."""
        self._app, self._hosts, self._secure = app, frozenset(hosts), secure
        self._allowance, self._clock = allowance, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if self._secure:
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, words = refusal
            await PlainTextResponse(words + "\n", status, {"retry-after": "5"} if status == 429 else None)(
                scope, receive, sent
            )
            return
        taken = 0

        async def received() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                raise BodyTooLarge
            return message

        try:
            await self._app(scope, received, sent)
        except BodyTooLarge:
            await PlainTextResponse("That is more than a form of this page holds.\n", 413)(scope, receive, sent)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return why a request goes no further, None where it does."""
        headers, method = Headers(scope=scope), scope["method"]
        address = scope["client"][0] if scope["client"] else ""
        if not self._allowance.take(address, self._clock()):
            return 429, "Too many requests from this address; wait a few seconds."
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
            return 414, "That address is longer than any of ours."
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return 421, f"This server is not {host}; its settings may name it as tower.public_url."
        if method in SAFE:
            return None
        if method != "POST":
            return 405, "Pages are read, and forms are posted; nothing else."
        if _number(headers.get("content-length", "0")) > BODY_BYTES_MAX:
            return 413, "That is more than a form of this page holds."
        if not _from_here(headers, host):
            return 403, "This was not sent from a page of this server."
        return None


def _from_here(headers: Headers, host: str) -> bool:
    """Return whether a browser says that a page of ours sent this."""
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    # Browsers send at least one of the two with every form.
    return origin.partition("://")[2] == host if origin is not None else site is not None


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    return (host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]).lower()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else BODY_BYTES_MAX + 1
