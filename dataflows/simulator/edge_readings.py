"""What becomes of an edge node's messages on their way, and what the readings that arrive amount to.

Law: a reading adds what its counter has gone on since the last reading of its device that arrived, or the reading
itself where the counter is lower than before; the first adds nothing. So what is lost is in the next reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from random import Random
from typing import Final

from dataflows.simulator.calendar import Calendar
from dataflows.simulator.configuration import Disturbance
from dataflows.simulator.drop import Delivery
from dataflows.simulator.edge_device import Shown
from dataflows.simulator.edge_sessions import Message
from dataflows.simulator.witness import Fate, Made, Meaning, Witness

TAIL: Final = 48
"""Messages at the end of a session that are never lost: more than ``held_rows_max`` of the plant's mapping.

So it is known that one is missing before the next birth is heard.
"""
DATA: Final = frozenset({"DDATA", "NDATA"})
OVERTAKEN_MAX: Final = 5
"""Messages that may overtake one; a broker keeps the order, an edge node with several threads not quite."""


class EdgeReadings:
    """The way of one edge node's messages to the platform; the witness is told of every one."""

    def __init__(self, rng: Random, disturbance: Disturbance, calendar: Calendar, witness: Witness) -> None:
        self._rng, self._disturbance, self._calendar, self._witness = rng, disturbance, calendar, witness
        self._last: dict[str, tuple[int, int]] = {}

    def delivered(self, messages: Iterable[Message]) -> Iterator[Delivery]:
        """Yield the messages as they arrive."""
        for (source, session), part in groupby(messages, lambda each: (each.source, each.session)):
            told = list(part)
            lost = self._lost(told) if session else set()
            for number in sorted(lost):
                if number - 1 not in lost:
                    end = next(n for n in range(number, len(told)) if n not in lost)
                    self._witness.gap(source, session, number, end - 1)
            yield from self._session(told, lost)

    def _session(self, told: Sequence[Message], lost: set[int]) -> Iterator[Delivery]:
        share = self._disturbance
        for index, message in enumerate(told):
            if index in lost:
                continue
            self._witness.event(self._meaning(message), message.session)
            at = index
            if self._rng.random() < share.disorder and self._may_wait(told, index):
                at = min(index + self._rng.randint(1, min(OVERTAKEN_MAX, share.displacement_max)), len(told) - 1)
            yield self._delivery(message, told[at])
            if message.kind in DATA and self._rng.random() < share.duplicates:
                self._witness.duplicates += 1
                yield self._delivery(message, told[min(at + self._rng.randint(0, 3), len(told) - 1)])

    @staticmethod
    def _delivery(message: Message, behind: Message) -> Delivery:
        """Return the message as it arrives: in its place, or right behind another one."""
        return Delivery(behind.at_us, int(behind is not message), message.source, message.record)

    def _lost(self, told: Sequence[Message]) -> set[int]:
        lost: set[int] = set()
        index = 1
        while index < len(told) - TAIL:
            if self._rng.random() < self._disturbance.gaps:
                end = index + self._rng.randint(1, 3)
                while index < end and told[index].kind in DATA:
                    lost.add(index)
                    index += 1
            index += 1
        return lost

    def _may_wait(self, told: Sequence[Message], index: int) -> bool:
        """Return whether this message may be late: what it tells counts alike with the next reading."""
        shown = told[index].shown
        if told[index].kind not in DATA:
            return False
        if shown is None:
            return True
        following = next((m for m in told[index + 1 :] if m.shown is not None and m.shown.device == shown.device), None)
        return following is not None and following.kind in DATA and self._key(following) == self._key(told[index])

    def _key(self, message: Message) -> object:
        assert message.shown is not None
        return message.shown.job, self._calendar.shift(message.at_us)

    def _meaning(self, message: Message) -> Meaning:
        shown = message.shown
        if shown is None:
            return Fate.ANALYTICS_ONLY
        good = scrap = 0
        if message.counts:
            good, scrap = self._added(shown)
        job = shown.job
        return Made(
            message.source, job.order, job.operation, job.lot, job.product.unit, message.at_us, shown.device,
            good=good * 1000, scrap=scrap * 1000,
        )  # fmt: skip

    def _added(self, shown: Shown) -> tuple[int, int]:
        now = shown.good, shown.scrap
        before = self._last.get(shown.device, now)
        self._last[shown.device] = now
        good, scrap = (n - b if n >= b else n for n, b in zip(now, before, strict=True))
        return good, scrap
