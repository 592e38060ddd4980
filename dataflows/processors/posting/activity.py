"""An activity: the times of an order and operation at a work centre in a shift, and what they become (M22)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from canonical.contracts import Lane, PostingKind
from dataflows.processors.posting.draft import Draft


@dataclass(slots=True)
class Activity:
    """Times of an order and operation at a work centre in a shift, in microseconds."""

    work_center: str
    order: str
    operation: str
    day: date
    shift: str
    start_us: int
    end_us: int
    setup_us: int = 0
    machine_us: int = 0
    labour_us: int = 0
    causes: list[str] = field(default_factory=list)


def draft_of(plant: str, activity: Activity) -> Draft:
    """Return a confirmation of times alone."""
    a = activity
    named = orjson.dumps([a.work_center, a.order, a.operation, a.start_us]).decode()
    return Draft(
        cause=f"activity/{named}",  # spans of a work centre do not overlap, so where the first begins names them
        kind=PostingKind.CONFIRMATION,
        lane=Lane.STANDARD,
        plant=plant,
        document_date=a.day,
        start_us=a.start_us,
        end_us=a.end_us,
        order=a.order,
        operation=a.operation,
        work_center=a.work_center,
        shift=a.shift,
        setup_us=a.setup_us,
        machine_us=a.machine_us,
        labour_us=a.labour_us,
        causes=tuple(sorted(a.causes)),
    )


def activity_encoded(a: Activity) -> Any:
    """Return an activity as JSON has it."""
    named = [a.work_center, a.order, a.operation, a.day.isoformat(), a.shift]
    return [*named, a.start_us, a.end_us, a.setup_us, a.machine_us, a.labour_us, a.causes]


def activity_decoded(value: Any) -> Activity:
    """Return what ``activity_encoded`` returned."""
    work_center, order, operation, day, *rest = value
    return Activity(work_center, order, operation, date.fromisoformat(day), *rest)
