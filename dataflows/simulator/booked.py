"""What an ERP has booked, held against what its plant made.

Law: of every order and operation, of every day and of every lot, what was made is in the ERP or waits outside it, to
the thousandth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dataflows.simulator.truth import PlantTruth

Row = Mapping[str, Any]
Key = Callable[[Row], tuple[str, ...]]
Sums = Counter[tuple[str, ...]]

MEASURES: Final = {"good": "yield", "scrap": "scrap", "rework": "rework"}
"""Of the truth, and what the ERP calls it."""


@dataclass(frozen=True, slots=True)
class Booked:
    """What the simulator's control endpoint says of an ERP that one plant posts to.

    Args:
        operations: of ``ERP/totals``. documents: as ``ERP/documents``. stocks: as ``ERP/stocks``.
        unconfirmed: confirmations, as the log has them, of which the ERP has no document.
        unreceived: those whose product the ERP has not received.
    """

    operations: Sequence[Row]
    documents: Sequence[Row]
    stocks: Sequence[Row]
    unconfirmed: Sequence[Row] = ()
    unreceived: Sequence[Row] = ()


def compare_booked(made: PlantTruth, booked: Booked) -> list[str]:
    """Return where the ERP has something else than the plant made, a sentence each."""
    orders = [row.model_dump() for row in made.orders]
    shifts = [row.model_dump() for row in made.shifts]
    documents = [
        row
        for row in booked.documents
        if row["kind"] == "confirmation" and not row["reverses"] and not row["reversed_by"]
    ]
    found: list[str] = []
    for measure, name in MEASURES.items():
        there = _sums(booked.operations, _operation, name)
        found += _different(measure, there, booked.unconfirmed, orders, _operation)
    found += _different("good", _sums(documents, _day, "yield_quantity"), booked.unconfirmed, shifts, _day)
    found += _different("good", _sums(booked.stocks, _lot, "quantity"), booked.unreceived, orders, _lot)
    return found


def _operation(row: Row) -> tuple[str, ...]:
    return "order", row["order"].lstrip("0"), row["operation"]


def _day(row: Row) -> tuple[str, ...]:
    return "day", str(row["posting_date"]), row["unit"]


def _lot(row: Row) -> tuple[str, ...]:
    return "lot", row["lot"]


def _sums(rows: Iterable[Row], key: Key, measure: str) -> Sums:
    sums: Sums = Counter()
    for row in rows:
        sums[key(row)] += row[measure]
    return sums


def _different(measure: str, there: Sums, waiting: Iterable[Row], made: Iterable[Row], key: Key) -> Iterator[str]:
    waits, wanted = _sums(waiting, key, measure), _sums(made, key, measure)
    for name in sorted(there.keys() | waits.keys() | wanted.keys()):
        if there[name] + waits[name] != wanted[name]:
            yield f"{' '.join(name)}: {measure} {there[name]} booked, {waits[name]} waiting, {wanted[name]} made"
