"""A timeline: which order a work centre worked for, instant by instant, as starts and stops tell it.

Laws: an instant is attributed to at most one order and operation, that which became active last; when that stops, to
the one before it. What was attributed is never attributed again. An order and operation of which nothing has been heard
for ``interval_max_us`` is over, so one that is never stopped takes no more than that from those after it.

Marks are applied in the order of their instants, and of their ids where those are equal. One whose instant has been
attributed already is late: it counts from where attribution stands, and not at all where a younger one of its order and
operation was applied.

Source: M22; DOMAIN 2.3 (overlapping orders, an unclosed stop).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from canonical.contracts import EventType

Work = tuple[str, str]
"""Order, operation."""


class Doing(StrEnum):
    """What is done for an order and operation."""

    SETUP = "setup"
    RUN = "run"
    STOPPED = "stopped"
    DONE = "done"


ACTIVE: Final = frozenset({Doing.SETUP, Doing.RUN})


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A start or stop; without an order it is of the whole work centre."""

    at_us: int
    event_id: str
    type: EventType
    order: str
    operation: str
    is_setup: bool


@dataclass(slots=True)
class Begun:
    """An order and operation that was heard of: what is done for it, since when it is active, the last mark of it."""

    doing: Doing
    active_us: int
    last: tuple[int, str]


@dataclass(frozen=True, slots=True)
class Span:
    """Time attributed: [start_us, end_us) of an order and operation; ``event_id`` is of the mark that began it."""

    work: Work
    doing: Doing
    start_us: int
    end_us: int
    event_id: str


@dataclass(slots=True)
class Timeline:
    """The orders and operations of one work centre. State: O(begun within ``interval_max_us``).

    ``centre`` is what the whole work centre is doing, whatever each order: run leaves it to them. A start or resumption
    of any order ends its stop.
    """

    at_us: int | None = None  # attributed until here
    centre: Doing = Doing.RUN
    centre_last: tuple[int, str] = (0, "")
    begun: dict[Work, Begun] = field(default_factory=dict)

    def apply(self, mark: Mark, interval_max_us: int) -> Iterator[Span | Work]:
        """Apply a mark; yield the time before it, and what is over with it."""
        yield from self.advance(mark.at_us, interval_max_us)
        assert self.at_us is not None
        this, doing = (mark.at_us, mark.event_id), _doing(mark)
        if this > self.centre_last and (not mark.order or doing is Doing.RUN):
            self.centre = Doing.RUN if doing is Doing.DONE else doing
            self.centre_last = this
        all_begun = sorted(self.begun) if doing is Doing.DONE else []
        for work in [(mark.order, mark.operation)] if mark.order else all_begun:
            known = self.begun.get(work)
            if known is None:
                if doing is Doing.STOPPED:
                    continue  # nothing was begun that could stop
                known = self.begun[work] = Begun(Doing.STOPPED, 0, (0, ""))
            if this > known.last:  # else something younger is known of it
                if doing in ACTIVE and known.doing not in ACTIVE:
                    known.active_us = self.at_us
                known.doing, known.last = doing, this
                if doing is Doing.DONE:
                    yield work

    def advance(self, to_us: int, interval_max_us: int) -> Iterator[Span | Work]:
        """Attribute the time until an instant; yield it, and what is over by then."""
        if self.at_us is None:
            self.at_us = to_us
        while self.begun:
            over_us, work = min((known.last[0] + interval_max_us, work) for work, known in self.begun.items())
            until_us = min(max(over_us, self.at_us), to_us)
            yield from self._attribute(until_us)
            if over_us > to_us:
                break
            del self.begun[work]
            yield work
        self.at_us = max(self.at_us, to_us)

    def over_us(self, interval_max_us: int) -> int | None:
        """Return when the first of what was begun will be over, if nothing more is heard of it."""
        return min((known.last[0] + interval_max_us for known in self.begun.values()), default=None)

    def _attribute(self, until_us: int) -> Iterator[Span]:
        """Attribute the time until an instant within which nothing changes."""
        assert self.at_us is not None
        if until_us <= self.at_us:
            return
        active = [(known.active_us, work) for work, known in self.begun.items() if known.doing in ACTIVE]
        if active and self.centre is not Doing.STOPPED:
            _, work = max(active)
            known = self.begun[work]
            doing = known.doing if self.centre is Doing.RUN else self.centre
            yield Span(work, doing, self.at_us, until_us, known.last[1])
        self.at_us = until_us

    def encode(self) -> Any:
        """Return the timeline as JSON has it."""
        begun = [[*work, known.doing, known.active_us, *known.last] for work, known in self.begun.items()]
        return [self.at_us, self.centre, *self.centre_last, begun]

    @staticmethod
    def decode(value: Any) -> Timeline:
        """Return what ``encode`` returned."""
        at_us, centre, centre_us, centre_id, begun = value
        return Timeline(
            at_us,
            Doing(centre),
            (centre_us, centre_id),
            {
                (order, operation): Begun(Doing(doing), active_us, (last_us, event_id))
                for order, operation, doing, active_us, last_us, event_id in begun
            },
        )


def _doing(mark: Mark) -> Doing:
    match mark.type:
        case EventType.COMPLETE:
            return Doing.DONE
        case EventType.START | EventType.RESUME:
            return Doing.SETUP if mark.is_setup else Doing.RUN
        case _:
            return Doing.SETUP if mark.is_setup else Doing.STOPPED
