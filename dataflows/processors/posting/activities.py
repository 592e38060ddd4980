"""Activities: setup, machine and labour time of orders, from the starts and stops of their work centres.

Laws: an instant of a work centre counts for one order and operation at most, and once; a span that crosses a shift
boundary is cut there. Marks that arrive within ``reorder_us`` of each other give the same times in any order. The
outcome depends on the marks and the instants at which they were told, not on calls of ``wake`` in between.

A mark waits for ``reorder_us`` and is then applied with all that happened before it (``timeline``). The times of an
order and operation are gathered by work centre, posting date and shift, until the operation is complete or
``interval_max_us`` have passed without a word of it: then they become a confirmation of their own, without quantities.

    drafts = activities.tell(event, event_id, now_us)        start, pause, resume, downtime, complete
    drafts = activities.end(plant, work_center, order, operation, at_us, cause, now_us)    a final confirmation
    drafts = activities.wake(now_us)                         at ``due_us()``, or whenever
    parts = activities.parts(); activities.load(parts)

Source: M22; docs/decisions/0015.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from canonical.contracts import Event, EventType
from dataflows.processors.posting.activity import Activity, activity_decoded, activity_encoded, draft_of
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.shelf import Key, Shelf
from dataflows.processors.posting.timeline import Doing, Mark, Span, Timeline, Work

PREFIX: Final = "activities:"
TOLD: Final = frozenset({EventType.START, EventType.PAUSE, EventType.RESUME, EventType.DOWNTIME, EventType.COMPLETE})
"""Types of events that start or stop something."""

_Bucket = tuple[str, str, str, str]
"""Order, operation, posting date, shift."""


@dataclass(frozen=True, slots=True)
class ActivityPolicy:
    """What counts as which activity, and how long is waited."""

    reorder_us: int = 10_000_000
    interval_max_us: int = 12 * 3_600_000_000  # an order of which nothing is heard so long is over
    setup_reasons: frozenset[str] = frozenset({"SETUP"})  # a stop or start for one of these is setup
    labour: frozenset[Doing] = frozenset({Doing.SETUP, Doing.RUN})  # while somebody is there
    marks_max: int = 1_000  # waiting of a work centre; one more applies the oldest early
    begun_max: int = 200  # orders and operations of a work centre; one more ends that heard of least lately
    causes_max: int = 1_000  # ids kept of what an activity accounts for
    work_centers_max: int = 50_000  # one more makes that which is due first drafts early


@dataclass(slots=True)
class _Centre:
    """What is known of a work centre: marks that wait, by arrival and by instant; its times so far."""

    timeline: Timeline = field(default_factory=Timeline)
    arrived: list[tuple[int, int]] = field(default_factory=list)  # when told, which instant
    marks: list[Mark] = field(default_factory=list)
    times: dict[_Bucket, Activity] = field(default_factory=dict)
    over: list[Activity] = field(default_factory=list)  # to be drafts when next woken


class Activities:
    """Gathers times of orders by work centre. State: O(work centres), each bounded."""

    def __init__(self, policy: ActivityPolicy, calendars: Calendars) -> None:
        self.policy, self.calendars = policy, calendars
        self._centres = Shelf(PREFIX, 1, _encoded, _decoded, self._due_of)

    def tell(self, event: Event, event_id: str, now_us: int) -> list[Draft]:
        """Take an event of a type in ``TOLD``; return the drafts that are due."""
        assert event.type in TOLD, event.type
        mark = Mark(
            event.occurred_us,
            event_id,
            event.type,
            event.order,
            event.operation,
            event.reason in self.policy.setup_reasons,
        )
        return self._tell(event.plant, event.work_center, mark, now_us)

    def end(
        self, plant: str, work_center: str, order: str, operation: str, at_us: int, cause: str, now_us: int
    ) -> list[Draft]:
        """Learn from a confirmation that an operation is complete; return the drafts that are due."""
        mark = Mark(at_us, cause, EventType.COMPLETE, order, operation, is_setup=False)
        return self._tell(plant, work_center, mark, now_us)

    def wake(self, now_us: int) -> list[Draft]:
        """Return the drafts that are due."""
        drafts: list[Draft] = []
        while (due := self._centres.first()) is not None and due[0] <= now_us:
            drafts += self._settle(due[1], due[0])
        return drafts

    def due_us(self) -> int | None:
        """Return when something is due next."""
        due = self._centres.first()
        return None if due is None else due[0]

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        return self._centres.parts()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``parts`` returned over time. Raises: StateVersionUnknown."""
        self._centres.load(parts)

    # -- one work centre -----------------------------------------------------------------------

    def _tell(self, plant: str, work_center: str, mark: Mark, now_us: int) -> list[Draft]:
        drafts = self.wake(now_us)
        key = (plant, work_center)
        if self._centres.get(key) is None and len(self._centres) >= self.policy.work_centers_max:
            drafts += self._drop_first()
        centre = self._centres.get(key) or _Centre()
        bisect.insort(centre.marks, mark)
        centre.arrived.append((now_us, mark.at_us))
        if len(centre.marks) > self.policy.marks_max:
            self._apply(key, centre, centre.arrived[0][1])
        self._centres.put(key, centre)
        return drafts + self.wake(now_us)

    def _settle(self, key: Key, due_us: int) -> list[Draft]:
        """Do for a work centre what is due then; return the drafts of what is over."""
        centre = self._centre(key)
        waited_us = due_us - self.policy.reorder_us
        ripe = [at_us for told_us, at_us in centre.arrived if told_us <= waited_us]
        if ripe:
            self._apply(key, centre, max(ripe))
        over_us = centre.timeline.over_us(self.policy.interval_max_us)
        if over_us is not None and over_us <= waited_us:
            self._apply(key, centre, over_us)
            self._gather(key, centre, centre.timeline.advance(over_us, self.policy.interval_max_us))
        drafts = [draft_of(key[0], activity) for activity in centre.over]
        centre.over = []
        self._centres.put(key, centre)
        return drafts

    def _drop_first(self) -> list[Draft]:
        """Forget the work centre that is due first, or any; return its times as drafts."""
        due = self._centres.first()
        key = due[1] if due is not None else next(iter(self._centres))
        centre = self._centre(key)
        if centre.marks:
            self._apply(key, centre, centre.marks[-1].at_us)
        activities = [*centre.over, *centre.times.values()]
        self._centres.remove(key)
        return [draft_of(key[0], activity) for activity in activities]

    def _apply(self, key: Key, centre: _Centre, until_us: int) -> None:
        """Apply the marks until an instant."""
        count = bisect.bisect_right(centre.marks, until_us, key=lambda mark: mark.at_us)
        if not count:
            return
        marks, centre.marks = centre.marks[:count], centre.marks[count:]
        centre.arrived = [(told_us, at_us) for told_us, at_us in centre.arrived if at_us > until_us]
        begun = centre.timeline.begun
        for mark in marks:
            self._gather(key, centre, centre.timeline.apply(mark, self.policy.interval_max_us))
            while len(begun) > self.policy.begun_max:
                _, work = min((known.last, work) for work, known in begun.items())
                del begun[work]
                self._end(centre, work)

    def _gather(self, key: Key, centre: _Centre, found: Iterable[Span | Work]) -> None:
        """Add spans to the times of their shifts, and put aside the times of what is over."""
        plant, work_center = key
        for each in found:
            if not isinstance(each, Span):
                self._end(centre, each)
                continue
            order, operation = each.work
            for start_us, end_us, shift, day in self.calendars.pieces(plant, each.start_us, each.end_us):
                bucket = (order, operation, day.isoformat(), shift)
                activity = centre.times.get(bucket)
                if activity is None:
                    activity = centre.times[bucket] = Activity(
                        work_center, order, operation, day, shift, start_us, end_us
                    )
                activity.end_us = end_us
                if each.doing is Doing.SETUP:
                    activity.setup_us += end_us - start_us
                else:
                    activity.machine_us += end_us - start_us
                if each.doing in self.policy.labour:
                    activity.labour_us += end_us - start_us
                if len(activity.causes) < self.policy.causes_max and each.event_id not in activity.causes:
                    activity.causes.append(each.event_id)

    def _end(self, centre: _Centre, work: Work) -> None:
        for bucket in [bucket for bucket in centre.times if bucket[:2] == work]:
            centre.over.append(centre.times.pop(bucket))

    def _centre(self, key: Key) -> _Centre:
        centre = self._centres.get(key)
        assert centre is not None, key
        return centre

    def _due_of(self, centre: _Centre) -> int | None:
        if centre.over:
            return 0
        waits = [told_us for told_us, _ in centre.arrived[:1]]
        over_us = centre.timeline.over_us(self.policy.interval_max_us)
        if over_us is not None:
            waits.append(over_us)
        return min(waits) + self.policy.reorder_us if waits else None


def _encoded(centre: _Centre) -> Any:
    marks = [[m.at_us, m.event_id, m.type, m.order, m.operation, m.is_setup] for m in centre.marks]
    return [
        centre.timeline.encode(),
        centre.arrived,
        marks,
        [activity_encoded(activity) for activity in centre.times.values()],
        [activity_encoded(activity) for activity in centre.over],
    ]


def _decoded(_version: int, value: Any) -> _Centre:
    timeline, arrived, marks, times, over = value
    activities = [activity_decoded(activity) for activity in times]
    return _Centre(
        Timeline.decode(timeline),
        [(told_us, at_us) for told_us, at_us in arrived],
        [
            Mark(at_us, event_id, EventType(kind), order, operation, is_setup)
            for at_us, event_id, kind, order, operation, is_setup in marks
        ],
        {(a.order, a.operation, a.day.isoformat(), a.shift): a for a in activities},
        [activity_decoded(activity) for activity in over],
    )
