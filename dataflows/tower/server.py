"""The server process: routes behind the gate, bound to its address, until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dataflows.tower.allowance import Allowance
from dataflows.tower.deeds import deeds
from dataflows.tower.entrance import entrance
from dataflows.tower.gate import BodyTooLarge, Gate
from dataflows.tower.live import Live
from dataflows.tower.pages import pages
from dataflows.tower.session import Session
from dataflows.tower.site import Site
from sinks.commit_log import PlantsyncError
from sinks.loopback import is_loopback

LOGGER: Final = logging.getLogger("plantsync")
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
GRACE_S: Final = 2
HEAD_BYTES_MAX: Final = 16_384
KEEP_ALIVE_S: Final = 30
BEYOND_STREAMS: Final = 100
"""Connections beyond the live streams."""


class AddressUnusable(PlantsyncError):
    """The address cannot be bound."""

    retryable = True


def application(site: Site, host: str) -> GatedSite:
    """Return the ASGI application that listens at a host."""
    live = Live(site)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        live.attach()
        await asyncio.to_thread(site.watch.start)
        yield
        await asyncio.to_thread(site.watch.stop)

    def who(request: Request) -> Session | None:
        try:
            return site.session(request)
        except PlantsyncError:  # The file of tokens cannot be read, which is what is told.
            return None

    def not_there(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = "There is no such page." if error.detail == "Not Found" else error.detail
        return site.page(request, "message.html", who(request), error.status_code, title="Not there", words=words)

    def not_now(request: Request, error: Exception) -> Response:
        LOGGER.warning("%s: %s", request.url.path, error)
        session = who(request)
        words = str(error) if session is not None else "Something is not available; the log of this server says what."
        return site.page(request, "message.html", session, 503, title="Not now", words=words)

    def too_large(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("That is more than a form of this page holds.\n", 413)

    app = Starlette(
        routes=[
            *pages(site),
            *deeds(site),
            *entrance(site),
            Route("/live", live.stream),
            Route("/static/{stamp}/{name}", site.static_file),
            Route("/healthz", lambda _request: PlainTextResponse("ok\n")),
        ],
        exception_handlers={HTTPException: not_there, PlantsyncError: not_now, BodyTooLarge: too_large},
        lifespan=lifespan,
    )
    return GatedSite(app, live, _gate(app, site, host))


class GatedSite:
    """The application behind its gate; what the server says of its own life goes past that."""

    def __init__(self, app: Starlette, live: Live, gate: Gate) -> None:
        self._app, self._gate = app, gate
        self.live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or the server about its start and its end."""
        await (self._gate if scope["type"] == "http" else self._app)(scope, receive, send)


def _gate(app: Starlette, site: Site, host: str) -> Gate:
    tower = site.settings.tower
    hosts = (
        {urlsplit(tower.public_url).netloc.rpartition("@")[2].partition(":")[0].lower()} if tower.public_url else set()
    )
    if hosts or is_loopback(host.lower()):
        hosts |= {*LOOPBACK, host}
    allowance = Allowance(tower.requests_per_s, tower.requests_max)
    return Gate(app, hosts=hosts, secure=tower.secure, allowance=allowance, clock=site.clock)


class _Server(uvicorn.Server):
    """uvicorn, which says when it has started, and ends the live streams before it waits for answers to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started, self._end_streams = started, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._say_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything."""
        self._end_streams()
        await super().shutdown(sockets=sockets)


def serve(site: Site, listen: str, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told the URL as soon as requests are answered.

    Raises: AddressUnusable.
    """
    tower = site.settings.tower
    try:
        host, port = tower.address(listen)
        bound = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256
        )
    except ValueError as error:
        raise PlantsyncError(str(error)) from error
    except OSError as error:
        raise AddressUnusable(f"{host}:{port} cannot be bound: {error.strerror}; choose another --listen") from error
    with bound:
        # uvicorn raises the signals that ended it once more; that shall not kill the process.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noted)
        asyncio.run(_serve(site, bound, host, ready))


async def _serve(site: Site, bound: socket.socket, host: str, ready: Callable[[str], None]) -> None:
    tower = site.settings.tower
    app = application(site, host)
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # A header shall not make a stranger look like this machine.
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=tower.streams_max + BEYOND_STREAMS,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ssl_certfile=tower.certificate,
        ssl_keyfile=tower.key,
    )
    name = f"[{host}]" if ":" in host else host
    url = f"http{'s' * (tower.certificate is not None)}://{name}:{bound.getsockname()[1]}"
    await _Server(config, lambda: ready(url), app.live.end).serve(sockets=[bound])


def _noted(number: int, frame: object) -> None:
    """Do nothing: uvicorn has ended already."""
