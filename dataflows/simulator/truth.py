"""The truth: what was really made, for comparison with what was confirmed.

Law: per plant, records = accounted + operational + analytics_only + duplicates + faults, and the
sums over orders equal the sums over shifts. Nothing here comes from a processor: it is noted down
record by record while the traffic is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, Self

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from canonical.columns import QUANTITY_COLUMNS
from dataflows.simulator.configuration import SimulationConfig

MEASURES: Final = (*QUANTITY_COLUMNS, "events")
ORDER_KEY: Final = ("source", "order", "operation", "lot", "unit")
SHIFT_KEY: Final = ("posting_date", "shift", "unit")
LEDGER_TOTALS: Final = ("read", "duplicates", "faults", "accounted", "analytics_only", "operational", "missing")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sums(_Row):
    """Quantities in thousandths and microseconds, and the events they come from."""

    good: int = 0
    scrap: int = 0
    rework: int = 0
    setup_us: int = 0
    machine_us: int = 0
    labour_us: int = 0
    energy_mwh: int = 0
    events: int = 0


class OrderSums(Sums):
    """What one source made for one order, operation and lot."""

    source: str
    order: str
    operation: str
    lot: str
    unit: str


class ShiftSums(Sums):
    """What the plant made in one shift."""

    posting_date: date
    shift: str
    unit: str


class CenterSums(_Row):
    """What one work centre made in one shift for one order, in thousandths."""

    work_center: str
    posting_date: date
    shift: str
    order: str
    operation: str
    unit: str
    good: int = 0
    scrap: int = 0
    rework: int = 0


class StateSums(_Row):
    """How long one source was in one state in one shift, and how much of that lies in planned stops.

    ``operation_us`` is how long the shift lasts, ``busy_us`` that without planned stops of the work centre.
    """

    work_center: str
    source: str
    posting_date: date
    shift: str
    state: str
    duration_us: int
    planned_us: int
    operation_us: int
    busy_us: int


class Missing(_Row):
    """Numbers that were given out and never arrive."""

    source: str
    session: str
    first_seq: int
    last_seq: int


class PlantTruth(_Row):
    """What one plant's records amount to once every one of them has been read."""

    plant: str
    records: int = Field(description="Records written; lines that are no records are not among them.")
    duplicates: int
    faults: dict[str, int] = Field(description="Expected faults by code.")
    repeated: int = Field(description="Of the duplicates, those in files that repeat an earlier file whole.")
    repeated_faults: dict[str, int] = Field(description="Of the faults, those in such files.")
    accounted: int = Field(description="Events that belong into confirmations.")
    operational: int
    analytics_only: int
    delayed: int = Field(description="Of the events, those that fill a hole long after it opened.")
    missing: int = Field(description="Numbers never sent, after the last of which others arrive.")
    gaps: tuple[Missing, ...]
    orders: tuple[OrderSums, ...]
    shifts: tuple[ShiftSums, ...]
    centers: tuple[CenterSums, ...] = ()
    states: tuple[StateSums, ...] = ()


class Truth(_Row):
    """The truth about one simulation."""

    config: SimulationConfig
    plants: dict[str, PlantTruth]

    def save(self, path: Path) -> None:
        """Write the truth as JSON."""
        path.write_text(self.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the truth from JSON."""
        return cls.model_validate_json(path.read_bytes())


def compare(
    truth: Truth,
    confirmations: pa.Table | Iterable[Mapping[str, Any]],
    ledger: Mapping[str, Mapping[str, int]],
    faults: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """Return where the outcome differs from the truth, one sentence each; empty when it matches.

    A file that repeats an earlier one whole may be read, as from Kafka, or passed over, as by the
    source of landed files; the number of records read says which, and everything must agree with it.

    Args:
        truth: What was made.
        confirmations: Rows with the fields of ``Confirmation``, however the runs were cut.
        ledger: Per plant the sums over the newest ``LedgerEntry`` of each session.
        faults: Per plant and fault code the number of dead letters.
    """
    rows = _confirmed(confirmations)
    strangers = sorted(set(rows["plant"]) - truth.plants.keys())
    differences = [f"plant {plant}: has confirmations, but made nothing" for plant in strangers]
    for plant, written in truth.plants.items():
        own = rows.filter(pl.col("plant") == plant)
        differences += _sums(plant, ORDER_KEY, written.orders, own)
        differences += _sums(plant, SHIFT_KEY, written.shifts, own)
        totals = ledger.get(plant, {})
        fresh = _without_repeats(written)
        expected = fresh if totals.get("read") == fresh.records else written
        differences += _totals(plant, expected, totals)
        differences += _faults(plant, expected.faults, faults.get(plant, {}))
    return differences


def _without_repeats(expected: PlantTruth) -> PlantTruth:
    faults = Counter(expected.faults)
    faults.subtract(expected.repeated_faults)
    return expected.model_copy(
        update={
            "records": expected.records - expected.repeated - sum(expected.repeated_faults.values()),
            "duplicates": expected.duplicates - expected.repeated,
            "faults": dict(faults),
        }
    )


def _confirmed(confirmations: pa.Table | Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the columns that are compared: what identifies a sum as text, what is summed as int64."""
    keys = ("plant", *dict.fromkeys(ORDER_KEY + SHIFT_KEY))
    if isinstance(confirmations, pa.Table):
        rows = pl.DataFrame(pl.from_arrow(confirmations.select([*keys, *MEASURES])))
    else:
        rows = pl.DataFrame([{k: r[k] for k in (*keys, *MEASURES)} for r in confirmations], [*keys, *MEASURES])
    return rows.with_columns(pl.col(keys).cast(pl.String), pl.col(MEASURES).cast(pl.Int64))


def _sums(plant: str, key: tuple[str, ...], expected: Iterable[Sums], rows: pl.DataFrame) -> list[str]:
    schema = dict.fromkeys(key, pl.String) | dict.fromkeys(MEASURES, pl.Int64)
    made = pl.DataFrame([e.model_dump(mode="json", include=set(schema)) for e in expected], schema)
    confirmed = rows.group_by(key).agg(pl.col(MEASURES).sum())
    both = made.join(confirmed, on=key, how="full", coalesce=True, suffix=" confirmed").fill_null(0).sort(key)
    return [
        f"plant {plant}, {_words(key, row)}: {measure} {row[f'{measure} confirmed']} confirmed, {row[measure]} made"
        for row in both.iter_rows(named=True)
        for measure in MEASURES
        if row[measure] != row[f"{measure} confirmed"]
    ]


def _words(key: tuple[str, ...], row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {row[name] or 'none'}" for name in key)


def _totals(plant: str, expected: PlantTruth, ledger: Mapping[str, int]) -> list[str]:
    wanted = {
        "read": expected.records,
        "faults": sum(expected.faults.values()),
        **{name: getattr(expected, name) for name in LEDGER_TOTALS if name not in {"read", "faults"}},
        "held": 0,
    }
    return [
        f"plant {plant}: {ledger.get(name, 0)} {name} in the ledger, {want} in truth"
        for name, want in wanted.items()
        if ledger.get(name, 0) != want
    ]


def _faults(plant: str, expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    return [
        f"plant {plant}: {found.get(code, 0)} dead letters {code}, {expected.get(code, 0)} expected"
        for code in sorted(expected.keys() | found.keys())
        if expected.get(code, 0) != found.get(code, 0)
    ]
