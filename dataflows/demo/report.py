"""The report: what the demo's store and ERPs hold, whether it adds up, and whether it is what the plants made."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from pydantic import Field, computed_field

from canonical.contracts.ledger import imbalances
from dataflows.demo.erp_report import ErpOutcome
from dataflows.demo.row import ReportRow
from dataflows.simulator import Truth, compare
from dataflows.simulator.figures import compare_figures
from sinks.analytics.published import open_published

PLANTS: Final = """
    SELECT
        plant,
        CAST(sum(read) AS BIGINT) AS read,
        CAST(sum(released) AS BIGINT) AS released,
        CAST(sum(late) AS BIGINT) AS late,
        CAST(sum(duplicates) AS BIGINT) AS duplicates,
        CAST(sum(faults) AS BIGINT) AS faults,
        CAST(sum(held) AS BIGINT) AS held,
        CAST(sum(accounted) AS BIGINT) AS accounted,
        CAST(sum(operational) AS BIGINT) AS operational,
        CAST(sum(analytics_only) AS BIGINT) AS analytics_only,
        CAST(sum(gaps) AS BIGINT) AS gaps,
        CAST(sum(missing) AS BIGINT) AS missing
    FROM ledger GROUP BY plant ORDER BY plant
"""
CONFIRMED: Final = """
    SELECT plant, count(*), CAST(sum(events) AS BIGINT), count(*) FILTER (kind = 'supplementary')
    FROM confirmation GROUP BY plant
"""
FAULTS: Final = "SELECT plant, code, count(*) FROM fault GROUP BY plant, code ORDER BY plant, code"
CONFIRMATIONS: Final = 'SELECT * EXCLUDE (order_id), order_id AS "order" FROM confirmation'
HOURS: Final = """
    SELECT plant, hour, unit, CAST(sum(good) AS DOUBLE), CAST(sum(scrap) AS DOUBLE)
    FROM output_by_hour GROUP BY plant, hour, unit ORDER BY plant, unit, hour
"""


class PlantReport(ReportRow):
    """What became of one plant's records; the names are those of ``LedgerEntry``."""

    plant: str
    read: int
    released: int
    late: int
    duplicates: int
    faults: int
    held: int
    accounted: int
    operational: int
    analytics_only: int
    gaps: int
    missing: int
    confirmations: int
    supplementary: int = Field(description="Of the confirmations, those for late events.")
    confirmed_events: int
    faults_by_code: dict[str, int]

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def balanced(self) -> bool:
        """Whether every record read ended in one place, and every event to account for in a confirmation."""
        return (
            not imbalances(vars(self))
            and self.accounted == self.confirmed_events
            and self.faults == sum(self.faults_by_code.values())
        )


class HourlyOutput(ReportRow):
    """What a plant made in one hour, in whole units."""

    plant: str
    hour: datetime = Field(description="Begin of the hour, UTC.")
    unit: str = Field(description="UN/ECE Rec 20 code.")
    good: float
    scrap: float


class Kill(ReportRow):
    """How a flow was killed."""

    flow: str
    pid: int
    signal: int = Field(description="Number of the signal of which it died.")
    committed: int = Field(description="Records, or documents, whose outcome was committed by then.")
    restarted_pid: int


class Outcome(ReportRow):
    """What the store says, compared with the truth."""

    plants: tuple[PlantReport, ...]
    differences: tuple[str, ...] = Field(description="Where the store differs from the truth; none is what it takes.")
    hours: tuple[HourlyOutput, ...]

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def balanced(self) -> bool:
        """Whether the records of every plant add up."""
        return all(plant.balanced for plant in self.plants)

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def truth_matched(self) -> bool:
        """Whether exactly what was made was confirmed."""
        return not self.differences

    def total(self, name: str) -> int:
        """Return the sum of a count over all plants."""
        return sum(getattr(plant, name) for plant in self.plants)

    def faults_by_code(self) -> dict[str, int]:
        """Return the number of faults of each code, the most frequent first."""
        sums: defaultdict[str, int] = defaultdict(int)
        for plant in self.plants:
            for code, count in plant.faults_by_code.items():
                sums[code] += count
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


class Report(ReportRow):
    """Everything the demo has to say."""

    outcome: Outcome
    erps: ErpOutcome
    kill: Kill
    delivery_kill: Kill
    collect_kill: Kill | None = Field(description="None where there is no broker, and so no plant to collect from.")
    seconds: float
    cpu_seconds: float = Field(description="Of all processes together.")
    settings: Path
    store: Path = Field(description="The published snapshot, for queries.")
    queries: tuple[str, ...] = Field(description="Queries of the store to try.")
    commands: tuple[str, ...] = Field(description="Commands about documents and exceptions to try.")

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def passed(self) -> bool:
        """Whether the balance holds, store and ERPs match the truth, and the flows were really killed."""
        matched = self.outcome.balanced and self.outcome.truth_matched and self.erps.truth_matched
        kills = (self.kill, self.delivery_kill, self.collect_kill)
        return matched and all(kill.signal == 9 for kill in kills if kill is not None)


def read_outcome(store: Path, truth: Truth) -> Outcome:
    """Return what the published store says. Raises: StoreUnavailable.

    Args: store: the published snapshot. truth: what was made.
    """
    with open_published(store) as db:
        totals = _rows(db, PLANTS)
        confirmed = {plant: numbers for plant, *numbers in db.execute(CONFIRMED).fetchall()}
        faults: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for plant, code, count in db.execute(FAULTS).fetchall():
            faults[plant][code] = count
        hours = db.execute(HOURS).fetchall()
        rows = db.sql(CONFIRMATIONS).to_arrow_table()
        figures = compare_figures(truth, db)
    plants = []
    for row in totals:
        confirmations, events, supplementary = confirmed.get(row["plant"], (0, 0, 0))
        plants.append(
            PlantReport(
                **row,
                confirmations=confirmations,
                supplementary=supplementary,
                confirmed_events=events,
                faults_by_code=faults[row["plant"]],
            )
        )
    ledger = {row["plant"]: {name: total for name, total in row.items() if name != "plant"} for row in totals}
    return Outcome(
        plants=tuple(plants),
        differences=(*compare(truth, rows, ledger, faults), *figures),
        hours=tuple(HourlyOutput(plant=p, hour=h, unit=u, good=g, scrap=s) for p, h, u, g, s in hours),
    )


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    answer = db.execute(query)
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
