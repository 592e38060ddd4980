"""Presence: which order is at a work centre, as the starts, stops and completions of orders tell it.

Laws:

- at an instant an order is told where exactly one is there: the one that runs or, where none does, the one that is
  stopped and not complete. Where two run, where two are stopped, and where there is none, no order is told;
- who is there follows from the newest mark of each order and operation, of those up to the instant that are younger
  than ``interval_max_us``; so it depends on which marks are known, and not on the order in which they came;
- of more than ``marks_max`` marks the oldest are forgotten, and for a time of which they would tell no order is told.

Intervals are half-open: from the instant of a start an order is there, at that of its completion it is not any more.

State: one part for each mark, written once.

Source: M22; DOMAIN 2.3 (machine counts never reach the order); docs/decisions/0028.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from canonical.contracts import EventType, ExceptionCode
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.shelf import Shelf
from dataflows.processors.posting.timeline import Mark, Work
from dataflows.processors.state import StateVersionUnknown

PART: Final = "presence"
PREFIX: Final = "present:"
VERSION: Final = 1
RUNS: Final = frozenset({EventType.START, EventType.RESUME})
STOPPED: Final = frozenset({EventType.PAUSE, EventType.DOWNTIME})

_Place = tuple[str, str]
"""Plant, work centre."""


@dataclass(frozen=True, slots=True)
class AttributionPolicy:
    """Whose confirmations get the order that is at their work centre, where they name none.

    ``settle_us``: they wait so long for marks that come by other ways. ``interval_max_us``: an order of which nothing
    is heard for so long is not there any more. ``marks_max``: marks remembered, of all work centres.
    """

    plants: frozenset[str] = frozenset()
    settle_us: int = 60_000_000
    interval_max_us: int = 12 * 3_600_000_000
    marks_max: int = 100_000


class Presence:
    """The marks by work centre. State: O(``marks_max``)."""

    def __init__(self, policy: AttributionPolicy) -> None:
        self.policy = policy
        self._marks: Shelf[Mark] = Shelf(PREFIX, 1, _encoded, _decoded, lambda mark: mark.at_us)
        self._at: dict[_Place, list[Mark]] = {}
        self._forgotten_us = -1  # the youngest mark that is not known any more
        self._known = b""

    def __len__(self) -> int:
        return len(self._marks)

    def tell(self, plant: str, work_center: str, mark: Mark) -> bool:
        """Take a mark that names an order; return whether it is news."""
        assert mark.order, mark
        key = (plant, work_center, mark.event_id)
        if mark.at_us <= self._forgotten_us or self._marks.get(key) is not None:
            return False
        self._marks.put(key, mark)
        bisect.insort(self._at.setdefault((plant, work_center), []), mark)
        while len(self._marks) > self.policy.marks_max:
            self._forget()
        return True

    def at(self, plant: str, work_center: str, operation: str, first_us: int, last_us: int) -> Mark | Failure:
        """Return the mark by which an order is at a work centre from the first instant to the last, both included.

        Args: operation: where it is not empty, an order that is there for another one is not asked for.
        """
        interval_us = self.policy.interval_max_us
        concerns = (("plant", plant), ("work_center", work_center))
        if first_us - interval_us < self._forgotten_us:
            return _nobody(concerns, f"{_said(first_us)} is too long ago to say which order was at {work_center}")
        known = self._at.get((plant, work_center), [])
        since, until = (bisect.bisect_right(known, us, key=_at) for us in (first_us - interval_us, last_us))
        marks = [m for m in known[since:until] if not (operation and m.operation) or operation == m.operation]
        turns = {first_us, *map(_at, marks), *(mark.at_us + interval_us for mark in marks)}
        found: Mark | None = None
        for at_us in sorted(turn for turn in turns if first_us <= turn <= last_us):
            there = _there(marks, at_us, interval_us)
            if not there:
                return _nobody(concerns, f"no order was at work centre {work_center} at {_said(at_us)}")
            if len(there) > 1:
                names = " and ".join(sorted(f"{mark.order} {mark.operation}".strip() for mark in there))
                return _several(concerns, f"{names} were both at work centre {work_center} at {_said(at_us)}")
            if found is not None and _work(there[0]) != _work(found):
                what = f"{found.order} gave way to {there[0].order} at work centre {work_center} at {_said(at_us)}"
                return _several(concerns, f"{what}, and this was made from {_said(first_us)} to {_said(last_us)}")
            found = found or there[0]
        assert found is not None
        return found

    # -- state ---------------------------------------------------------------------------------

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed since the last call; an empty one is gone."""
        parts = self._marks.parts()
        value = orjson.dumps([VERSION, self._forgotten_us])
        if self._forgotten_us >= 0 and value != self._known:
            parts[PART] = self._known = value
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time. Raises: StateVersionUnknown."""
        if PART in parts:
            self._known = parts[PART]
            version, self._forgotten_us = orjson.loads(self._known)
            if version != VERSION:
                raise StateVersionUnknown(
                    f"expected state {PART} of version {VERSION}, found {version}. Run the release that wrote it, "
                    "or a newer one."
                )
        self._marks.load(parts)
        for plant, work_center, event_id in self._marks:
            mark = self._marks.get((plant, work_center, event_id))
            assert mark is not None
            self._at.setdefault((plant, work_center), []).append(mark)
        for known in self._at.values():
            known.sort()

    def _forget(self) -> None:
        """Forget the oldest mark, and all of its instant."""
        due = self._marks.first()
        assert due is not None
        self._forgotten_us = due[0]
        while due is not None and due[0] == self._forgotten_us:
            plant, work_center, _ = due[1]
            mark, known = self._marks.remove(due[1]), self._at[plant, work_center]
            del known[bisect.bisect_left(known, mark)]
            if not known:
                del self._at[plant, work_center]
            due = self._marks.first()


def _there(marks: Iterable[Mark], at_us: int, interval_us: int) -> list[Mark]:
    """Return the newest mark of each order and operation that is there; ``marks`` ascend."""
    newest: dict[Work, Mark] = {}
    for mark in marks:
        if at_us - interval_us < mark.at_us <= at_us:
            whole = mark.type is EventType.COMPLETE and not mark.operation  # of all operations of the order
            for work in [each for each in newest if each[0] == mark.order] if whole else [_work(mark)]:
                newest[work] = mark
    runs = [mark for mark in newest.values() if mark.type in RUNS]
    return runs or [mark for mark in newest.values() if mark.type in STOPPED]


def _nobody(concerns: tuple[tuple[str, str], ...], message: str) -> Failure:
    remedy = "tell of the order's start that is missing, or discard, and post by hand"
    return Failure(ExceptionCode.NO_ORDER_ACTIVE, concerns, message, remedy)


def _several(concerns: tuple[tuple[str, str], ...], message: str) -> Failure:
    remedy = "tell of the stop or completion that is missing, or discard, and post by hand to each its part"
    return Failure(ExceptionCode.ORDER_AMBIGUOUS, concerns, message, remedy)


def _work(mark: Mark) -> Work:
    return mark.order, mark.operation


def _at(mark: Mark) -> int:
    return mark.at_us


def _said(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encoded(mark: Mark) -> Any:
    return [mark.at_us, mark.event_id, mark.type, mark.order, mark.operation]


def _decoded(_version: int, value: Any) -> Mark:
    at_us, event_id, kind, order, operation = value
    return Mark(at_us, event_id, EventType(kind), order, operation, is_setup=False)
