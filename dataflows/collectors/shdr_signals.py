"""Signals in lines of an MTConnect adapter: ``timestamp|item|value|item|value...``.

Laws: a line without an item under a rule is told as it is, and so is one that cannot be taken apart surely: of an
asset, with a quoted cell, without an instant, with an item that has no value. Of any other, items keep their places;
those that are left out or held go, with their values, and the line with the last of them. What was held is a line of
its own, before the line that proves it to be news.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataflows.collectors.reading import Reading, instant_us
from dataflows.collectors.signal_settings import SignalRule
from dataflows.collectors.signals import Signals


class ShdrSignals:
    """Takes lines, and returns those to be told."""

    def __init__(self, rules: Sequence[SignalRule]) -> None:
        self._signals = Signals(rules)
        self._rules = bool(rules)
        self.seek, self.state = self._signals.seek, self._signals.state

    def told(self, lines: list[bytes], now_us: int) -> list[bytes]:
        """Return the lines that are to be told of these."""
        if not self._rules:
            return lines
        return [told for line in lines for told in self._told(line, now_us)]

    def wake(self, now_us: int) -> list[bytes]:
        """Return what has been held for long enough."""
        return [each.reading.record for each in self._signals.wake(now_us)]

    def _told(self, line: bytes, now_us: int) -> list[bytes]:
        stamp, *cells = line.split(b"|")
        at_us = instant_us(stamp.partition(b"@")[0].strip().decode("latin-1"))
        if at_us is None or not cells or len(cells) % 2 or cells[0][:1] == b"@" or b'"' in line:
            return [line]
        before: list[bytes] = []
        kept: list[bytes] = []
        for name, value in zip(cells[::2], cells[1::2], strict=True):
            item = name.decode("utf-8", "backslashreplace")
            if not item or self._signals.rule(item) is None:
                kept += [name, value]
                continue
            text = value.strip().decode("utf-8", "backslashreplace")
            reading = Reading(at_us, text, b"|".join((stamp, name, value)))
            for each in self._signals.take("", item, reading, now_us):
                if each.reading is reading:
                    kept += [name, value]
                else:
                    before.append(each.reading.record)
        if len(kept) < len(cells):
            return [*before, b"|".join((stamp, *kept))] if kept else before
        return [*before, line]
