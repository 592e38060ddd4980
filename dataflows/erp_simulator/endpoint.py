"""An ERP on the network: reads a request, bounded, and lets the outcome happen to the connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dataflows.erp_simulator.connection import reset
from dataflows.erp_simulator.exchange import Answer, parsed
from dataflows.erp_simulator.instance import Instance

BODY_BYTES_MAX: Final = 8 * 1024 * 1024


class Endpoint:
    """The ASGI application of one ERP."""

    def __init__(self, instance: Instance, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        """Answer for ``instance``; larger bodies get 413."""
        self._instance, self._body_bytes_max = instance, body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        request = Request(scope, receive)
        try:
            body = await bounded(request, self._body_bytes_max)
        except ClientDisconnect:
            return
        if body is None:
            await _send(Answer(413, b"Request entity too large", "text/plain"), scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        query = scope["query_string"].decode("latin-1")
        outcome = self._instance.handle(
            request.method,
            path,
            parsed(query),
            {name.lower(): value for name, value in request.headers.items()},
            body,
            f"{path}?{query}" if query else path,
        )
        if outcome.delay_s:
            await asyncio.sleep(outcome.delay_s)
        if outcome.answer is not None:
            await _send(outcome.answer, scope, receive, send)
            return
        if outcome.hang_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_gone(receive), outcome.hang_s)
                return
        reset(dict(scope))
        await _gone(receive)


async def bounded(request: Request, bytes_max: int) -> bytes | None:
    """Return the body of a request; None where it is larger."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


async def _gone(receive: Receive) -> None:
    """Wait until the peer is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    headers: dict[str, Any] = dict(answer.headers)
    response = Response(answer.body, answer.status, headers, answer.type)
    response.headers["content-type"] = answer.type
    await response(scope, receive, send)
