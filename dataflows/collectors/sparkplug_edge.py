"""What one Sparkplug edge node says, with its devices, as records: births give names to aliases and open sessions.

Laws:

- a message of the current birth becomes one record, under source ``group/edge``, the session of that birth, and its
  ``seq``, which all devices of the edge node share; they are put in order where all sources are, not here;
- a metric is under ``metrics``, unless it is historical (``historical``, each with its own instant) or of bad quality
  (``bad``): what is not the present value of something is never taken for it;
- data before a birth wait for it. Told by a birth of the same connection of the edge node (``bdSeq``), they belong to
  the session before; else their names are not sure, and they are told apart, under source ``group/edge#apart``;
- a death counts when its ``bdSeq`` is that of the birth; it has no ``seq`` and is told apart likewise.

Source: Sparkplug 3.0, Operational Behavior; DOMAIN 3.2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from dataflows.collectors.sparkplug_payload import is_good, value_of

MODULUS: Final = 256
BD_SEQ: Final = "bdSeq"

Fields = dict[str, Any]
"""A record before it is written."""


@dataclass(slots=True)
class Birth:
    """What is known of an edge node since it was born: the session, and (name, datatype) of each alias."""

    bd_seq: int
    session: str
    aliases: dict[int, tuple[str, int]] = field(default_factory=dict)


class Edge:
    """One edge node. Args: held_max: messages that wait for a birth; aliases_max: metrics that have an alias."""

    def __init__(self, group: str, name: str, *, held_max: int, aliases_max: int, apart: int = 0) -> None:
        self.group, self.name = group, name
        self.birth: Birth | None = None
        self.sure = False  # of the birth: false after an absence, until the next one
        self.apart = apart  # records told apart so far; they are numbered
        self.asked_us: int | None = None
        self._held: deque[tuple[str, str, Any]] = deque()
        self._held_max, self._aliases_max = held_max, aliases_max
        self._next = 0
        self._ahead: set[int] = set()
        self._waits_since_us: int | None = None

    def absent(self) -> None:
        """We were away: a birth may have been missed."""
        self.sure = False
        self._ahead.clear()
        self._waits_since_us = None

    def take(self, kind: str, device: str, payload: Any, now_us: int) -> list[Fields]:
        """Return the records that a message makes; others may come with a birth. Kinds as in the topic: NBIRTH ..."""
        if kind == "NBIRTH":
            return self._born(payload)
        if kind == "NDEATH":
            return self._died(payload)
        if not self.sure:
            self._held.append((kind, device, payload))
            if self._waits_since_us is None:
                self._waits_since_us = now_us
            return [self._apart(*self._held.popleft())] if len(self._held) > self._held_max else []
        self._arrived(int(payload.seq), now_us)
        return [self._told(kind, device, payload)]

    def wants_birth(self, now_us: int, timeout_us: int) -> bool:
        """Return whether the edge node is to be asked for its birth now; not again within the time-out."""
        waits = self._waits_since_us is not None and now_us - self._waits_since_us >= timeout_us
        first = not self.sure and bool(self._held) and self.asked_us is None
        if not (waits or first) or (self.asked_us is not None and now_us - self.asked_us < timeout_us):
            return False
        self.asked_us = now_us
        return True

    def _born(self, payload: Any) -> list[Fields]:
        bd_seq = next((int(value_of(each, 8) or 0) for each in payload.metrics if each.name == BD_SEQ), 0)
        records: list[Fields] = []
        same = self.birth is not None and self.birth.bd_seq == bd_seq
        while self._held:  # they came before this birth
            held = self._held.popleft()
            records.append(self._told(*held) if same else self._apart(*held))
        self.birth = Birth(bd_seq, f"{bd_seq}-{payload.timestamp}")
        self.sure, self.asked_us, self._waits_since_us = True, None, None
        self._next, self._ahead = (int(payload.seq) + 1) % MODULUS, set()
        return [*records, self._told("NBIRTH", "", payload)]

    def _died(self, payload: Any) -> list[Fields]:
        bd_seq = next((int(value_of(each, 8) or 0) for each in payload.metrics if each.name == BD_SEQ), None)
        counts = self.birth is not None and self.birth.bd_seq == bd_seq
        if counts:
            self.sure = False
        return [self._apart("NDEATH" if counts else "NDEATH_STALE", "", payload)]

    def _arrived(self, seq: int, now_us: int) -> None:
        """Note which numbers are missing, and since when."""
        ahead = (seq - self._next) % MODULUS
        if ahead == 0:
            self._next = (self._next + 1) % MODULUS
            while self._next in self._ahead:
                self._ahead.discard(self._next)
                self._next = (self._next + 1) % MODULUS
        elif ahead < MODULUS // 2:
            self._ahead.add(seq)
        if not self._ahead:
            self._waits_since_us = None
        elif self._waits_since_us is None:
            self._waits_since_us = now_us

    def _told(self, kind: str, device: str, payload: Any) -> Fields:
        assert self.birth is not None
        if kind.endswith("BIRTH"):
            self._learn(payload)
        source = {"source": f"{self.group}/{self.name}", "session": self.birth.session, "seq": int(payload.seq)}
        return {**source, **self._fields(kind, device, payload, self.birth)}

    def _apart(self, kind: str, device: str, payload: Any) -> Fields:
        """Return a record outside the numbering of the edge node."""
        self.apart += 1
        source = {"source": f"{self.group}/{self.name}#apart", "session": "", "seq": self.apart % MODULUS}
        return {**source, **self._fields(kind, device, payload, None)}

    def _learn(self, payload: Any) -> None:
        assert self.birth is not None
        for metric in payload.metrics:
            known = len(self.birth.aliases) < self._aliases_max or metric.alias in self.birth.aliases
            if metric.HasField("alias") and metric.name and known:
                self.birth.aliases[metric.alias] = (metric.name, metric.datatype)

    def _fields(self, kind: str, device: str, payload: Any, birth: Birth | None) -> Fields:
        told: Fields = {"type": kind, "at": int(payload.timestamp), "group": self.group, "edge": self.name}
        if device:
            told["device"] = device
        aliases = birth.aliases if birth is not None else {}
        for metric in payload.metrics:
            name, datatype = metric.name, metric.datatype
            if not name:
                name, datatype = aliases.get(metric.alias, (f"alias {metric.alias}", 0))
            name = name.replace(".", "/")  # a dot parts the steps of a path in a mapping
            value = value_of(metric, datatype)
            if metric.is_historical:
                instant = metric.timestamp or payload.timestamp
                told.setdefault("historical", {})[name] = {"value": value, "at": int(instant)}
            else:
                told.setdefault("metrics" if birth is not None and is_good(metric) else "bad", {})[name] = value
        return told
