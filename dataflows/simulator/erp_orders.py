"""What the ERP of the simulated plants knows: their orders, work centres, materials, lots and periods.

Law: every order, operation, work centre, material and lot that plants A and B report is there, so that a posting that
is refused is one that we made wrongly; and the same configuration gives the same master data.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from canonical.contracts import AnyReference, ReasonReference
from canonical.mapping import load
from canonical.plants import shipped
from dataflows.erp_simulator.master_data import Lot, MasterData, Material, Operation, Order, Period, WorkCenter
from dataflows.erp_simulator.published import published
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.world import PRODUCTS, REASONS, Job, Product, machines

ERP_PLANTS: Final = {"A": "1010", "B": "1020"}
"""The ERP's key of each plant that has orders."""
PLANNED: Final = 1_000_000_000
"""Thousandths; more than any order makes in a simulation."""


PLANNED_CYCLE_US: Final = 30_000_000


def master_data(config: SimulationConfig, *plants: str) -> MasterData:
    """Return the master data for all orders that these plants work off."""
    made_at = {(plant, machine): machine.jobs for plant in plants for machine in machines(plant, config)}
    centers = _work_centers()
    return MasterData(
        orders=tuple(
            _order(plant, centers[plant][machine.work_center], job)
            for (plant, machine), jobs in made_at.items()
            for job in jobs
            if job.first
        ),
        work_centers=tuple(
            WorkCenter(work_center=name, plant=ERP_PLANTS[plant])
            for plant, name in sorted({(plant, centers[plant][machine.work_center]) for plant, machine in made_at})
        ),
        materials=tuple(
            Material(material=product.material, base_unit=product.unit, lot_managed=True) for product in PRODUCTS
        ),
        lots=tuple(
            Lot(material=job.product.material, lot=job.lot, plant=ERP_PLANTS[plant])
            for (plant, _), jobs in made_at.items()
            for job in jobs
        ),
        periods=tuple(_periods(config)),
    )


def references(config: SimulationConfig, erp: str, *plants: str) -> Iterator[AnyReference]:
    """Yield the reference records of the ERP that these plants post to, known since the day before.

    Every material waits for the quality release of its lot; the ERP's reasons are the first four letters of ours.
    """
    changed_us = config.start_us - 86_400_000_000
    keys = {ERP_PLANTS[plant]: plant for plant in plants}
    yield from published(
        master_data(config, *plants), erp, keys, changed_us, {product.material for product in PRODUCTS}
    )
    for plant in plants:
        for reason in REASONS:
            yield ReasonReference(changed_us=changed_us, plant=plant, reason=reason, erp_reason=reason[:4])


def _work_centers() -> dict[str, dict[str, str]]:
    """Return the canonical key of each work centre, by plant."""
    mappings = {mapping.plant: mapping for mapping in map(load, shipped())}
    return {plant: mappings[plant].keys["work_center"] for plant in ERP_PLANTS}


def planned_run_us(product: Product) -> int:
    """Return the planned run time of a unit (PRU): the same for each cycle, which makes ``step`` thousandths."""
    return PLANNED_CYCLE_US * 1000 // product.step


def _order(plant: str, work_center: str, job: Job) -> Order:
    return Order(
        order=job.order,
        plant=ERP_PLANTS[plant],
        material=job.product.material,
        planned_thousandths=PLANNED,
        unit=job.product.unit,
        unlimited_over_delivery=True,
        operations=(
            Operation(
                operation=job.operation,
                work_center=work_center,
                planned_thousandths=PLANNED,
                unit=job.product.unit,
                run_us=planned_run_us(job.product),
            ),
        ),
    )


def _periods(config: SimulationConfig) -> list[Period]:
    """Return the months that the window touches, and the one before: all are open."""
    first = datetime.fromtimestamp(config.start_us / 1e6, UTC).date().replace(day=1) - timedelta(days=1)
    last = datetime.fromtimestamp(config.end_us / 1e6, UTC).date()
    periods = []
    month = first.replace(day=1)
    while month <= last:
        following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        periods.append(Period(first=month, last=following - timedelta(days=1)))
        month = following
    return periods
