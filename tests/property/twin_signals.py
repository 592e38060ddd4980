"""Signals by the definition of their rules: everything since the last told is looked at again with each reading."""

from __future__ import annotations

from fractions import Fraction

from dataflows.collectors.pulses import TOLD_MAX
from dataflows.collectors.reading import Reading
from dataflows.collectors.signal_settings import (
    DeadbandSignal,
    DebounceSignal,
    PulseSignal,
    SignalRule,
    SwingingDoorSignal,
)


def number(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except ValueError:
        return None


def between(one: Reading, reading: Reading, other: Reading) -> Fraction:
    """How far a reading is from the straight line between two."""
    start, value, end = (number(each.text) for each in (one, reading, other))
    run = Fraction(reading.at_us - one.at_us, other.at_us - one.at_us)
    return abs(value - (start + (end - start) * run))


class Twin:
    """One signal, over which no clock wakes."""

    def __init__(self, rule: SignalRule) -> None:
        self.rule = rule
        self.told: list[Reading] = []
        self.since: list[Reading] = []  # the last told
        self.last_us: int | None = None

    def take(self, reading: Reading) -> None:
        back = self.last_us is not None and reading.at_us < self.last_us
        self.last_us = reading.at_us
        match self.rule:
            case PulseSignal(gap_s=gap_s):
                alike = [each for each in self.told[-TOLD_MAX:] if each.text == reading.text]
                if all(abs(reading.at_us - each.at_us) >= gap_s * 1e6 for each in alike):
                    self.tell(reading)
            case _ if back or not self.told:
                self.told += self.held()
                self.tell(reading)
            case DeadbandSignal(width=width):
                values = [number(each.text) for each in (self.told[-1], reading)]
                alike = self.told[-1].text == reading.text
                if None not in values:
                    alike = abs(values[0] - values[1]) <= Fraction(width)
                if self.is_due(reading) or not alike:
                    self.tell(reading)
            case SwingingDoorSignal():
                self.swing(reading)
            case DebounceSignal(settle_s=settle_s):
                self.settle(reading, round(settle_s * 1e6))

    def swing(self, reading: Reading) -> None:
        told = self.told[-1]
        last = (self.since or self.told)[-1]
        if None in (number(told.text), number(reading.text)):
            if self.since or reading.text != told.text or self.is_due(reading):
                self.told += self.held()
                self.tell(reading)
        elif last.at_us == reading.at_us and number(last.text) == number(reading.text):
            pass
        elif not self.since:
            if self.is_due(reading) or told.at_us == reading.at_us:
                self.tell(reading)
            else:
                self.since = [reading]
        elif last.at_us == reading.at_us or any(
            between(told, each, reading) > Fraction(self.rule.width) for each in self.since
        ):
            self.tell(last)
            self.swing(reading)
        elif self.is_due(reading):
            self.tell(reading)
        else:
            self.since.append(reading)

    def settle(self, reading: Reading, settle_us: int) -> None:
        """``since`` is what came of the value that is not told yet."""
        if self.since and reading.at_us - self.since[0].at_us >= settle_us:
            self.tell(self.since[0])
        if self.since and self.since[0].text == reading.text:
            self.since.append(reading)
        elif reading.text != self.told[-1].text:
            self.since = [reading]
        else:
            self.since = []
            if self.is_due(reading):
                self.tell(reading)

    def held(self) -> list[Reading]:
        match self.rule:
            case SwingingDoorSignal():
                return self.since[-1:]
            case DebounceSignal():
                return self.since[:1]
        return []

    def is_due(self, reading: Reading) -> bool:
        return reading.at_us - self.told[-1].at_us >= self.rule.heartbeat_s * 1e6

    def tell(self, reading: Reading) -> None:
        self.told.append(reading)
        self.since = []
