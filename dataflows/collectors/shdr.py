"""Lines of an MTConnect adapter over TCP (SHDR).

The protocol forgets: an adapter tells what happens to whoever is connected, and nobody twice. So what happens while
nobody is connected is lost, but for what the adapter tells of its present state to each new connection: counters that
add up carry on, single happenings are gone. That this may have been so is told: each connection begins with a line
``<time>|collector_connected|<number of the connection>``, which a mapping may take as ``shdr.session_start``.
What was received and not committed when this process dies is lost likewise, and told likewise.

Lines are records as they come, but for items under ``signals``: of these a line loses what is left out, with its key,
and what was held is told later as a line of its own.

Source: MTConnect Part 1 and cppagent ``connector.cpp``: ``* PING``, answered by ``* PONG <milliseconds>``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np
import orjson

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.collectors.shdr_signals import ShdrSignals
from dataflows.sources.errors import SourceUnavailable

CONNECTED: Final = "collector_connected"
RECEIVE_BYTES: Final = 1 << 18
BATCH_BYTES: Final = 4 << 20
"""A poll takes about so much; the rest waits in the buffers of the connection, and then at the adapter."""


class ShdrLines:
    """Reads one adapter; a ``Collector``. Args: clock: now in UTC microseconds; refusals: takes what is refused."""

    def __init__(self, section: ShdrCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        self._socket: socket.socket | None = None
        self._number = 0  # of records, over all connections
        self._heard = 0  # lines of the adapter
        self._connections = 0
        self._rest = b""
        self._cut = False  # the rest is of a line that was too long and has been refused
        self._asked_us = self._heard_us = 0
        self._signals = ShdrSignals(section.signals)

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Number on from a committed position, with what is known of each signal; the adapter knows none."""
        self._signals.seek(state)
        if position is not None:
            place = orjson.loads(position)
            self._number, self._connections = place["number"], place["connections"]
            self._heard = place.get("heard", 0)

    def poll(self) -> RawRecords:
        """Return the lines that have come. Raises: SourceUnavailable where the connection is lost or cannot be made."""
        if held := self._signals.wake(self._clock()):
            return self._records(held)
        lines: list[bytes] = []
        if self._socket is None:
            self._connect()
            instant = datetime.fromtimestamp(self._clock() / 1e6, UTC).isoformat(timespec="milliseconds")
            lines.append(f"{instant.replace('+00:00', 'Z')}|{CONNECTED}|{self._connections}".encode())
        received = self._received()
        self._heard += len(received)
        lines += self._signals.told(received, self._clock())
        return self._records(lines)

    def position(self) -> str:
        """Return how many records, connections and lines there were."""
        place = {"number": self._number, "connections": self._connections, "heard": self._heard}
        return orjson.dumps(place).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what has changed of the signals since the last call."""
        return self._signals.state()

    def at_end(self) -> bool:
        """Return True: what the adapter will say next, nobody knows."""
        return True

    def behind(self) -> int:
        """Return 0: what has been said has been heard."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: the adapter waits for no answer."""

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _records(self, lines: list[bytes]) -> RawRecords:
        if not lines:
            return NO_RECORDS
        offsets = np.arange(self._number + 1, self._number + len(lines) + 1)
        self._number += len(lines)
        return RawRecords.from_values(lines, offsets, self._name)

    def _connect(self) -> None:
        section = self._section
        try:
            self._socket = socket.create_connection((section.host, section.port), section.connect_timeout_s)
        except OSError as error:
            raise SourceUnavailable(
                f"collect.{self._name}: {section.host}:{section.port} cannot be reached: {error}. "
                "Check that the adapter runs and that no firewall is between."
            ) from error
        self._socket.setblocking(False)  # noqa: FBT003 - it takes no name
        self._connections += 1
        self._rest, self._cut = b"", False
        self._heard_us = self._asked_us = self._clock()

    def _received(self) -> list[bytes]:
        """Return the whole lines that have come. Raises: SourceUnavailable when there are none and none will come."""
        lines: list[bytes] = []
        taken = 0
        while taken < BATCH_BYTES:
            data = self._receive()
            if data is None:
                break
            if not data:
                if lines:
                    break  # what was said last is told first; the next poll finds out again
                raise self._lost("it has closed the connection")
            taken += len(data)
            self._heard_us = self._clock()
            lines += self._whole(data)
        self._ask()
        return lines

    def _receive(self) -> bytes | None:
        """Return what has come, nothing at the end of the connection, None where nothing has come."""
        assert self._socket is not None
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise self._lost(str(error)) from error

    def _whole(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole now, but for those of the protocol itself and those that are too long."""
        *ended, self._rest = (self._rest + data).split(b"\n")
        if self._cut and ended:
            del ended[0]
            self._cut = False
        limit = self._section.line_bytes_max
        if len(self._rest) > limit + 1:  # It may end with CR.
            if not self._cut:
                self._refuse(self._rest)
            self._rest, self._cut = b"", True
        lines = [line.rstrip(b"\r") for line in ended]
        for line in lines:
            if len(line) > limit:
                self._refuse(line)
        return [line for line in lines if 0 < len(line) <= limit and not line.startswith(b"* PONG")]

    def _refuse(self, line: bytes) -> None:
        """Note a line that is too long; its beginning is no record, since 12 cut from 120 is not told from 12."""
        section = self._section
        words = f"{section.host}:{section.port}: a line longer than {section.line_bytes_max:,} bytes"
        self._refusals.refuse(FaultCode.OVERSIZE, words, line)

    def _ask(self) -> None:
        """Ask for a sign of life when it is time. Raises: SourceUnavailable after two that did not come."""
        assert self._socket is not None
        now_us, heartbeat_us = self._clock(), self._section.heartbeat_s * 1e6
        if now_us - self._heard_us > 2 * heartbeat_us:
            raise self._lost(f"it has been silent for {(now_us - self._heard_us) / 1e6:.0f} s")
        if now_us - self._asked_us >= heartbeat_us:
            self._asked_us = now_us
            try:
                self._socket.send(b"* PING\r\n")
            except BlockingIOError:
                pass  # it does not even read: the silence will tell
            except OSError as error:
                raise self._lost(str(error)) from error

    def _lost(self, reason: str) -> SourceUnavailable:
        self.close()
        return SourceUnavailable(
            f"collect.{self._name}: {self._section.host}:{self._section.port} is lost: {reason}. "
            "What it says until it is back is lost, but for its state then."
        )
