"""Topics of an MQTT broker, at least once: each message is acknowledged when it is durable, not sooner.

Law: what was published with quality of service 1 or 2 while the broker knows our session becomes a record, once or
more often: the broker sends again what was not acknowledged, and what was does not come again. A message that comes
twice is known by its number or its identity. Quality of service 0 promises nothing: what is sent while we are away is
gone. A session that the broker has forgotten, or lost with its own disk, begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
import orjson
from paho.mqtt.client import MQTTMessage

from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.mqtt_connection import MqttConnection
from dataflows.collectors.mqtt_settings import MqttCollector


class MqttTopics:
    """Listens to topics; a ``Collector``. Args: clock: now in UTC microseconds."""

    def __init__(self, section: MqttCollector, name: str, clock: Callable[[], int]) -> None:  # noqa: ARG002
        self._section, self._name = section, name
        self._connection: MqttConnection | None = None
        self._number = 0
        self._open: deque[tuple[int, MQTTMessage]] = deque()

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position is all
        """Number on from a committed position; what the broker is to send, it knows."""
        if position is not None:
            self._number = orjson.loads(position)["number"]

    def poll(self) -> RawRecords:
        """Return the messages that have come. Raises: SourceUnavailable."""
        section = self._section
        if self._connection is None:
            self._open.clear()  # of a connection that is gone: they come again
            topics = [(topic, 1) for topic in section.topics]
            self._connection = MqttConnection(section, self._name, topics, expiry_s=section.session_expiry_s)
        values: list[bytes] = []
        for message in self._connection.messages():
            self._number += 1
            values.append(self._value(message))
            if message.qos:
                self._open.append((self._number, message))
        if not values:
            return NO_RECORDS
        offsets = np.arange(self._number - len(values) + 1, self._number + 1)
        return RawRecords.from_values(values, offsets, self._name)

    def position(self) -> str:
        """Return how many messages there were."""
        return orjson.dumps({"number": self._number}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return nothing: the position is all."""
        return {}

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

    def _value(self, message: MQTTMessage) -> bytes:
        payload = bytes(message.payload[: self._section.message_bytes_max + 1])
        if not self._section.envelope:
            return payload
        try:
            held = orjson.Fragment(payload) if orjson.loads(payload) is not None else None
        except orjson.JSONDecodeError:
            held = payload.decode("utf-8", "backslashreplace")  # type: ignore[assignment]
        return orjson.dumps({"topic": message.topic, "payload": held})
