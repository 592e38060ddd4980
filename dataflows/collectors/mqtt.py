"""Topics of an MQTT broker, at least once: each message is acknowledged when it is durable, not sooner.

Law: what was published with quality of service 1 or 2 while the broker knows our session becomes a record, once or
more often: the broker sends again what was not acknowledged, and what was does not come again. A message that comes
twice is known by its number or its identity. Quality of service 0 promises nothing: what is sent while we are away is
gone. A session that the broker has forgotten, or lost with its own disk, begins anew.

Of topics under ``signals`` some messages are left out, and acknowledged as those that are records. What is held is in
the committed state, so it is acknowledged too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import orjson
from paho.mqtt.client import MQTTMessage

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.mqtt_connection import MqttConnection
from dataflows.collectors.mqtt_settings import MqttCollector
from dataflows.collectors.reading import Reading, instant_us
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.signals import Signals

_NAMED: Final = 100


class MqttTopics:
    """Listens to topics; a ``Collector``. Args: clock: now in UTC microseconds; refusals: takes what is refused."""

    def __init__(self, section: MqttCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        self._connection: MqttConnection | None = None
        self._number = 0  # of messages
        self._told = 0  # records
        self._open: deque[tuple[int, MQTTMessage]] = deque()
        self._signals = Signals(section.signals)

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Number on from a committed position, with what is known of signals; the broker knows what it is to send."""
        self._signals.seek(state)
        if position is not None:
            place = orjson.loads(position)
            self._number = place["number"]
            self._told = place.get("told", self._number)

    def poll(self) -> RawRecords:
        """Return the messages that have come. Raises: SourceUnavailable."""
        section, now_us = self._section, self._clock()
        if held := self._signals.wake(now_us):
            return self._records([each.reading.record for each in held])
        if self._connection is None:
            self._open.clear()  # of a connection that is gone: they come again
            topics = [(topic, 1) for topic in section.topics]
            self._connection = MqttConnection(section, self._name, topics, expiry_s=section.session_expiry_s)
        values: list[bytes] = []
        for message in self._connection.messages():
            if len(message.payload) > section.message_bytes_max:
                self._refuse(self._connection, message)
                continue
            self._number += 1
            values += self._values(message, now_us)
            if message.qos:
                self._open.append((self._number, message))
        return self._records(values)

    def position(self) -> str:
        """Return how many messages and records there were."""
        return orjson.dumps({"number": self._number, "told": self._told}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what has changed of the signals since the last call."""
        return self._signals.state()

    def at_end(self) -> bool:
        """Return True: what will be published next, nobody knows."""
        return True

    def behind(self) -> int:
        """Return 0: the broker does not say what it keeps for us."""
        return 0

    def committed(self, position: str) -> None:
        """Acknowledge the messages up to this position."""
        number = orjson.loads(position)["number"]
        while self._open and self._open[0][0] <= number:
            _, message = self._open.popleft()
            if self._connection is not None:
                self._connection.acknowledge(message)

    def close(self) -> None:
        """Take leave of the broker, which keeps the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _records(self, values: list[bytes]) -> RawRecords:
        if not values:
            return NO_RECORDS
        offsets = np.arange(self._told + 1, self._told + len(values) + 1)
        self._told += len(values)
        return RawRecords.from_values(values, offsets, self._name)

    def _values(self, message: MQTTMessage, now_us: int) -> list[bytes]:
        """Return the records that a message makes: itself, what was held before it, or none."""
        record = self._value(message)
        if self._signals.rule(message.topic) is None:
            return [record]
        reading = self._reading(message, record)
        if reading is None:
            return [record]
        return [each.reading.record for each in self._signals.take("", message.topic, reading, now_us)]

    def _reading(self, message: MQTTMessage, record: bytes) -> Reading | None:
        """Return a message as a reading; None where it has no value or no instant."""
        try:
            payload = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            return None
        value, at = (_found(payload, path) for path in (self._section.signal_value, self._section.signal_at))
        at_us = instant_us(at) if isinstance(at, str) else at * 1_000 if type(at) is int else None
        if at_us is None or not isinstance(value, str | int | float):
            return None
        return Reading(at_us, value if isinstance(value, str) else orjson.dumps(value).decode(), record)

    def _refuse(self, connection: MqttConnection, message: MQTTMessage) -> None:
        """Note a message that is too long, and have the broker not send it again."""
        limit = self._section.message_bytes_max
        words = f"{self._section.host}: {message.topic[:_NAMED]!r}: a message longer than {limit:,} bytes"
        self._refusals.refuse(FaultCode.OVERSIZE, words, message.payload)
        if message.qos:
            connection.acknowledge(message)

    def _value(self, message: MQTTMessage) -> bytes:
        payload = bytes(message.payload)
        if not self._section.envelope:
            return payload
        try:
            held = orjson.Fragment(payload) if orjson.loads(payload) is not None else None
        except orjson.JSONDecodeError:
            held = payload.decode("utf-8", "backslashreplace")  # type: ignore[assignment]
        return orjson.dumps({"topic": message.topic, "payload": held})


def _found(payload: Any, path: str) -> Any:
    for step in path.split("."):
        payload = payload.get(step) if isinstance(payload, dict) else None
    return payload
