"""The signals of a collector: what of their readings is told, and what is left out because it says nothing new (0027).

Laws, for every signal:

- read = told + left out + held, by count, at every commit; at most one reading is held;
- what is told is told once, as it came and with its own time, and of a signal in the order in which it came;
- the outcome depends on the readings and on when they came, not on how they were cut into batches, nor on kills: the
  state is committed with the records and the position;
- nothing is held for longer than its rule says and ``slack_us`` more, by our clock: what proves it to be news may be on
  its way so long;
- a reading that is earlier than the one before it is told, what was held is told before it, and the rule begins anew: a
  clock that was set back silences nothing. What no rule can judge is told: no instant, too long, one signal too many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import orjson

from dataflows.collectors.deadband import Deadband
from dataflows.collectors.debounce import Debounce
from dataflows.collectors.pulses import Pulses
from dataflows.collectors.reading import Reading
from dataflows.collectors.signal_settings import (
    DeadbandSignal,
    DebounceSignal,
    PulseSignal,
    SignalRule,
    SwingingDoorSignal,
)
from dataflows.collectors.swinging_door import SwingingDoor
from dataflows.processors.state import StateVersionUnknown

KIND: Final = "signals"
PART: Final = "source.signals/"
VERSION: Final = 1
SLACK_US: Final = 1_000_000
SIGNALS_MAX: Final = 10_000
"""Signals of a collector; readings of more are told as they come."""
READING_BYTES_MAX: Final = 16_384
"""A record that is longer is told as it comes."""

Key = tuple[str, str]
"""Source and item of a signal."""


class Filter(Protocol):
    """What one rule knows of one signal. ``held``: the reading that waits; ``hold_us``: for so long at most."""

    ordered: ClassVar[bool]
    hold_us: int

    @property
    def held(self) -> Reading | None: ...  # noqa: D102
    def take(self, reading: Reading) -> list[Reading]: ...  # noqa: D102
    def release(self) -> list[Reading]: ...  # noqa: D102
    def encode(self) -> list[Any]: ...  # noqa: D102
    def decode(self, state: list[Any], held: Reading | None) -> None: ...  # noqa: D102


@dataclass(slots=True)
class _Signal:
    """One signal. ``due_us``: what is held is told then; ``last_us``: of the reading before."""

    rule: SignalRule
    filter: Filter
    read: int = 0
    told: int = 0
    last_us: int | None = None
    due_us: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A reading that is to be told, and whose it is."""

    source: str
    reading: Reading


