"""One connection to an MQTT broker, driven by whoever polls: no thread of its own, so not polling is back pressure.

Source: paho-mqtt 2.2, Client (network loop by ``loop()``, ``manual_ack``).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dataflows.collectors.mqtt_settings import Broker
from dataflows.sources.errors import SourceUnavailable

BATCH_MESSAGES: Final = 5_000
LOOP_S: Final = 0.01
"""So long one turn waits for something to come."""


class MqttConnection:
    """Connects at once, and says what comes to whoever asks.

    Args:
        section: where the broker is. name: the collector's, for messages.
        topics: with their quality of service.
        will: topic and payload that the broker publishes for us when we are gone.
        expiry_s: of a session that outlives the connection; None for one that does not.

    Raises: SourceUnavailable.
    """

    def __init__(
        self,
        section: Broker,
        name: str,
        topics: Sequence[tuple[str, int]],
        *,
        will: tuple[str, bytes] | None = None,
        expiry_s: int | None = None,
    ) -> None:
        self._section, self._name = section, name
        self._messages: list[MQTTMessage] = []
        self._refused = ""
        self._ready = 0  # topics that are subscribed to
        session: dict[str, Any] = {"protocol": MQTTv5} if expiry_s is not None else {"protocol": MQTTv311}
        if expiry_s is None:
            session["clean_session"] = True
        client = self._client = Client(
            CallbackAPIVersion.VERSION2,
            section.client_id or f"plantsync-{name}",
            manual_ack=expiry_s is not None,
            reconnect_on_failure=False,
            **session,
        )
        client.connect_timeout = section.connect_timeout_s
        client.on_message = lambda _client, _data, message: self._messages.append(message)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        if section.user:
            client.username_pw_set(section.user, section.password.get_secret_value() if section.password else None)
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        self._open(topics, expiry_s)

    def messages(self) -> list[MQTTMessage]:
        """Return what has come. Raises: SourceUnavailable when there is nothing and the connection is lost."""
        while len(self._messages) < BATCH_MESSAGES:
            before = len(self._messages)
            code = self._client.loop(LOOP_S)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                if self._messages:
                    break  # what came last is told first; the next poll finds out again
                raise self._away(f"the connection is lost: {code.name}")
            if len(self._messages) == before:
                break
        taken, self._messages = self._messages, []
        return taken

    def publish(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        """Send a message, as far as the connection holds; nobody waits for it."""
        self._client.publish(topic, payload, qos, retain)

    def acknowledge(self, message: MQTTMessage) -> None:
        """Tell the broker that a message is durable."""
        self._client.ack(message.mid, message.qos)

    def sent(self) -> None:
        """Let go out what waits to."""
        self._client.loop(0)

    def close(self) -> None:
        """Take leave of the broker."""
        self._client.disconnect()
        self._client.loop(0)
        if (left := self._client.socket()) is not None:  # of a connection that never came about
            left.close()

    def _open(self, topics: Sequence[tuple[str, int]], expiry_s: int | None) -> None:
        section, client = self._section, self._client
        deadline = time.monotonic() + section.connect_timeout_s
        try:
            if section.tls:
                ca, cert, key = (str(p) if p else None for p in (section.ca_file, section.cert_file, section.key_file))
                client.tls_set(ca, cert, key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
            lasting: dict[str, Any] = {}
            if expiry_s is not None:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                properties.SessionExpiryInterval = expiry_s
                lasting = {"clean_start": False, "properties": properties}
            client.connect(section.host, section.port, section.keepalive_s, **lasting)
            self._wait(client.is_connected, deadline)
            for topic, qos in topics:
                client.subscribe(topic, qos)
            self._wait(lambda: self._ready >= len(topics), deadline)
        except (OSError, ValueError) as error:
            self.close()
            raise self._away(str(error)) from error
        except SourceUnavailable:
            self.close()
            raise

    def _wait(self, reached: Callable[[], bool], deadline: float) -> None:
        while not reached():
            code = self._client.loop(LOOP_S)
            if self._refused:
                raise self._away(self._refused)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline:
                raise self._away(f"no connection within {self._section.connect_timeout_s:g} s ({code.name})")

    def _connected(self, _client: Client, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._refused = f"it refuses us: {reason}" if reason.is_failure else ""

    def _subscribed(self, _client: Client, _data: object, _number: int, reasons: Sequence[Any], _more: object) -> None:
        self._ready += 1
        if any(reason.is_failure for reason in reasons):
            self._refused = f"it refuses the subscription: {reasons[0]}"

    def _away(self, reason: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"collect.{self._name}: broker {self._section.host}:{self._section.port} cannot be listened to: {reason}. "
            "Check address, TLS, user and rights."
        )
