"""Key figures of a store compared with the truth: their numerators and denominators, exactly (A18, M47)."""

from __future__ import annotations

from collections import Counter
from typing import Final

import duckdb

from dataflows.simulator.erp_orders import planned_run_us
from dataflows.simulator.truth import PlantTruth, Truth
from dataflows.simulator.world import machines

TIMES: Final = """
SELECT plant, work_center, posting_date, shift, pot, pbt, apt, asut, adet, adot FROM times_by_shift
"""
QUALITY: Final = """
SELECT plant, work_center, posting_date, shift, unit, pq, gq, sq, rq FROM quality_by_shift
"""
OEE: Final = "SELECT plant, posting_date, pbt, apt, pru_pq, pru_gq FROM oee_by_day"
TELEMETRY: Final = "SELECT plant, CAST(sum(events) AS BIGINT) AS events FROM telemetry_minute GROUP BY plant"
ORDERS: Final = "SELECT count(*) > 0 FROM order_reference"
_ELEMENTS: Final = {"production": "apt", "setup": "asut", "delay": "adet", "down": "adot"}
_MICROSECONDS, _THOUSANDTHS = 6, 3
_Figures = Counter[tuple[str, ...]]
"""By plant, work centre, day, shift, unit as far as they apply, and name: microseconds or thousandths."""


def compare_figures(truth: Truth, db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return where the store's key figures differ from the truth, one sentence each; empty when they match.

    OEE is compared where the store has the orders of the simulated ERPs, with their planned times.
    """
    plants = [plant for plant in truth.plants.values() if plant.centers]
    names = {plant.plant for plant in plants}
    found = _read(db, TIMES, 4, _MICROSECONDS, names) + _read(db, QUALITY, 5, _THOUSANDTHS, names)
    found += _read(db, TELEMETRY, 1, 0, set(truth.plants))
    expected: _Figures = Counter({(name, "events"): each.analytics_only for name, each in truth.plants.items()})
    for plant in plants:
        expected += _times(plant) + _made(plant)
    if db.execute(ORDERS).fetchall() == [(True,)]:
        found += _read(db, OEE, 2, _MICROSECONDS, names)
        for plant in plants:
            expected += _oee(truth, plant)
    return [
        f"{', '.join(part or 'none' for part in key)}: {found[key]} in the store, {expected[key]} in truth"
        for key in sorted(expected.keys() | found.keys())
        if expected[key] != found[key]
    ]


def _read(db: duckdb.DuckDBPyConnection, query: str, keys: int, digits: int, plants: set[str]) -> _Figures:
    answer = db.execute(query)
    names = [column[0] for column in answer.description or ()]
    return Counter(
        {
            (*map(str, row[:keys]), name): int((value or 0) * 10**digits)
            for row in answer.fetchall()
            if row[0] in plants
            for name, value in zip(names[keys:], row[keys:], strict=True)
        }
    )


def _times(plant: PlantTruth) -> _Figures:
    figures: _Figures = Counter()
    busy = {}
    for row in plant.states:
        key = (plant.plant, row.work_center, str(row.posting_date), row.shift)
        if row.state in _ELEMENTS:
            figures[*key, _ELEMENTS[row.state]] += row.duration_us - row.planned_us
        busy[key, row.source] = row.operation_us, row.busy_us
    for (key, _), (operation_us, busy_us) in busy.items():
        figures[*key, "pot"] += operation_us
        figures[*key, "pbt"] += busy_us
    return figures


def _made(plant: PlantTruth) -> _Figures:
    figures: _Figures = Counter()
    for row in plant.centers:
        key = (plant.plant, row.work_center, str(row.posting_date), row.shift, row.unit)
        for name, quantity in zip(("gq", "sq", "rq"), (row.good, row.scrap, row.rework), strict=True):
            figures[*key, name] += quantity
            figures[*key, "pq"] += quantity
    return figures


def _oee(truth: Truth, plant: PlantTruth) -> _Figures:
    """Return numerators and denominators of a plant's OEE by day, within its shifts."""
    jobs = [job for machine in machines(plant.plant, truth.config) for job in machine.jobs]
    run_us = {job.order: planned_run_us(job.product) for job in jobs}
    figures: _Figures = Counter()
    known = set()
    for (_, center, day, shift, name), value_us in _times(plant).items():
        known.add((center, day, shift))
        if shift and name in {"pbt", "apt"}:
            figures[plant.plant, day, name] += value_us
    planned: Counter[tuple[str, str, str, str, str]] = Counter()
    for row in plant.centers:
        place = (row.work_center, str(row.posting_date), row.shift)
        if row.shift and place in known and row.order in run_us:
            planned[*place, row.unit, "pru_gq"] += run_us[row.order] * row.good
            planned[*place, row.unit, "pru_pq"] += run_us[row.order] * (row.good + row.scrap + row.rework)
    for (_, day, _, _, name), sum_us in planned.items():
        figures[plant.plant, day, name] += sum_us // 1000
    return figures
