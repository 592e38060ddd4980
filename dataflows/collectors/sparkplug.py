"""Edge nodes that speak Sparkplug B 3.0: each message as one JSON record, names in place of aliases.

The protocol forgets: edge nodes publish with quality of service 0. What they say while nobody listens is lost, unless
``host_id`` makes us their primary host: then they are told that we are away, keep what happens, and send it later, as
historical. That something was lost shows: messages are numbered, so the flow ``confirmations`` declares a gap, unless
it is 256 messages long. Counters that add up carry on with the birth that an edge node is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import orjson

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.mqtt_connection import MqttConnection
from dataflows.collectors.mqtt_settings import SparkplugCollector
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sparkplug_edge import Birth, Edge, Fields
from dataflows.collectors.sparkplug_payload import PayloadUnreadable, payload_of, rebirth

NAMESPACE: Final = "spBv1.0"
PART: Final = "source.births/"
_NAMED: Final = 100
KINDS: Final = frozenset({"NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA"})


class SparkplugNodes:
    """Listens to edge nodes; a ``Collector``. Args: clock: now in UTC microseconds; refusals: takes what is refused."""

    def __init__(self, section: SparkplugCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        self._connection: MqttConnection | None = None
        self._number = 0
        self._edges: dict[tuple[str, str], Edge] = {}
        self._changed: set[tuple[str, str]] = set()

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Number on from a committed position, with the births that were known then."""
        if position is not None:
            self._number = orjson.loads(position)["number"]
        for part, value in state.items():
            if part.startswith(PART):
                known = orjson.loads(value)
                edge = self._edge(known["group"], known["edge"], known["apart"])
                if edge is not None and known["session"]:
                    aliases = {alias: (name, datatype) for alias, name, datatype in known["aliases"]}
                    edge.birth = Birth(known["bd_seq"], known["session"], aliases)

    def poll(self) -> RawRecords:
        """Return what has been said. Raises: SourceUnavailable."""
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        values: list[bytes] = []
        now_us = self._clock()
        for message in self._connection.messages():
            values += self._told(message.topic, bytes(message.payload), now_us)
        self._ask(now_us)
        if not values:
            return NO_RECORDS
        offsets = np.arange(self._number + 1, self._number + len(values) + 1)
        self._number += len(values)
        return RawRecords.from_values(values, offsets, self._name)

    def position(self) -> str:
        """Return how many records there were."""
        return orjson.dumps({"number": self._number}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return the births that changed since the last call."""
        changed = {f"{PART}{group}/{name}": self._known(self._edges[group, name]) for group, name in self._changed}
        self._changed.clear()
        return changed

    def at_end(self) -> bool:
        """Return True: what will be said next, nobody knows."""
        return True

    def behind(self) -> int:
        """Return 0: what has been said has been heard."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: quality of service 0 waits for no answer."""

    def close(self) -> None:
        """Take leave of the broker."""
        if self._connection is not None:
            if self._section.host_id:
                self._connection.publish(self._state_topic(), self._presence(online=False), 1, retain=True)
                self._connection.sent()
            self._connection.close()
            self._connection = None

    def _connect(self) -> None:
        section = self._section
        topics = [
            (f"{NAMESPACE}/{section.group}/{kind}/{'+' if kind[0] == 'N' else '+/+'}", 0) for kind in sorted(KINDS)
        ]
        will = (self._state_topic(), self._presence(online=False)) if section.host_id else None
        self._connection = MqttConnection(section, self._name, topics, will=will)
        for edge in self._edges.values():
            edge.absent()
        if section.host_id:
            self._connection.publish(self._state_topic(), self._presence(online=True), 1, retain=True)

    def _state_topic(self) -> str:
        return f"{NAMESPACE}/STATE/{self._section.host_id}"

    def _presence(self, *, online: bool) -> bytes:
        return orjson.dumps({"online": online, "timestamp": self._clock() // 1000})

    def _told(self, topic: str, data: bytes, now_us: int) -> list[bytes]:
        """Return the records that a message makes; none where it is refused."""
        section = self._section
        _, group, kind, name, *rest = topic.split("/")
        if len(data) > section.message_bytes_max:
            words = f"a message longer than {section.message_bytes_max:,} bytes"
            return self._refused(FaultCode.OVERSIZE, topic, words, data)
        try:
            payload = payload_of(data)
        except PayloadUnreadable:
            return self._refused(FaultCode.MALFORMED, topic, "no Sparkplug payload", data)
        edge = self._edge(group, name)
        if edge is None:
            words = f"an edge node beyond {section.edges_max:,}"
            return self._refused(FaultCode.SESSIONS_EXHAUSTED, topic, words, data)
        told = edge.take(kind, rest[0] if rest else "", payload, now_us)
        if kind.endswith("BIRTH") or any("#" in each["source"] for each in told):
            self._changed.add((group, name))
        return [_record(each) for each in told]

    def _refused(self, code: FaultCode, topic: str, words: str, data: bytes) -> list[bytes]:
        self._refusals.refuse(code, f"{self._section.host}: {topic[:_NAMED]!r}: {words}", data)
        return []

    def _ask(self, now_us: int) -> None:
        """Ask edge nodes for their birth where one is missing, or a message has been missing for too long."""
        timeout_us = round(self._section.reorder_timeout_s * 1e6)
        for (group, name), edge in self._edges.items():
            if edge.wants_birth(now_us, timeout_us):
                assert self._connection is not None
                self._connection.publish(f"{NAMESPACE}/{group}/NCMD/{name}", rebirth(), 0)

    def _edge(self, group: str, name: str, apart: int = 0) -> Edge | None:
        """Return an edge node; None where there are too many."""
        key = (group, name)
        if key not in self._edges:
            if len(self._edges) >= self._section.edges_max:
                return None
            section = self._section
            self._edges[key] = Edge(
                group, name, held_max=section.held_max, aliases_max=section.aliases_max, apart=apart
            )
        return self._edges[key]

    def _known(self, edge: Edge) -> bytes:
        birth = edge.birth or Birth(0, "")
        aliases = [(alias, *known) for alias, known in birth.aliases.items()]
        known = {"group": edge.group, "edge": edge.name, "apart": edge.apart, "bd_seq": birth.bd_seq}
        return orjson.dumps({**known, "session": birth.session, "aliases": aliases})


def _record(told: Fields) -> bytes:
    return orjson.dumps(told)
