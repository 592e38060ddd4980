"""Webhooks: each request is a record, and is answered 204 when that is durable, not sooner.

Law: a sender that got 204 has its record in the spool. One that got anything else, or no answer, sends again; when its
first request did arrive, the record comes twice and is known by its number or its identity. So nothing is lost that was
acknowledged, and what was not is the sender's to repeat.

Senders show a bearer token, or sign by Standard Webhooks: HMAC-SHA-256 over
``<webhook-id>.<webhook-timestamp>.<body>``. A signed request whose timestamp is out of the window is refused, so that
one that was recorded cannot be sent again later. Source: Standard Webhooks 1.0.0, Verifying signatures.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.webhook_settings import WebhookCollector
from dataflows.sources.errors import SourceUnavailable

BATCH_REQUESTS: Final = 5_000
_HEAD_BYTES_MAX: Final = 65_536
_GRACE_S: Final = 1
_RETRY: Final = {"Retry-After": "1"}


class _Waiting:
    """A request whose record is not durable yet."""

    __slots__ = ("body", "durable", "number")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.number = 0
        self.durable = asyncio.Event()


class Webhook:
    """Listens at one address; a ``Collector``.

    Args: clock: now in UTC microseconds; refusals: takes what is refused.
    """

    def __init__(self, section: WebhookCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        self._number = 0
        self._arrived: deque[_Waiting] = deque()
        self._told: deque[_Waiting] = deque()
        self._under_way = 0
        self._bytes = 0  # of their bodies
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position is all
        """Number on from a committed position."""
        if position is not None:
            self._number = orjson.loads(position)["number"]

    def poll(self) -> RawRecords:
        """Return the bodies that have come. Raises: SourceUnavailable where the address cannot be listened at."""
        if self._server is None:
            self._listen()
        taken: list[_Waiting] = []
        while self._arrived and len(taken) < BATCH_REQUESTS:
            waiting = self._arrived.popleft()
            self._number += 1
            waiting.number = self._number
            taken.append(waiting)
        if not taken:
            return NO_RECORDS
        self._told.extend(taken)
        offsets = np.array([waiting.number for waiting in taken])
        return RawRecords.from_values([waiting.body for waiting in taken], offsets, self._name)

    def position(self) -> str:
        """Return how many requests there were."""
        return orjson.dumps({"number": self._number}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return nothing: the position is all."""
        return {}

    def at_end(self) -> bool:
        """Return whether every request that has come has been handed over."""
        return not self._arrived

    def behind(self) -> int:
        """Return how many requests have not been handed over."""
        return len(self._arrived)

    def committed(self, position: str) -> None:
        """Answer the requests up to this position."""
        number = orjson.loads(position)["number"]
        assert self._loop is not None or not self._told
        while self._told and self._told[0].number <= number:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._told.popleft().durable.set)

    def close(self) -> None:
        """Stop listening; requests under way are answered 503 or not at all."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_GRACE_S + 2)
        self._server = self._thread = None

    def _listen(self) -> None:
        section = self._section
        try:
            bound = socket.create_server((section.host, section.port), backlog=256)
        except OSError as error:
            raise SourceUnavailable(
                f"collect.{self._name}: {section.host}:{section.port} cannot be listened at: {error.strerror}. "
                "Free the port, or name another."
            ) from error
        config = uvicorn.Config(
            Starlette(routes=[Route(section.path, self._post, methods=["POST"])]),
            http=_telling(self._refusals),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
            ssl_certfile=section.cert_file,
            ssl_keyfile=section.key_file,
        )
        self._server = server = uvicorn.Server(config)

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            with bound:
                await server.serve(sockets=[bound])

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        self._thread.start()

    async def _post(self, request: Request) -> Response:
        if self._under_way >= self._section.waiting_max:
            return self._refused(request, FaultCode.FLOODED, Response("too many requests are under way", 503, _RETRY))
        self._under_way += 1
        body = bytearray()
        try:
            return await self._answered(request, body)
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self._under_way -= 1
            self._bytes -= len(body)

    async def _answered(self, request: Request, body: bytearray) -> Response:
        section = self._section
        if section.token is not None and not self._shows_token(request):
            answer = Response("token missing or wrong", 401, {"WWW-Authenticate": "Bearer"})
            return self._refused(request, FaultCode.NOT_AUTHENTIC, answer)
        async for part in request.stream():
            body += part
            self._bytes += len(part)
            if self._bytes > section.waiting_bytes_max:
                return self._refused(
                    request, FaultCode.FLOODED, Response("too many bytes are under way", 503, _RETRY), body
                )
            if len(body) > section.body_bytes_max:
                answer = Response(f"longer than {section.body_bytes_max} bytes", 413)
                return self._refused(request, FaultCode.OVERSIZE, answer, body)
        if section.signing_secret is not None and (refusal := self._refusal(request, bytes(body))):
            return self._refused(request, FaultCode.NOT_AUTHENTIC, Response(refusal, 401), body)
        if not body.strip():
            return self._refused(request, FaultCode.MALFORMED, Response("nothing was posted", 400), body)
        waiting = _Waiting(bytes(body))
        self._arrived.append(waiting)
        try:
            await asyncio.wait_for(waiting.durable.wait(), section.durable_wait_s)
        except TimeoutError:
            return Response("not stored yet; send it again", 503, _RETRY)
        return Response(status_code=204)

    def _refused(self, request: Request, code: FaultCode, answer: Response, body: bytes | bytearray = b"") -> Response:
        """Note that a request is refused, in the words of its answer; nothing of its head, which may hold a secret."""
        peer = request.client.host if request.client is not None else ""
        self._refusals.refuse(code, f"{peer}: {bytes(answer.body).decode()}", body)
        return answer

    def _shows_token(self, request: Request) -> bool:
        assert self._section.token is not None
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        wanted = self._section.token.get_secret_value()
        return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), wanted.encode())

    def _refusal(self, request: Request, body: bytes) -> str:
        """Return what is wrong with the signature; nothing where it is good."""
        assert self._section.signing_secret is not None
        name, instant, shown = (
            request.headers.get(header, "") for header in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        if not (name and shown and instant.isascii() and instant.isdigit() and len(instant) <= 12):
            return "webhook-id, webhook-timestamp or webhook-signature is missing"
        if abs(self._clock() / 1e6 - int(instant)) > self._section.window_s:
            return "webhook-timestamp is out of the window"
        key = _key(self._section.signing_secret.get_secret_value())
        signature = hmac.new(key, f"{name}.{instant}.".encode() + body, hashlib.sha256).digest()
        wanted = b"v1," + base64.b64encode(signature)
        good = any(hmac.compare_digest(each.encode(), wanted) for each in shown.split(" "))
        return "" if good else "webhook-signature is wrong"


def _telling(refusals: Refusals) -> type[H11Protocol]:
    """Return uvicorn's protocol, but for telling of what is no HTTP, or has too long a head."""

    class Telling(H11Protocol):
        def send_400_response(self, msg: str) -> None:
            peer = self.client[0] if self.client is not None else ""
            refusals.refuse(FaultCode.MALFORMED, f"{peer}: {msg}")
            super().send_400_response(msg)

    return Telling


def _key(secret: str) -> bytes:
    """Return the bytes of a secret: base64 behind ``whsec_``, or the text itself."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return secret.encode()
