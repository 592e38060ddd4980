"""The truth about states: what each machine did when, as far as what it sent can tell.

Reckoned from what was noted, minute by minute where shifts change, and apart from the processors and the store.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

from dataflows.simulator.calendar import MINUTE_US, Calendar
from dataflows.simulator.truth import StateSums

STOPS = frozenset({"setup", "delay", "down"})
DAY_US = 24 * 60 * MINUTE_US


class States:
    """What the machines of a plant said of themselves."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._said: defaultdict[str, list[tuple[int, int, str, str]]] = defaultdict(list)
        self._stopped: dict[tuple[str, str], bool] = {}
        self._heard: dict[str, int] = {}
        self._noted = 0

    def said(self, session: str, source: str, work_center: str, occurred_us: int, state: str) -> None:
        """Note that a machine is in a state from an instant on."""
        self._stopped[source, session] = state in STOPS
        self._noted += 1
        self._said[source].append((occurred_us, self._noted, state, work_center))

    def made(self, session: str, source: str, work_center: str, occurred_us: int) -> None:
        """Note that a machine made something, so that it does not stand still."""
        if self._stopped.get((source, session)):
            self.said(session, source, work_center, occurred_us, "production")

    def heard(self, work_center: str, occurred_us: int) -> None:
        """Note until when something was made at a work centre: until then what lasts is known to last."""
        self._heard[work_center] = max(occurred_us, self._heard.get(work_center, occurred_us))

    def sums(self) -> Iterator[StateSums]:
        """Yield how long each machine was in each state, by shift."""
        times: Counter[tuple[str, str, date, str, str]] = Counter()
        planned: Counter[tuple[str, str, date, str, str]] = Counter()
        for source, said in self._said.items():
            said.sort()
            last_us, _, _, work_center = said[-1]
            ends = [*said, (max(last_us, self._heard.get(work_center, last_us)), 0, "", "")]
            for (begin_us, _, state, center), (end_us, *_) in pairwise(ends):
                for piece_us, until_us in self._pieces(begin_us, end_us):
                    what = (center, source, *self._calendar.shift(piece_us), state)
                    times[what] += until_us - piece_us
                    planned[what] += (until_us - piece_us) * self._calendar.stands(piece_us, center)
        lasts = self._lasts()
        for what, duration_us in sorted(times.items()):
            center, source, day, shift, state = what
            operation_us, stopped_us = lasts[center, day, shift]
            yield StateSums(
                work_center=center, source=source, posting_date=day, shift=shift, state=state,
                duration_us=duration_us, planned_us=planned[what],
                operation_us=operation_us, busy_us=operation_us - stopped_us,
            )  # fmt: skip

    def _pieces(self, begin_us: int, end_us: int) -> Iterator[tuple[int, int]]:
        """Yield [begin_us, end_us) minute by minute; shifts change between minutes."""
        while begin_us < end_us:
            until_us = min(end_us, (begin_us // MINUTE_US + 1) * MINUTE_US)
            yield begin_us, until_us
            begin_us = until_us

    def _lasts(self) -> Mapping[tuple[str, date, str], tuple[int, int]]:
        """Return how long each shift around what was noted lasts, and how long each work centre is to stand in it."""
        instants = [us for said in self._said.values() for us, *_ in said] + list(self._heard.values())
        centers = {center for said in self._said.values() for *_, center in said}
        lasts: defaultdict[tuple[str, date, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
        if instants:
            first_us = (min(instants) - DAY_US) // MINUTE_US * MINUTE_US
            for us in range(first_us, max(instants) + DAY_US, MINUTE_US):
                day, shift = self._calendar.shift(us)
                for center in centers if shift else ():
                    operation_us, stopped_us = lasts[center, day, shift]
                    stopped_us += MINUTE_US * self._calendar.stands(us, center)
                    lasts[center, day, shift] = (operation_us + MINUTE_US, stopped_us)
        return lasts
