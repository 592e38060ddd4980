"""The witness: notes down what a plant's traffic means while it is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import NamedTuple

from canonical.contracts.fault import FaultCode
from dataflows.simulator.calendar import Calendar
from dataflows.simulator.states import States
from dataflows.simulator.truth import (
    MEASURES,
    ORDER_KEY,
    SHIFT_KEY,
    CenterSums,
    Missing,
    OrderSums,
    PlantTruth,
    ShiftSums,
)


class Fate(Enum):
    """What should become of an event that arrives."""

    ACCOUNTED = "accounted"
    OPERATIONAL = "operational"
    ANALYTICS_ONLY = "analytics_only"


class Made(NamedTuple):
    """What one accounted event stands for: its key and its quantities, in the order of ``QUANTITY_COLUMNS``."""

    source: str
    order: str
    operation: str
    lot: str
    unit: str
    occurred_us: int
    work_center: str = ""
    ends: bool = False  # whether the order is complete with it
    good: int = 0
    scrap: int = 0
    rework: int = 0
    setup_us: int = 0
    machine_us: int = 0
    labour_us: int = 0
    energy_mwh: int = 0


class Said(NamedTuple):
    """What one event says of its machine: the state from then on."""

    source: str
    work_center: str
    occurred_us: int
    state: str
    fate: Fate = Fate.OPERATIONAL


Meaning = Made | Said | Fate
"""What a record means: quantities to account for, a state of its machine, or a fate without either."""


class Witness:
    """Counts and sums of one plant; each delivery of a record is reported to it exactly once."""

    def __init__(
        self,
        plant: str,
        calendar: Calendar,
        centers: Mapping[str, str] | None = None,
        *,
        tells_every_state: bool = False,
    ) -> None:
        """Begin with nothing.

        Args: centers: the canonical keys of the plant's names of work centres. tells_every_state: what machines make
        says nothing of their states.
        """
        self._plant = plant
        self._names = centers or {}
        self._calendar = calendar
        self._fates: Counter[Fate] = Counter()
        self._faults: Counter[FaultCode] = Counter()
        self._gaps: list[Missing] = []
        self._orders: defaultdict[tuple[str, ...], list[int]] = defaultdict(_nothing)
        self._shifts: defaultdict[tuple[date, str, str], list[int]] = defaultdict(_nothing)
        self._centers: defaultdict[tuple[str, date, str, str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._states = States(calendar)
        self._tells_every_state = tells_every_state
        self.duplicates = 0
        self.repeated: Counter[FaultCode | None] = Counter()
        """Records in files that repeat an earlier file whole, by fault; None counts the copies of events."""
        self.delayed = 0

    def event(self, meaning: Meaning, session: str = "") -> None:
        """Note an event that arrives for the first time; those of a session in their order."""
        if isinstance(meaning, Fate):
            self._fates[meaning] += 1
            return
        if isinstance(meaning, Said):
            self._fates[meaning.fate] += 1
            source, work_center, occurred_us, state, _ = meaning
            self._states.said(session, source, self._names[work_center], occurred_us, state)
            return
        if meaning.work_center:
            self._at_center(meaning._replace(work_center=self._names[meaning.work_center]), session)
        self._fates[Fate.ACCOUNTED] += 1
        key = (meaning.source, meaning.order, meaning.operation, meaning.lot, meaning.unit)
        shift = (*self._calendar.shift(meaning.occurred_us), meaning.unit)
        quantities = (
            meaning.good, meaning.scrap, meaning.rework,
            meaning.setup_us, meaning.machine_us, meaning.labour_us, meaning.energy_mwh,
        )  # fmt: skip
        for sums in (self._orders[key], self._shifts[shift]):
            for i, quantity in enumerate(quantities):
                sums[i] += quantity
            sums[-1] += 1

    def _at_center(self, made: Made, session: str) -> None:
        sums = self._centers[
            made.work_center, *self._calendar.shift(made.occurred_us), made.order, made.operation, made.unit
        ]
        for i, quantity in enumerate((made.good, made.scrap, made.rework)):
            sums[i] += quantity
        place = session, made.source, made.work_center, made.occurred_us
        if made.ends:
            self._states.said(*place, "idle")
        elif made.good and not self._tells_every_state:
            self._states.made(*place)
        self._states.heard(made.work_center, made.occurred_us)

    def fault(self, code: FaultCode) -> None:
        """Note a record that must be refused."""
        self._faults[code] += 1

    def gap(self, source: str, session: str, first_seq: int, last_seq: int) -> None:
        """Note numbers that never arrive."""
        self._gaps.append(Missing(source=source, session=session, first_seq=first_seq, last_seq=last_seq))

    def truth(self) -> PlantTruth:
        """Return everything noted."""
        return PlantTruth(
            plant=self._plant,
            records=self._fates.total() + self.duplicates + self._faults.total(),
            duplicates=self.duplicates,
            repeated=self.repeated[None],
            repeated_faults={code.value: n for code, n in sorted(self.repeated.items(), key=str) if code},
            faults={code.value: n for code, n in sorted(self._faults.items())},
            accounted=self._fates[Fate.ACCOUNTED],
            operational=self._fates[Fate.OPERATIONAL],
            analytics_only=self._fates[Fate.ANALYTICS_ONLY],
            delayed=self.delayed,
            missing=sum(g.last_seq - g.first_seq + 1 for g in self._gaps),
            gaps=tuple(self._gaps),
            orders=tuple(
                OrderSums.model_validate(dict(zip((*ORDER_KEY, *MEASURES), (*key, *sums), strict=True)))
                for key, sums in sorted(self._orders.items())
            ),
            shifts=tuple(
                ShiftSums.model_validate(dict(zip((*SHIFT_KEY, *MEASURES), (*key, *sums), strict=True)))
                for key, sums in sorted(self._shifts.items())
            ),
            centers=tuple(
                CenterSums.model_validate(dict(zip(CenterSums.model_fields, (*key, *sums), strict=True)))
                for key, sums in sorted(self._centers.items())
            ),
            states=tuple(self._states.sums()),
        )


def _nothing() -> list[int]:
    return [0] * (len(MEASURES))
