"""The edge nodes of plant P: they say over a broker what the simulator's records say, as Sparkplug has it.

Law: each record given becomes one message, in the order in which they are given, and so one record of the collector.
A death is no message of ours: the connection ends without a word, and the broker says so. While their primary host is
away edge nodes keep what they have to say. No birth is asked of them, as the settings wait so long for what is missing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from dataflows.collectors.sparkplug import NAMESPACE
from dataflows.collectors.sparkplug_payload import blank
from sinks.commit_log import PlantsyncError

HOST_ID: Final = "plantsync"
ADDRESS: Final = "127.0.0.1"
KEEPALIVE_S: Final = 3_600
"""Longer than a demo: nobody is heard of while nothing happens."""
PATIENCE_S: Final = 30.0
LOOP_S: Final = 0.01
UNNAMED: Final = frozenset({"bdSeq", "Node Control/Rebirth"})
"""Metrics that have no alias, by the standard."""
INT64, UINT64, DOUBLE, BOOLEAN, STRING = 4, 8, 10, 11, 12


class EdgeNodesSilent(PlantsyncError):
    """The broker does not take what the edge nodes say, or does not tell what they wait for."""


class EdgeNodes:
    """All edge nodes, and an ear for their host and their deaths. Args: port: of the broker."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._nodes: dict[str, _EdgeNode] = {}
        self._unsaid: deque[bytes] = deque()
        self._online = False
        self._deaths = 0
        self.said = 0
        self._ear = _connected(Client(CallbackAPIVersion.VERSION2, "edge-nodes"), port)
        self._ear.on_message = self._heard
        heard: list[object] = []
        self._ear.on_subscribe = lambda *_: heard.append(None)
        self._ear.subscribe([(f"{NAMESPACE}/STATE/{HOST_ID}", 1), (f"{NAMESPACE}/+/NDEATH/+", 0)])
        _wait(self._ear, lambda: bool(heard), "an answer to a subscription")

    @property
    def silent(self) -> bool:
        """Whether all has been said."""
        return not self._unsaid

    def say(self, records: Iterable[bytes]) -> None:
        """Say what these records of a collector say, now or when the host is there. Raises: EdgeNodesSilent."""
        self._unsaid.extend(records)
        self.work()

    def work(self) -> None:
        """Say what is unsaid, if the host is there. Raises: EdgeNodesSilent."""
        self._ear.loop(0)
        while self._online and self._unsaid:
            self._say(self._unsaid.popleft())

    def host_gone(self) -> None:
        """Wait until the host is known to be away; then end every connection. Raises: EdgeNodesSilent."""
        _wait(self._ear, lambda: not self._online, "the death of the host")
        for node in self._nodes.values():
            self._vanish(node)

    def close(self) -> None:
        """Take leave of the broker, which says nothing of it then."""
        for node in self._nodes.values():
            node.leave()
        self._ear.disconnect()
        self._ear.loop(0)

    def _say(self, line: bytes) -> None:
        if not line.startswith(b"{"):  # no payload, with its topic
            topic, _, payload = line.decode().partition(" ")
            self._nodes[topic.split("/")[3]].publish(topic, bytes.fromhex(payload))
        else:
            record: dict[str, Any] = orjson.loads(line)
            node = self._nodes.setdefault(record["edge"], _EdgeNode(self.port, record["group"], record["edge"]))
            if record["type"] == "NDEATH":
                self._vanish(node)
            else:
                node.say(record)
        self.said += 1

    def _vanish(self, node: _EdgeNode) -> None:
        """End a connection without a word, and wait until the broker has said so."""
        deaths = self._deaths
        node.vanish()
        _wait(self._ear, lambda: self._deaths > deaths, f"the death of {node.name}")

    def _heard(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.startswith(f"{NAMESPACE}/STATE/"):
            self._online = orjson.loads(message.payload)["online"]
        else:
            self._deaths += 1


class _EdgeNode:
    """One edge node, its connection, and the aliases of its metrics."""

    def __init__(self, port: int, group: str, name: str) -> None:
        self._port, self._group, self.name = port, group, name
        self._client: Client | None = None
        self._bd_seq = -1
        self._aliases: dict[tuple[str, str], int] = {}

    def say(self, record: dict[str, Any]) -> None:
        if record["type"] == "NBIRTH" and record["metrics"]["bdSeq"] != self._bd_seq:
            self._connect(record["metrics"]["bdSeq"], record["at"])
        self.publish(self._topic(record["type"], record.get("device", "")), self._payload(record))

    def publish(self, topic: str, data: bytes) -> None:
        assert self._client is not None, "it is not born"
        self._client.publish(topic, data, 0)
        _wait(self._client, lambda: self._client is None or not self._client.want_write(), "the broker to take more")

    def vanish(self) -> None:
        client = self._client
        assert client is not None
        client.loop(0)  # What was received is read: else the connection would be reset, with what is on its way.
        left = client.socket()
        assert left is not None
        left.close()
        self._client = None

    def leave(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop(0)

    def _connect(self, bd_seq: int, at_ms: int) -> None:
        client = Client(CallbackAPIVersion.VERSION2, f"{self._group}-{self.name}")
        will = blank()
        will.timestamp = at_ms
        will.metrics.add(name="bdSeq", datatype=INT64, long_value=bd_seq)
        client.will_set(self._topic("NDEATH"), will.SerializeToString(), 1)
        self._client, self._bd_seq = _connected(client, self._port), bd_seq

    def _topic(self, kind: str, device: str = "") -> str:
        return f"{NAMESPACE}/{self._group}/{kind}/{self.name}" + (f"/{device}" if device else "")

    def _payload(self, record: dict[str, Any]) -> bytes:
        """Return what a record says: by name and alias in a birth, by alias later, by name what has none."""
        payload, device = blank(), record.get("device", "")
        payload.timestamp, payload.seq = record["at"], record["seq"]
        born = record["type"].endswith("BIRTH")
        for name, value in record.get("metrics", {}).items():
            key = (device, name)
            if born and name not in UNNAMED:
                self._aliases.setdefault(key, len(self._aliases) + 1)
            metric = payload.metrics.add(**_value(value))
            if key in self._aliases:
                metric.alias = self._aliases[key]
            if born or key not in self._aliases:
                metric.name = name
        for name, past in record.get("historical", {}).items():
            alias = self._aliases[device, name]
            payload.metrics.add(alias=alias, timestamp=past["at"], is_historical=True, **_value(past["value"]))
        data: bytes = payload.SerializeToString()
        return data


def _value(value: float | str) -> dict[str, Any]:
    """Return a value with its datatype, as fields of a metric."""
    if isinstance(value, bool):
        return {"datatype": BOOLEAN, "boolean_value": value}
    if isinstance(value, int):
        return {"datatype": UINT64 if value >= 0 else INT64, "long_value": value & (1 << 64) - 1}
    if isinstance(value, float):
        return {"datatype": DOUBLE, "double_value": value}
    return {"datatype": STRING, "string_value": value}


def _connected(client: Client, port: int) -> Client:
    try:
        client.connect(ADDRESS, port, KEEPALIVE_S)
    except OSError as error:
        raise EdgeNodesSilent(f"broker {ADDRESS}:{port}: {error}") from error
    _wait(client, client.is_connected, "a connection")
    return client


def _wait(client: Client, reached: Callable[[], bool], what: str) -> None:
    """Let a connection work until something is reached. Raises: EdgeNodesSilent."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        client.loop(LOOP_S)
        if time.monotonic() > deadline:
            raise EdgeNodesSilent(f"edge nodes of plant P have waited {PATIENCE_S:.0f} s for {what}")
