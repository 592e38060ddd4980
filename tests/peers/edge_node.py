"""A Sparkplug edge node with one device, over a real broker: births, deaths, data by alias, rebirth on command."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from dataflows.collectors.sparkplug_payload import _PAYLOAD

INT64, UINT64, DOUBLE, BOOLEAN, STRING = 4, 8, 10, 11, 12


def payload(seq: int | None, *metrics: dict[str, Any], at_ms: int = 1_800_000_000_000) -> bytes:
    message = _PAYLOAD(timestamp=at_ms)
    if seq is not None:
        message.seq = seq % 256
    for metric in metrics:
        message.metrics.add(**metric)
    return message.SerializeToString()


class EdgeNode:
    """Publishes its parts made as a counter that adds up. Not connected until ``connect``."""

    def __init__(self, port: int, name: str = "line-1", first_ms: int = 1_800_000_000_000) -> None:
        self.name, self.port = name, port
        self.made = 0
        self.rebirths = 0
        self._bd_seq, self._seq, self._at_ms = -1, 0, first_ms
        self._lock = threading.RLock()

    def connect(self) -> None:
        self._bd_seq = (self._bd_seq + 1) % 256
        client = self._client = Client(CallbackAPIVersion.VERSION2, f"edge-{self.name}")
        client.will_set(self._topic("NDEATH"), payload(None, self._bd()), 1)
        client.on_connect = lambda *_: client.subscribe(self._topic("NCMD"), 1)
        client.on_subscribe = lambda *_: self.born()
        client.on_message = self._commanded
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        deadline = time.monotonic() + 20
        while self._seq < 2:
            assert time.monotonic() < deadline, "the edge node did not connect"
            time.sleep(0.01)
        # What was published before is with the broker when this is.
        client.publish("flushed", b"", 1).wait_for_publish(20)

    def born(self) -> None:
        with self._lock:
            self._seq = 0
            self._say(
                "NBIRTH", self._bd(), {"name": "Node Control/Rebirth", "datatype": BOOLEAN, "boolean_value": False}
            )
            self._say(
                "DBIRTH", {"name": "Good", "alias": 10, "datatype": UINT64, "long_value": self.made}, device="press"
            )

    def wait_host(self, host_id: str, since_ms: int = 0) -> None:
        """Wait until the primary host has said since then that it is there, as an edge node that keeps its history."""

        def heard(_client: Client, _data: object, message: MQTTMessage) -> None:
            told = json.loads(message.payload)
            if told["online"] and told["timestamp"] >= since_ms:
                there.set()

        there = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2, f"watch-{self.name}")
        client.on_connect = lambda *_: client.subscribe(f"spBv1.0/STATE/{host_id}", 1)
        client.on_message = heard
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert there.wait(60), "the primary host is away"
        client.disconnect()
        client.loop_stop()

    def make(self, parts: int = 1) -> None:
        with self._lock:
            for _ in range(parts):
                self.made += 1
                self._say("DDATA", {"alias": 10, "long_value": self.made}, device="press")

    def vanish(self) -> None:
        """Lose the connection without a word: the broker publishes the death."""
        self._client._sock_close()
        self._client.loop_stop()
        self._seq = 0

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _bd(self) -> dict[str, Any]:
        return {"name": "bdSeq", "datatype": INT64, "long_value": self._bd_seq}

    def _topic(self, kind: str, device: str = "") -> str:
        return f"spBv1.0/plant/{kind}/{self.name}" + (f"/{device}" if device else "")

    def _say(self, kind: str, *metrics: dict[str, Any], device: str = "") -> None:
        self._at_ms += 1
        sent = self._client.publish(self._topic(kind, device), payload(self._seq, *metrics, at_ms=self._at_ms), 0)
        assert sent.rc in (0, 4)
        self._seq = self._seq + 1

    def _commanded(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == self._topic("NCMD"):
            self.rebirths += 1
            self.born()
