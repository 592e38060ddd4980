"""Consumption: what weighing and line events say was used, gathered into goods issues.

Laws: per plant, order, operation, material, lot, unit and bin, what was told is what was drafted and what waits, to the
thousandth. The drafts depend on the events and the instants at which they were told, not on how those were cut into
calls, on calls of ``wake`` in between, or on restarts.

Events of one order and posting day that are told within ``window_us`` of the first of them are one document, with a
line for each operation, material, lot, unit and bin. The end of the order makes it due after ``settle_us``, so that
what was consumed just before and arrives just after is still in it; a line that reaches ``line_quantity_max``, and a
document that reaches ``lines_max`` or ``events_max``, at once. Reference data has no say here: a draft is held against
the order's bill of material when it is posted (``components``).

    drafts = consumption.take(event, event_id, now_us)
    drafts = consumption.end(plant, order, now_us)       the order, or an operation of it, is reported complete
    drafts = consumption.wake(now_us)                    at ``due_us()``, or whenever
    parts = consumption.parts(); consumption.load(parts)

Source: M15, M18; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from canonical.contracts import Event, EventType, Lane, Movement, PostingKind
from dataflows.processors.posting.calendars import Calendars
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.shelf import Key, Shelf

PREFIX: Final = "consumption:"
QUANTITY_MAX: Final = 10**15
"""What a movement may hold, in thousandths."""

Line = tuple[str, str, str, str, str]
"""Operation, material, lot, unit, bin."""


@dataclass(frozen=True, slots=True)
class ConsumptionPolicy:
    """When what was gathered becomes a document; quantities are thousandths of their unit."""

    window_us: int = 300_000_000
    settle_us: int = 10_000_000
    line_quantity_max: int = 10**12
    lines_max: int = 200
    events_max: int = 5_000
    documents_max: int = 50_000  # open ones; one more makes that which is due first a draft early


@dataclass(slots=True)
class _Document:
    """What has been gathered."""

    due_us: int
    start_us: int
    end_us: int
    correlations: list[str]  # two of them are as good as many
    lines: dict[Line, int] = field(default_factory=dict)
    causes: list[str] = field(default_factory=list)


class Consumption:
    """Gathers consumption into drafts of goods issues. State: O(open documents), each bounded."""

    def __init__(self, policy: ConsumptionPolicy, calendars: Calendars) -> None:
        self.policy, self.calendars = policy, calendars
        self._documents = Shelf(PREFIX, 1, _encoded, _decoded, lambda document: document.due_us)
        self._by_order: dict[tuple[str, str], set[Key]] = {}

    def take(self, event: Event, event_id: str, now_us: int) -> list[Draft]:
        """Take an event of type consume; return the drafts that are due, or full with it.

        One that concerns no quantity asks for nothing.
        """
        assert event.type is EventType.CONSUME, event.type
        drafts = self.wake(now_us)
        if not event.quantity:
            return drafts
        shift, day = self.calendars.day(event.plant, event.occurred_us)
        key = (event.plant, event.order, day.isoformat(), shift)
        line = (event.operation, event.material, event.lot, event.unit, event.from_bin)
        document = self._documents.get(key)
        if document is not None and document.lines.get(line, 0) + event.quantity > QUANTITY_MAX:
            drafts.append(self._close(key))
            document = None
        if document is None:
            if len(self._documents) >= self.policy.documents_max:
                drafts.append(self._close_first())
            document = _Document(now_us + self.policy.window_us, event.occurred_us, event.occurred_us, [])
            self._by_order.setdefault((key[0], key[1]), set()).add(key)
        document.start_us = min(document.start_us, event.occurred_us)
        document.end_us = max(document.end_us, event.occurred_us)
        if event.correlation_id not in ("", *document.correlations) and len(document.correlations) < 2:
            document.correlations.append(event.correlation_id)
        document.lines[line] = document.lines.get(line, 0) + event.quantity
        document.causes.append(event_id)
        self._documents.put(key, document)
        if self._is_full(document, line):
            drafts.append(self._close(key))
        return drafts

    def end(self, plant: str, order: str, now_us: int) -> list[Draft]:
        """Learn that the order, or an operation of it, is complete; return the drafts that are due."""
        drafts = self.wake(now_us)
        for key in sorted(self._by_order.get((plant, order), ())):
            document = self._documents.get(key)
            assert document is not None
            if document.due_us > now_us + self.policy.settle_us:
                document.due_us = now_us + self.policy.settle_us
                self._documents.put(key, document)
        return drafts

    def wake(self, now_us: int) -> list[Draft]:
        """Return the drafts that are due."""
        drafts = []
        while (due := self._documents.first()) is not None and due[0] <= now_us:
            drafts.append(self._close(due[1]))
        return drafts

    def due_us(self) -> int | None:
        """Return when the next draft is due."""
        due = self._documents.first()
        return None if due is None else due[0]

    def waiting(self, plant: str, order: str) -> dict[Line, int]:
        """Return what has been told of an order and is not yet in a draft, in thousandths by line."""
        quantities: dict[Line, int] = {}
        for key in self._by_order.get((plant, order), ()):
            document = self._documents.get(key)
            assert document is not None
            for line, quantity in document.lines.items():
                quantities[line] = quantities.get(line, 0) + quantity
        return quantities

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        return self._documents.parts()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``parts`` returned over time. Raises: StateVersionUnknown."""
        self._documents.load(parts)
        for key in self._documents:
            self._by_order.setdefault((key[0], key[1]), set()).add(key)

    def _is_full(self, document: _Document, line: Line) -> bool:
        policy = self.policy
        return (
            document.lines[line] >= policy.line_quantity_max
            or len(document.lines) >= policy.lines_max
            or len(document.causes) >= policy.events_max
        )

    def _close_first(self) -> Draft:
        due = self._documents.first()
        assert due is not None
        return self._close(due[1])

    def _close(self, key: Key) -> Draft:
        plant, order, day, shift = key
        document = self._documents.remove(key)
        keys = self._by_order[plant, order]
        keys.remove(key)
        if not keys:
            del self._by_order[plant, order]
        lines = sorted(document.lines)
        operations = tuple(line[0] for line in lines)
        causes = tuple(sorted(document.causes))
        return Draft(
            cause=f"consumption/{causes[0]}",  # an event is in one document, so its first one names it
            kind=PostingKind.GOODS_ISSUE,
            lane=Lane.CRITICAL,
            plant=plant,
            document_date=date.fromisoformat(day),
            start_us=document.start_us,
            end_us=document.end_us,
            order=order,
            operation=operations[0] if len(set(operations)) == 1 else "",
            shift=shift,
            movements=tuple(_movement(line, document.lines[line]) for line in lines),
            movement_operations=operations,
            causes=causes,
            correlation_id=document.correlations[0] if len(document.correlations) == 1 else "",
        )


def _movement(line: Line, quantity: int) -> Movement:
    """Return the line in the plant's words: it has no movement type yet, and its bin is where the place will be."""
    _, material, lot, unit, bin_ = line
    return Movement(movement_type="", material=material, lot=lot, quantity=quantity, unit=unit, storage_location=bin_)


def _encoded(document: _Document) -> Any:
    return [
        document.due_us,
        document.start_us,
        document.end_us,
        document.correlations,
        [[*line, quantity] for line, quantity in document.lines.items()],
        document.causes,
    ]


def _decoded(_version: int, value: Any) -> _Document:
    due_us, start_us, end_us, correlations, lines, causes = value
    gathered = {(line[0], line[1], line[2], line[3], line[4]): line[5] for line in lines}
    return _Document(due_us, start_us, end_us, correlations, gathered, causes)
