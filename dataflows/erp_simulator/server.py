"""The server process: binds, says where it listens, wakes the ERPs, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from dataflows.erp_simulator.connection import ResettableProtocol
from dataflows.erp_simulator.control import PREFIX, Control
from dataflows.erp_simulator.endpoint import Endpoint
from dataflows.erp_simulator.world import World

_TICK_S: Final = 0.05
_GRACE_S: Final = 2
_HEAD_BYTES_MAX: Final = 65_536


class AddressUnusable(Exception):
    """The address cannot be bound."""

    retryable = True


def application(world: World) -> Starlette:
    """Return the ASGI application: the control endpoint, and each ERP below its name."""
    erps = [Mount(f"/{name}", app=Endpoint(instance)) for name, instance in world.instances.items()]
    return Starlette(routes=[Mount(PREFIX, app=Control(world).router), *erps])


def serve(world: World, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told the base URL as soon as requests are answered.

    Raises: AddressUnusable.
    """
    try:
        bound = socket.create_server((host, port), reuse_port=False, backlog=256)
    except OSError as error:
        raise AddressUnusable(f"{host}:{port} cannot be bound: {error.strerror}; choose another --port") from error
    with bound:
        # uvicorn raises the signals that ended it once more; that shall not kill the process.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noted)
        asyncio.run(_serve(world, bound, ready))


def _noted(number: int, frame: object) -> None:
    """Do nothing: uvicorn has ended already."""


class _Server(uvicorn.Server):
    """uvicorn, which says when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, then say so."""
        await super().startup(sockets=sockets)
        self._say_started()


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _serve(world: World, bound: socket.socket, ready: Callable[[str], None]) -> None:
    config = uvicorn.Config(
        application(world),
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # A header shall not make a stranger look like this machine.
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
    )
    server = _Server(config, lambda: ready(_url(bound)))
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    ticking = asyncio.create_task(_tick(world))
    await serving
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking


async def _tick(world: World) -> None:
    """Wake the ERPs now and then: what is due must not wait for the next request."""
    while True:
        world.wake()
        await asyncio.sleep(_TICK_S)
