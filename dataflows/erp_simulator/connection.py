"""A connection that can be reset: the peer sees ECONNRESET instead of an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT: Final = "transport"
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class ResettableProtocol(H11Protocol):
    """uvicorn's protocol, which tells each request its transport in ``scope["state"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport for the requests of this connection."""
        super().connection_made(transport)
        # asyncio does it only where the socket's protocol number is given; without it answers wait 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, TRANSPORT: transport}


def reset(scope: dict[str, Any]) -> None:
    """Reset the connection of a request: nothing more is sent, not even an end."""
    transport: asyncio.Transport = scope["state"][TRANSPORT]
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