class Signals:
    """Takes readings, and returns those to be told. Args: rules: the first that names an item holds for it."""

    def __init__(self, rules: Sequence[SignalRule], slack_us: int = SLACK_US) -> None:
        self._patterns = [(re.compile("|".join(map(_pattern, rule.items))), rule) for rule in rules]
        self._slack_us = slack_us
        self._rules: dict[str, SignalRule | None] = {}
        self._signals: dict[Key, _Signal] = {}
        self._changed: set[Key] = set()
        self._first: list[Told] = []  # held for rules that are no more
        self._due_us: int | None = None  # not later than any signal's

    def rule(self, item: str) -> SignalRule | None:
        """Return the rule for an item, if there is one."""
        if item not in self._rules:
            if len(self._rules) >= SIGNALS_MAX:
                self._rules.clear()
            self._rules[item] = next((rule for names, rule in self._patterns if names.fullmatch(item)), None)
        return self._rules[item]

    def take(self, source: str, item: str, reading: Reading, now_us: int) -> list[Told]:
        """Return what is to be told now; the reading itself, if it is, comes last."""
        key, rule = (source, item), self.rule(item)
        signal = self._signals.get(key)
        if rule is None or len(reading.record) > READING_BYTES_MAX:
            return [Told(source, reading)]
        if signal is None:
            if len(self._signals) >= SIGNALS_MAX:
                return [Told(source, reading)]
            signal = self._signals[key] = _Signal(rule, _filter(rule))
        out: list[Reading] = []
        if signal.last_us is not None and reading.at_us < signal.last_us and signal.filter.ordered:
            out = signal.filter.release()
            signal.filter = _filter(rule)
        held = signal.filter.held
        out += signal.filter.take(reading)
        signal.read += 1
        signal.last_us = reading.at_us
        if signal.filter.held is None:
            signal.due_us = None
        elif signal.filter.held is not held:
            signal.due_us = now_us + signal.filter.hold_us + self._slack_us
            self._due_us = _sooner(self._due_us, signal.due_us)
        return self._told(key, signal, out)

    def wake(self, now_us: int) -> list[Told]:
        """Return what has been held for long enough."""
        told, self._first = self._first, []
        if self._due_us is None or now_us < self._due_us:
            return told
        told += self._released({key for key, each in self._signals.items() if each.due_us and each.due_us <= now_us})
        self._due_us = min((each.due_us for each in self._signals.values() if each.due_us), default=None)
        return told

    def end(self) -> list[Told]:
        """Return all that is held; every signal begins anew: what comes is of others by the same names."""
        told = self.wake(0) + self._released({key for key, each in self._signals.items() if each.due_us})
        for signal in self._signals.values():
            signal.filter, signal.last_us = _filter(signal.rule), None
        self._changed |= self._signals.keys()
        self._due_us = None
        return told

    def state(self) -> dict[str, bytes]:
        """Return the parts that changed since the last call; those of signals that are no more are empty."""
        changed = {_part(key): self._encoded(key) for key in self._changed}
        self._changed.clear()
        return changed

    def seek(self, state: Mapping[str, bytes]) -> None:
        """Go on from a committed state; under a rule that is another now, a signal begins anew."""
        for part, value in state.items():
            if not part.startswith(PART) or not value:
                continue
            known = orjson.loads(value)
            if known["version"] != VERSION:
                raise StateVersionUnknown(
                    f"expected state {KIND} of version {VERSION}, found {known['version']}. "
                    "Run the release that wrote it, or a newer one."
                )
            source, item = key = tuple(known["key"])
            held = Reading.decoded(known["held"])
            rule = self.rule(item)
            if rule is not None and _name(rule) == known["rule"]:
                signal = _Signal(rule, _filter(rule), known["read"], known["told"], known["last_us"], known["due_us"])
                signal.filter.decode(known["state"], held)
                self._signals[key] = signal
                self._due_us = _sooner(self._due_us, signal.due_us)
                continue
            self._changed.add(key)
            if held is not None:
                self._first.append(Told(source, held))

    def _told(self, key: Key, signal: _Signal, readings: list[Reading]) -> list[Told]:
        signal.told += len(readings)
        self._changed.add(key)
        return [Told(key[0], reading) for reading in readings]

    def _released(self, keys: set[Key]) -> list[Told]:
        """Return what these hold, by its time: a restart knows no other order."""
        told: list[Told] = []
        for key in sorted(keys):
            signal = self._signals[key]
            signal.due_us = None
            told += self._told(key, signal, signal.filter.release())
        return sorted(told, key=lambda each: each.reading.at_us)

    def _encoded(self, key: Key) -> bytes:
        signal = self._signals.get(key)
        if signal is None:
            return b""
        held = signal.filter.held
        known = {"version": VERSION, "key": key, "rule": _name(signal.rule), "read": signal.read, "told": signal.told}
        known |= {"last_us": signal.last_us, "due_us": signal.due_us, "state": signal.filter.encode()}
        return orjson.dumps(known | {"held": held.encoded() if held is not None else None})


def counts(state: Mapping[str, bytes]) -> dict[str, int]:
    """Return how many readings a collector has read, told, holds and left out, by the state of its last commit."""
    known = [orjson.loads(value) for part, value in state.items() if part.startswith(PART)]
    if not known:
        return {}
    read, told = (sum(each[name] for each in known) for name in ("read", "told"))
    held = sum(each["held"] is not None for each in known)
    return {"read": read, "told": told, "held": held, "left_out": read - told - held}


def _filter(rule: SignalRule) -> Filter:
    match rule:
        case DeadbandSignal():
            return Deadband(rule.width, _us(rule.heartbeat_s))
        case SwingingDoorSignal():
            return SwingingDoor(rule.width, _us(rule.heartbeat_s))
        case DebounceSignal():
            return Debounce(_us(rule.settle_s), _us(rule.heartbeat_s))
        case PulseSignal():
            return Pulses(_us(rule.gap_s))


def _name(rule: SignalRule) -> str:
    """Return what a rule does, by which it is known after a restart."""
    return rule.model_dump_json(exclude={"items"})


def _part(key: Key) -> str:
    return PART + orjson.dumps(key).decode()


def _pattern(item: str) -> str:
    return ".*".join(map(re.escape, item.split("*")))


def _sooner(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
