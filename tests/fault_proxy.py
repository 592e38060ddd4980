"""A TCP proxy that does to bytes what networks do: hold them up, drop the line, say nothing.

One listening port on loopback before one target port. The fault is a value that may be replaced at
any time, for the connections there are and for those to come:

    with FaultProxy(target) as proxy:
        connect(proxy.port)
        with proxy.during(Fault(delay_s=0.2)):
            ...

Law: as long as no connection is ended, every byte arrives once and in order, however the faults
change; a silent direction holds back what was sent, and its end, until the fault is over, as a
network does that loses packets for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

CHUNK_BYTES = 64 * 1024
QUEUED_CHUNKS = 16
THROTTLED_PIECES_PER_S = 20
RST = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends a reset."""

Direction = Literal["up", "down"]
"""Up is from the client to the target."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the network; the default is nothing.

    Args:
        delay_s, jitter_s: each chunk arrives so much later, plus up to the jitter; order is kept.
        delayed: directions in which it does.
        bytes_per_s: of each direction of each connection.
        silent: directions in which nothing arrives while nobody is told; new connections are accepted.
        forgotten: connections there are when this fault begins never carry anything again, even when
            it is over, as when a firewall has lost them.
        ends: connections there are and new ones are closed ("cut"), reset ("reset"), or the former
            are closed and the latter refused ("refuse").
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    delayed: frozenset[Direction] = frozenset({"up", "down"})
    bytes_per_s: float | None = None
    silent: frozenset[Direction] = frozenset()
    forgotten: bool = False
    ends: Literal["", "cut", "reset", "refuse"] = ""


NONE = Fault()
HALF_OPEN = Fault(silent=frozenset({"up", "down"}))


class FaultProxy:
    """The proxy of one port; its event loop runs in a thread of its own while the block runs."""

    def __init__(self, target: int, port: int = 0) -> None:
        # A bound socket that never listens keeps the port ours while connections are refused.
        self._reserved = reserved(port)
        self.port: int = self._reserved.getsockname()[1]
        self._target = target
        self._fault = NONE
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._changed = asyncio.Event()
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    @property
    def fault(self) -> Fault:
        """What is wrong now; assign another to change it."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._call(self._set(fault))

    @contextlib.contextmanager
    def during(self, fault: Fault) -> Iterator[None]:
        """Let the fault last as long as the block."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = NONE

    def _call(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _set(self, fault: Fault) -> None:
        self._fault = fault
        if fault.forgotten:
            for connection in self._connections:
                connection.forgotten = True
        if fault.ends:
            for connection in list(self._connections):
                connection.end(reset=fault.ends == "reset")
        if fault.ends == "refuse":
            self._stop_listening()
        elif self._listener is None:
            await self._listen()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _listen(self) -> None:
        self._listener = reserved(self.port)
        self._listener.setblocking(False)
        self._listener.listen()
        # Not awaited in a task: one that is cancelled while a client arrives would lose the client's socket.
        self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client, _ = listener.accept()
            client.setblocking(False)
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: client.close())  # Also where it was cancelled before it began.

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _close(self) -> None:
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: socket.socket) -> None:
        self.accepted += 1
        reader, writer = await asyncio.open_connection(sock=client, limit=CHUNK_BYTES)
        connection = _Connection(writer)
        self._connections.add(connection)
        try:
            if self._fault.ends:
                connection.end(reset=self._fault.ends == "reset")
                return
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK_BYTES)
            connection.writers.append(target_writer)
            ways = (("up", reader, target_writer), ("down", target_reader, writer))
            await asyncio.gather(*(self._carry(connection, *way) for way in ways))
        except OSError:  # The target is down, or one side has gone: so has the connection.
            connection.end(reset=True)
        finally:
            self._connections.discard(connection)
            connection.end(reset=False)

    async def _carry(
        self, connection: _Connection, way: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take chunks from one side and hand each to the other when it is due; an empty one is the end."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS)
        taking = asyncio.create_task(self._take(way, reader, queue))
        try:
            while True:
                due, chunk = await queue.get()
                await asyncio.sleep(due - self._loop.time())
                while connection.forgotten or way in self._fault.silent:
                    await self._changed.wait()
                if not chunk:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                while chunk:
                    piece = chunk
                    if rate := self._fault.bytes_per_s:
                        piece = chunk[: max(1, int(rate / THROTTLED_PIECES_PER_S))]
                        await asyncio.sleep(len(piece) / rate)
                    writer.write(piece)
                    await writer.drain()
                    chunk = chunk[len(piece) :]
        finally:
            taking.cancel()

    async def _take(
        self, way: Direction, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        chunk = b"?"
        while chunk:
            try:
                chunk = await reader.read(CHUNK_BYTES)
            except OSError:
                chunk = b""
            fault = self._fault
            wait_s = fault.delay_s + random.uniform(0, fault.jitter_s) if way in fault.delayed else 0.0
            await queue.put((self._loop.time() + wait_s, chunk))


class _Connection:
    """Both ends of what a client opened."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.forgotten = False

    def end(self, *, reset: bool) -> None:
        for writer in self.writers:
            if reset and not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()


def reserved(port: int = 0) -> socket.socket:
    """Return a socket bound to a port (0: a free one) of loopback; one that listens may be bound beside it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
