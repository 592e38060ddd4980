"""The naive twin: what each record sent is, told row by row in plain Python.

It knows nothing of batches, commits or crashes. It decides what the order of the records alone decides:
which number a record has, which records are copies, and what a counter's readings add.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from canonical.contracts.event import EventType
from canonical.mapping import PlantMapping
from canonical.policy import CounterPolicy, Route, SequencePolicy

Event = Mapping[str, Any]
Session = tuple[str, str]
"""Source and session."""
Number = Callable[[Session, Event], tuple[int, bool]]
"""Returns the number of a record, and whether it is the first with it."""

COUNTERS: Final = (("good_counter", "good"), ("scrap_counter", "scrap"))


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a shard: its session, the number it is known by, and whether it is the first with it.

    ``session`` is None where the record cannot be read.
    """

    session: Session | None
    number: int = -1
    first: bool = False
    event: Event | None = None
    route: Route | None = None


def rows_of(mapping: PlantMapping, events: Iterable[Event | None]) -> list[Row]:
    """Return what the records of a shard are, in its order; None is a record that cannot be read."""
    number = _by_number(mapping.sequencing) if mapping.sequencing.mode == "number" else _by_arrival(mapping)
    rows = []
    for event in events:
        if event is None:
            rows.append(Row(None))
            continue
        session = (event["source"], event.get("session", ""))
        rows.append(Row(session, *number(session, event), event, mapping.routes[EventType(event["type"])]))
    return rows


def _by_number(policy: SequencePolicy) -> Number:
    """Number by what the record says; where numbers wrap, by the nearest continuation of the one before."""
    latest: dict[Session, int] = {}
    seen: set[tuple[Session, int]] = set()

    def number(session: Session, event: Event) -> tuple[int, bool]:
        n: int = event["seq"]
        if policy.modulus is not None:
            begin = n + policy.modulus if policy.start == "any" else policy.start
            before, half = latest.get(session, begin), policy.modulus // 2
            n = latest[session] = before + (n - before + half) % policy.modulus - half
        first = (session, n) not in seen
        seen.add((session, n))
        return n, first

    return number


def _by_arrival(mapping: PlantMapping) -> Number:
    """Number by the order of arrival; a copy of one of the last so many identities has none."""
    horizon = mapping.sequencing.identity_horizon_rows
    age: dict[tuple[str, object], int] = {}
    reached: dict[Session, int] = {}
    fresh = itertools.count()
    newest = -1

    def number(session: Session, event: Event) -> tuple[int, bool]:
        nonlocal newest
        identity = (session[0], event.get("event_id") or tuple(event.items()))
        if age.get(identity, -1) >= max(newest + 1 - horizon, 0):
            return -1, False
        newest = age[identity] = next(fresh)
        reached[session] = reached.get(session, -1) + 1
        return reached[session], True

    return number


class Counted:
    """What the readings of one session, or of one work centre in it, add, row by row."""

    def __init__(self, mapping: PlantMapping) -> None:
        policy: CounterPolicy = mapping.counters
        self.count_first = policy.first_reading == "count"
        self.rollover = None if policy.rollover is None else policy.rollover * 1000
        self.jump_max = float("inf") if policy.jump_max is None else policy.jump_max * 1000
        self.by_time = mapping.sequencing.mode == "arrival"
        self.last: dict[str, int] = {}
        self.last_us: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.owed = {"good": 0, "scrap": 0}

    def row(self, event: Event, *, confirmed: bool) -> dict[str, int] | None:
        """Return what is added to each quantity of the row, in thousandths; None where a reading is absurd."""
        deltas: dict[str, int] = {}
        absurd = False
        for name, quantity in COUNTERS:
            if event.get(name) is None or (self.by_time and event["occurred"] < self.last_us.get(name, 0)):
                continue
            delta = self._delta(name, event[name] * 1000)
            absurd |= delta is None
            deltas[quantity] = delta or 0
        if absurd:
            return None
        for name, quantity in COUNTERS:
            if quantity in deltas:
                self.last[name], self.last_us[name] = event[name] * 1000, event["occurred"]
                self.refused.pop(name, None)
                self.owed[quantity] += deltas[quantity]
        if not confirmed:
            return {}
        added, self.owed = self.owed, {"good": 0, "scrap": 0}
        return added

    def _delta(self, name: str, reading: int) -> int | None:
        if self.rollover is not None and reading >= self.rollover:
            return None
        before = self.last.get(name, 0 if self.count_first else reading)
        delta = reading - before
        if delta < 0:
            delta = reading
            if self.rollover is not None:
                round_ = reading + self.rollover - self.last[name]
                delta = round_ if round_ <= min(self.jump_max, self._round_max()) else reading
        if delta <= self.jump_max:
            return delta
        if name in self.refused and 0 < reading - self.refused[name] <= self.jump_max:
            return reading - self.refused[name]
        self.refused[name] = reading
        return None

    def _round_max(self) -> float:
        assert self.rollover is not None
        return self.rollover // 10 if self.jump_max == float("inf") else self.jump_max
