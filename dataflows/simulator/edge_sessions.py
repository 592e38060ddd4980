"""The sessions of a Sparkplug edge node: births, data, deaths, and what happened while nobody could be told.

Source: Sparkplug 3.0, Operational Behavior: a birth opens a session and begins its numbers; ``bdSeq`` counts the
connections, and the broker publishes the death of one that ended without a word, with the instant of its beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final, Literal, NamedTuple

import orjson

from dataflows.simulator.calendar import MINUTE_US
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.disturbance import instants
from dataflows.simulator.edge_device import MILLISECOND_US, EdgeDevice, Shown

MODULUS: Final = 256
KEPT: Final = 3
"""Readings of a device that an edge node keeps while it cannot tell them."""
MARGIN_US: Final = 100_000
"""Nothing is said so shortly before an interruption that it would fall into it."""

Why = Literal["death", "rebirth", "away", "pause"]


class Message(NamedTuple):
    """A message of an edge node as the collector tells it; ``shown`` where it carries counters or an order.

    ``number`` counts within the session and does not wrap; it is -1 outside.
    """

    at_us: int
    source: str
    session: str
    number: int
    kind: str
    shown: Shown | None
    record: bytes
    counts: bool = False


class _Interruption(NamedTuple):
    begin_us: int
    end_us: int
    why: Why


class EdgeSessions:
    """One edge node through the whole window. Args: source: group and name; away: when the primary host is."""

    def __init__(
        self,
        rng: Random,
        config: SimulationConfig,
        source: str,
        devices: Sequence[EdgeDevice],
        away: tuple[int, int],
    ) -> None:
        self._rng, self._source, self._devices = rng, source, devices
        self._end_us = config.end_us
        self._at_us = config.start_us
        self._connected_us = 0
        self._bd_seq, self._number, self._deaths, self._minutes = -1, 0, 0, 0
        self._name = ""
        self._reset_share = min(1.0, config.disturbance.resets_per_day / 4)
        self._interruptions = self._planned(config, away)

    def messages(self) -> Iterator[Message]:
        """Yield what the edge node says, in the order of time, until the window ends."""
        for message in self._all():
            if message.at_us >= self._end_us:
                return
            yield message

    def _planned(self, config: SimulationConfig, away: tuple[int, int]) -> list[_Interruption]:
        """Return what interrupts the edge node, apart from each other."""
        rng, per_day = self._rng, config.disturbance.restarts_per_day
        found = [_Interruption(*away, "away")]
        for why, minutes in (("death", (2, 20)), ("rebirth", (0, 0)), ("pause", (5, 40))):
            for begin_us in instants(rng, per_day, config.start_us + MINUTE_US, config.end_us):
                end_us = begin_us + rng.randint(*minutes) * MINUTE_US
                # Further from each other than anything keeps or waits.
                if all(end_us + MINUTE_US < each.begin_us or each.end_us + MINUTE_US < begin_us for each in found):
                    found.append(_Interruption(begin_us, end_us, why))  # type: ignore[arg-type] # one of Why
        return sorted(found)

    def _all(self) -> Iterator[Message]:
        yield from self._connect({})
        for interruption in self._interruptions:
            yield from self._data(interruption.begin_us)
            if interruption.why == "pause":
                yield from self._device_paused(interruption)
            elif interruption.why == "rebirth":
                yield from self._born()
            else:
                if interruption.why == "death":
                    yield self._death(interruption.begin_us)
                    self._reset()
                kept = self._meanwhile(interruption.end_us, self._devices)
                self._tick(interruption.end_us)
                yield from self._connect(kept)
        yield from self._data(self._end_us)

    def _connect(self, kept: dict[str, list[Shown]]) -> Iterator[Message]:
        """Connect anew, be born, and tell what was kept as history."""
        self._bd_seq += 1
        self._connected_us = 0
        yield from self._born()
        for device in self._devices:
            for shown in kept.get(device.name, ()):
                history = {"Good": {"value": shown.good, "at": shown.at_us // 1000}}
                more = {"metrics": device.now.context, "historical": history}
                yield self._say("DDATA", device.now, more)

    def _born(self) -> Iterator[Message]:
        self._number = 0
        self._tick(self._at_us)
        self._name = f"{self._bd_seq}-{self._at_us // 1000}"
        self._connected_us = self._connected_us or self._at_us
        metrics = {"bdSeq": self._bd_seq, "Node Control/Rebirth": False, "Uptime": self._minutes}
        yield self._say("NBIRTH", None, {"metrics": metrics}, ticks=False)
        for device in self._devices:
            yield self._say("DBIRTH", device.now, {"metrics": device.now.metrics}, counts=True)

    def _data(self, until_us: int) -> Iterator[Message]:
        """Yield what the devices say until an instant, and now and then what the edge node says of itself."""
        while True:
            device = min(self._devices, key=lambda each: each.next_us)
            if device.next_us + MARGIN_US >= until_us:
                return
            shown = device.step()
            self._tick(shown.at_us)
            yield self._say("DDATA", shown, {"metrics": shown.metrics}, counts=True, ticks=False)
            if self._rng.random() < 0.03:
                self._minutes += 1
                yield self._say("NDATA", None, {"metrics": {"Uptime": self._minutes}})

    def _device_paused(self, interruption: _Interruption) -> Iterator[Message]:
        """Let a device be away for a while; the others go on."""
        device = self._rng.choice(self._devices)
        self._tick(interruption.begin_us)
        yield self._say("DDEATH", None, {}, device=device.name, ticks=False)
        others = [each for each in self._devices if each is not device]
        mine, self._devices = self._devices, others
        yield from self._data(interruption.end_us)
        self._devices = mine
        self._meanwhile(interruption.end_us, [device])
        self._tick(interruption.end_us)
        yield self._say("DBIRTH", device.now, {"metrics": device.now.metrics}, counts=True, ticks=False)

    def _meanwhile(self, until_us: int, devices: Sequence[EdgeDevice]) -> dict[str, list[Shown]]:
        """Let devices go on while nobody hears of it; return their last readings."""
        kept: defaultdict[str, list[Shown]] = defaultdict(list)
        for device in devices:
            while device.next_us < until_us:
                kept[device.name] = [*kept[device.name], device.step()][-KEPT:]
        return kept

    def _reset(self) -> None:
        """Let devices count from zero again, as they do after a power failure."""
        for device in self._devices:
            if self._rng.random() < self._reset_share:
                device.reset()

    def _death(self, at_us: int) -> Message:
        """Return what the broker says of a connection that ended without a word."""
        self._deaths += 1
        self._tick(at_us)
        record = {"source": f"{self._source}#apart", "session": "", "seq": self._deaths % MODULUS, "type": "NDEATH"}
        said = {"bad": {"bdSeq": self._bd_seq}}
        data = orjson.dumps(record | {"at": self._connected_us // 1000} | self._place() | said)
        return Message(self._at_us, f"{self._source}#apart", "", -1, "NDEATH", None, data)

    def _say(
        self,
        kind: str,
        shown: Shown | None,
        said: dict[str, Any],
        *,
        device: str = "",
        counts: bool = False,
        ticks: bool = True,
    ) -> Message:
        if ticks:
            self._tick(self._at_us + MILLISECOND_US)
        number, self._number = self._number, self._number + 1
        device = shown.device if shown else device
        record: dict[str, Any] = {"source": self._source, "session": self._name, "seq": number % MODULUS, "type": kind}
        record |= {"at": self._at_us // 1000} | self._place() | ({"device": device} if device else {}) | said
        return Message(self._at_us, self._source, self._name, number, kind, shown, orjson.dumps(record), counts)

    def _place(self) -> dict[str, str]:
        group, _, edge = self._source.partition("/")
        return {"group": group, "edge": edge}

    def _tick(self, at_us: int) -> None:
        """Go on to an instant, a millisecond after the last message at least."""
        self._at_us = max(self._at_us + MILLISECOND_US, at_us // MILLISECOND_US * MILLISECOND_US)
