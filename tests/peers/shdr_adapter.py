"""An MTConnect adapter as a real TCP server: it says lines to whoever is connected, and answers ``* PING``."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Adapter:
    """Listens on a port of its own; ``silent`` lets it keep its connections and say nothing more, not even PONG."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._connected: list[socket.socket] = []
        self._changed = threading.Condition()
        self.silent = False
        self.pings = self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def say(self, *lines: str) -> None:
        with self._changed:
            for each in self._connected:
                with suppress(OSError):  # Who has gone hears nothing, and the others do.
                    each.sendall("".join(f"{line}\n" for line in lines).encode())

    def wait_connected(self, times: int = 0, timeout_s: float = 20.0) -> None:
        with self._changed:
            reached = self._changed.wait_for(lambda: self._connected and self.accepted >= times, timeout_s)
            assert reached, "nobody connected"

    def hang_up(self) -> None:
        with self._changed:
            for each in self._connected:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._connected.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._changed:
                    self._connected.append(connection)
                    self.accepted += 1
                    self._changed.notify_all()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1024):
                self.pings += data.count(b"* PING")
                if not self.silent:
                    connection.sendall(b"* PONG 10000\n")
        with self._changed:
            self._connected = [each for each in self._connected if each is not connection]
