"""The reference book: what the ERPs say, and what of it is in force at an instant.

Law: the book is a function of the records it was told, not of their order. A record is known by its kind, its key
and ``valid_from_us``; of several that have the same, the one with the greatest ``changed_us`` counts, and of those
that have the same again, the one whose JSON is greatest. A withdrawn record is as if it had never been.

Where the question is about the past (which ERP, which step), the instant is that of what is posted; where it is
about what the ERP accepts now (order, lot, period), it is now.

Source: M06, M11, M33, A15; docs/decisions/0015.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final

import orjson

from canonical.contracts import (
    REFERENCE,
    AnyReference,
    BinReference,
    LotReference,
    MaterialReference,
    OrderReference,
    OrderStatus,
    PeriodReference,
    ReasonReference,
    RouteReference,
    StepReference,
    WorkCenterReference,
)

Subject = tuple[str, ...]
"""What a record is about, and what waits for it waits on: its kind, then what names it."""
PART: Final = "reference:"
_DAY: Final = timedelta(days=1)

_Versions = dict[tuple[str, ...], dict[int, AnyReference]]
"""The rest of a record's key, where its subject has several; then by ``valid_from_us``."""


class ReferenceBook:
    """Records by subject. State: O(records), ``records_max`` of them.

    ``looked`` are the subjects asked for: who clears it before asking knows afterwards what the answer depends on.
    ``timed`` says whether any of them has a record that does not hold for ever: then the answer depends on the instant.
    ``version`` is another one whenever an answer may be.
    """

    def __init__(self, records_max: int) -> None:
        self.records_max = records_max
        self.size = 0
        self.looked: set[Subject] = set()
        self.timed = False
        self.version = 0
        self._subjects: dict[Subject, _Versions] = {}
        self._periods: dict[str, list[PeriodReference]] = {}  # as they are until one is told, or time turns one
        self._turns: list[tuple[int, Subject]] = []  # instants at which something comes into force or ends
        self._changed: set[Subject] = set()

    def tell(self, record: AnyReference, now_us: int) -> Subject | None:
        """Take a record; return what it is about where that changed, None where it is old news.

        Raises: BookFull where there is no room for another record.
        """
        subject, rest = place(record)
        versions = self._subjects.get(subject, {}).get(rest, {})
        known = versions.get(record.valid_from_us)
        if known is not None and not _newer(record, known):
            return None
        if known is None:
            if self.size >= self.records_max:
                raise BookFull
            self.size += 1
        self._put(subject, rest, record)
        self._turn(subject, record, now_us)
        self._periods.pop(subject[1], None)
        self.version += 1
        self._changed.add(subject)
        return subject

    def kinds(self) -> Counter[str]:
        """Return of how many subjects of each kind something is known."""
        return Counter(subject[0] for subject in self._subjects)

    def due_us(self) -> int | None:
        """Return the next instant at which something comes into force or ends."""
        return self._turns[0][0] if self._turns else None

    def wake(self, now_us: int) -> Iterator[Subject]:
        """Yield what has come into force or ended until now."""
        while self._turns and self._turns[0][0] <= now_us:
            subject = heapq.heappop(self._turns)[1]
            self.version += 1
            self._periods.pop(subject[1], None)
            yield subject

    # -- what is in force ----------------------------------------------------------------------

    def order(self, erp: str, plant: str, order: str, at_us: int) -> OrderReference | None:
        """Return an order as its ERP has it."""
        found = self._in_force(("order", plant, order), (erp,), at_us)
        return found if isinstance(found, OrderReference) else None

    def elsewhere(self, plant: str, order: str) -> list[str]:
        """Return the ERPs that know the order."""
        return sorted(rest[0] for rest in self._subjects.get(("order", plant, order), ()))

    def closed(self, plant: str, order: str, at_us: int) -> bool:
        """Return whether no ERP that knows the order takes postings for it any more."""
        known = [self.order(erp, plant, order, at_us) for erp in self.elsewhere(plant, order)]
        ended = (OrderStatus.CLOSED, OrderStatus.DELETED)
        return bool(known) and all(found is None or found.status in ended for found in known)

    def work_center(self, plant: str, work_center: str, at_us: int) -> WorkCenterReference | None:
        """Return a work centre."""
        found = self._in_force(("work_center", plant, work_center), (), at_us)
        return found if isinstance(found, WorkCenterReference) else None

    def material(self, material: str, at_us: int) -> MaterialReference | None:
        """Return a material."""
        found = self._in_force(("material", material), (), at_us)
        return found if isinstance(found, MaterialReference) else None

    def lot(self, material: str, lot: str, at_us: int) -> LotReference | None:
        """Return a lot."""
        found = self._in_force(("lot", material, lot), (), at_us)
        return found if isinstance(found, LotReference) else None

    def reason(self, plant: str, reason: str, at_us: int) -> ReasonReference | None:
        """Return a reason."""
        found = self._in_force(("reason", plant, reason), (), at_us)
        return found if isinstance(found, ReasonReference) else None

    def step(self, plant: str, work_center: str, material: str, at_us: int) -> StepReference | None:
        """Return what a work centre's completion confirms: the line of the material, else that of all."""
        subject = ("step", plant, work_center)
        found = self._in_force(subject, (material,), at_us) or self._in_force(subject, ("",), at_us)
        return found if isinstance(found, StepReference) else None

    def bin(self, plant: str, bin_: str, at_us: int) -> BinReference | None:
        """Return what a warehouse bin stands for."""
        found = self._in_force(("bin", plant, bin_), (), at_us)
        return found if isinstance(found, BinReference) else None

    def route(self, plant: str, at_us: int) -> RouteReference | None:
        """Return the ERP that a plant posts to."""
        found = self._in_force(("route", plant), (), at_us)
        return found if isinstance(found, RouteReference) else None

    def periods(self, erp: str, at_us: int) -> list[PeriodReference]:
        """Return the posting periods of an ERP now, the first day first."""
        subject = ("period", erp)
        self.looked.add(subject)
        periods = self._periods.get(erp)
        if periods is None:
            versions = self._subjects.get(subject, {})
            found = (_latest(versions[rest], at_us) for rest in sorted(versions))
            periods = self._periods[erp] = [record for record in found if isinstance(record, PeriodReference)]
        return periods

    # -- state ---------------------------------------------------------------------------------

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed since the last call: for each subject its records, a line each."""
        parts = {part(PART, subject): self._lines(subject) for subject in self._changed}
        self._changed = set()
        return parts

    def decode(self, parts: Mapping[str, bytes], now_us: int) -> None:
        """Take up what ``encode`` returned over time."""
        for name, value in parts.items():
            if name.startswith(PART):
                for line in value.splitlines():
                    record = REFERENCE.validate_json(line)
                    subject, rest = place(record)
                    self._put(subject, rest, record)
                    self._turn(subject, record, now_us)
                    self.size += 1

    def forget(self, subject: Subject) -> None:
        """Drop all that is known of a subject."""
        versions = self._subjects.pop(subject, {})
        self.size -= sum(map(len, versions.values()))
        self._changed.add(subject)

    def _lines(self, subject: Subject) -> bytes:
        versions = self._subjects.get(subject, {})
        return b"\n".join(r.model_dump_json().encode() for known in versions.values() for r in known.values())

    def _put(self, subject: Subject, rest: tuple[str, ...], record: AnyReference) -> None:
        self._subjects.setdefault(subject, {}).setdefault(rest, {})[record.valid_from_us] = record

    def _turn(self, subject: Subject, record: AnyReference, now_us: int) -> None:
        for at_us in (record.valid_from_us, record.valid_to_us):
            if at_us is not None and at_us > now_us:
                heapq.heappush(self._turns, (at_us, subject))

    def _in_force(self, subject: Subject, rest: tuple[str, ...], at_us: int) -> AnyReference | None:
        self.looked.add(subject)
        versions = self._subjects.get(subject)
        if versions is None or (known := versions.get(rest)) is None:
            return None
        if not self.timed:
            self.timed = len(known) > 1 or any(r.valid_from_us > 0 or r.valid_to_us is not None for r in known.values())
        return _latest(known, at_us)


class BookFull(Exception):
    """There is no room for another record."""


def place(record: AnyReference) -> tuple[Subject, tuple[str, ...]]:
    """Return what a record is about, and the rest of its key."""
    match record:
        case OrderReference():
            return ("order", record.plant, record.order), (record.erp,)
        case WorkCenterReference():
            return ("work_center", record.plant, record.work_center), ()
        case MaterialReference():
            return ("material", record.material), ()
        case LotReference():
            return ("lot", record.material, record.lot), ()
        case ReasonReference():
            return ("reason", record.plant, record.reason), ()
        case StepReference():
            return ("step", record.plant, record.work_center), (record.material,)
        case BinReference():
            return ("bin", record.plant, record.bin), ()
        case RouteReference():
            return ("route", record.plant), ()
        case PeriodReference():
            return ("period", record.erp), (record.first.isoformat(),)


def part(prefix: str, names: Iterable[str]) -> str:
    """Return the name of a part of the state; two different tuples never share one."""
    return prefix + orjson.dumps(list(names)).decode()


def open_day(periods: list[PeriodReference], day: date) -> date | None:
    """Return the day itself where its period is open, else the first day of the next open period.

    None where there is no open one, or where one in between is not known: it may be open. Periods begin in order.
    """
    for period in periods:
        if period.first <= day <= period.last:
            if period.open:
                return day
            day = period.last + _DAY  # The next one has to begin here.
    return None


def _latest(known: Mapping[int, AnyReference], at_us: int) -> AnyReference | None:
    """Return the record in force that began last."""
    best: AnyReference | None = None
    if len(known) == 1:
        (only,) = known.values()
        holds = only.valid_from_us <= at_us and (only.valid_to_us is None or at_us < only.valid_to_us)
        return only if holds and not only.deleted else None
    for record in known.values():
        if (
            not record.deleted
            and record.valid_from_us <= at_us
            and (record.valid_to_us is None or at_us < record.valid_to_us)
            and (best is None or record.valid_from_us > best.valid_from_us)
        ):
            best = record
    return best


def _newer(record: AnyReference, known: AnyReference) -> bool:
    """Return whether a record replaces the one known under the same key."""
    if record.changed_us != known.changed_us:
        return record.changed_us > known.changed_us
    return record.model_dump_json() > known.model_dump_json()
