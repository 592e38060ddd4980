"""Live updates: a stream of events for each page that is open, which says that there is a new picture (SSE).

The event says only that something is new. The page then asks for itself anew, through the same door as before: what
somebody may see is decided in one place.

Source: HTML standard, server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from dataflows.tower.site import Site

ALIVE_S: Final = 10.0
"""A stream says so often that it is there, and looks whether its session is."""


class Live:
    """The streams that are open, all in one event loop."""

    def __init__(self, site: Site) -> None:
        """Begin with none."""
        self._site = site
        self._waiting: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def attach(self) -> None:
        """Hear of new pictures; to be called in the loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._site.watch.changed = self._from_watch

    def end(self) -> None:
        """End all streams, so that the server can end."""
        self._ended = True
        self._wake()

    async def stream(self, request: Request) -> Response:
        """Return a stream to somebody who is signed in."""
        if await run_in_threadpool(self._site.session, request) is None:
            return PlainTextResponse("Sign in first.\n", 401)
        if len(self._waiting) >= self._site.settings.tower.streams_max:
            return PlainTextResponse("Too many pages are open.\n", 503, {"retry-after": "10"})
        new = asyncio.Event()
        self._waiting.add(new)
        return StreamingResponse(
            self._events(request, new), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def _events(self, request: Request, new: asyncio.Event) -> AsyncIterator[str]:
        try:
            yield "retry: 3000\n\n"
            while not self._ended:
                new.clear()
                yield f"event: picture\ndata: {self._site.watch.picture.number}\n\n"
                while not new.is_set() and not self._ended:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(new.wait(), ALIVE_S)
                    if await run_in_threadpool(self._site.session, request) is None:
                        yield "event: over\ndata:\n\n"
                        return
                    if not new.is_set():
                        yield f"event: alive\ndata: {self._site.watch.picture.number}\n\n"
        finally:
            self._waiting.discard(new)

    def _from_watch(self) -> None:
        """Wake the streams; called by a thread of the watch."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # The loop has been closed since.
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for each in self._waiting:
            each.set()
