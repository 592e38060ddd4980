"""Gathering: what does not come as a confirmation and becomes drafts for the desk, and what is watched on the way.

Laws: an event of type consume or move, and a start or stop, goes to exactly one of the gatherers; what the desk has no
room for is offered again after ``retry_us``, so nothing that was gathered is lost.

Source: M13, M18, M20, M22; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter

from canonical.contracts import Confirmation, Event, EventType
from canonical.policy import ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors.posting import moves
from dataflows.processors.posting.activities import TOLD, Activities, ActivityPolicy
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.consumption import Consumption, ConsumptionPolicy
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.finals import Finals
from dataflows.processors.posting.scrap_watch import Breach, ScrapPolicy, ScrapWatch
from dataflows.processors.posting.shelf import Shelf

PREFIX: Final = "put-back:"
_DRAFT: Final[TypeAdapter[Draft]] = TypeAdapter(Draft)


@dataclass(frozen=True, slots=True)
class PlantTime:
    """What tells shift and posting date: the plant's zone (IANA) and its shifts."""

    zone: str
    shifts: tuple[ShiftPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class GatheringPolicy:
    """How each gatherer works; without a policy for them, starts and stops are passed over, and scrap is.

    ``final_wait_us``: an operation is ended when nothing has come for it for so long; 0: by its completion itself.
    """

    consumption: ConsumptionPolicy = field(default_factory=ConsumptionPolicy)
    activities: ActivityPolicy | None = None
    scrap: ScrapPolicy | None = None
    plants: Mapping[str, PlantTime] = field(default_factory=dict)
    retry_us: int = 60_000_000
    final_wait_us: int = 3_600_000_000
    finals_max: int = 50_000


class Gathering:
    """The gatherers as one. State: theirs."""

    def __init__(self, policy: GatheringPolicy) -> None:
        self.policy = policy
        calendars = Calendars({name: ShiftCalendar(plant.zone, plant.shifts) for name, plant in policy.plants.items()})
        self.calendars = calendars
        self.consumption = Consumption(policy.consumption, calendars)
        self.activities = Activities(policy.activities, calendars) if policy.activities is not None else None
        self.scrap = ScrapWatch(policy.scrap) if policy.scrap is not None else None
        self.finals = Finals(policy.final_wait_us, policy.finals_max) if policy.final_wait_us else None
        self._back: Shelf[tuple[int, Draft]] = Shelf(PREFIX, 1, _encoded, _decoded, lambda kept: kept[0])

    def event(self, event: Event, event_id: str, now_us: int) -> list[Draft]:
        """Take an operational event; return the drafts that are due."""
        if event.type is EventType.CONSUME:
            return self.consumption.take(event, event_id, now_us)
        if event.type is EventType.MOVE:
            draft = moves.moved(event, event_id, self.calendars)
            return [] if draft is None else [draft]
        if self.activities is not None and event.type in TOLD:
            return self.activities.tell(event, event_id, now_us)
        return []

    def confirmation(self, confirmation: Confirmation, now_us: int) -> tuple[list[Draft], list[Breach]]:
        """Take a confirmation that was not known; return the drafts due, and the breach that begins or ends."""
        c = confirmation
        drafts: list[Draft] = []
        if self.finals is not None and not c.revision:
            drafts += self.finals.take(c, now_us)
        if c.final and not c.revision:
            drafts += self.consumption.end(c.plant, c.order, now_us)
            if self.activities is not None:
                named = str(c.posting_id)
                drafts += self.activities.end(
                    c.plant, c.work_center, c.order, c.operation, c.last_occurred_us, named, now_us
                )
        return drafts, self.scrap.take(c, now_us) if self.scrap is not None else []

    def put_back(self, draft: Draft, now_us: int) -> None:
        """Keep a draft that there was no room for."""
        self._back.put((draft.plant, draft.kind, draft.cause), (now_us + self.policy.retry_us, draft))

    @property
    def put_back_count(self) -> int:
        """How many drafts there was no room for."""
        return len(self._back)

    def wake(self, now_us: int) -> list[Draft]:
        """Return the drafts that are due."""
        drafts = []
        while (due := self._back.first()) is not None and due[0] <= now_us:
            drafts.append(self._back.remove(due[1])[1])
        drafts += self.consumption.wake(now_us)
        if self.activities is not None:
            drafts += self.activities.wake(now_us)
        if self.scrap is not None:
            self.scrap.wake(now_us)
        if self.finals is not None:
            drafts += self.finals.wake(now_us)
        return drafts

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do."""
        back = self._back.first()
        dues = [None if back is None else back[0], self.consumption.due_us()]
        dues += [each.due_us() for each in (self.activities, self.scrap, self.finals) if each is not None]
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def encode(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        parts = {**self._back.parts(), **self.consumption.parts()}
        for each in (self.activities, self.scrap, self.finals):
            if each is not None:
                parts |= each.parts()
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time. Raises: StateVersionUnknown."""
        self._back.load(parts)
        self.consumption.load(parts)
        for each in (self.activities, self.scrap, self.finals):
            if each is not None:
                each.load(parts)


def _encoded(kept: tuple[int, Draft]) -> Any:
    return [kept[0], _DRAFT.dump_python(kept[1], mode="json")]


def _decoded(_version: int, value: Any) -> tuple[int, Draft]:
    due_us, draft = value
    return due_us, _DRAFT.validate_python(draft)
