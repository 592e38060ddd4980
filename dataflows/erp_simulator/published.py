"""Master data of an ERP as the reference records that it publishes.

Law: each record of the ERP becomes one reference record with the same keys in canonical words; nothing is added but
the route of the plant and what ``gated`` says.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from canonical.contracts import (
    AnyReference,
    LotReference,
    MaterialReference,
    OrderComponent,
    OrderOperation,
    OrderReference,
    OrderStatus,
    PeriodReference,
    RouteReference,
    UnitRatio,
    WorkCenterReference,
)
from dataflows.erp_simulator.master_data import MasterData, Material, Order
from dataflows.erp_simulator.master_data import OrderStatus as Status

STATUS: Mapping[Status, OrderStatus] = {
    Status.CREATED: OrderStatus.CREATED,
    Status.RELEASED: OrderStatus.RELEASED,
    Status.LOCKED: OrderStatus.LOCKED,
    Status.TECHNICALLY_COMPLETE: OrderStatus.TECHNICALLY_COMPLETE,
    Status.CLOSED: OrderStatus.CLOSED,
    Status.DELETED: OrderStatus.DELETED,
}


def published(
    data: MasterData, erp: str, plants: Mapping[str, str], changed_us: int, gated: Container[str] = ()
) -> Iterator[AnyReference]:
    """Yield the reference records of an ERP.

    Args:
        data: what the ERP knows.
        erp: its name.
        plants: canonical key of each of its plants.
        changed_us: instant from which they are known.
        gated: materials that are received only with the quality release of their lot (M19).
    """
    for key, plant in plants.items():
        yield RouteReference(changed_us=changed_us, plant=plant, erp=erp, erp_plant=key)
    for work_center in data.work_centers:
        if work_center.plant in plants:
            yield WorkCenterReference(
                changed_us=changed_us, plant=plants[work_center.plant], work_center=work_center.work_center
            )
    for material in data.materials:
        yield _material(material, changed_us, inspected=material.material in gated)
    for lot in data.lots:
        yield LotReference(changed_us=changed_us, material=lot.material, lot=lot.lot)
    for period in data.periods:
        yield PeriodReference(changed_us=changed_us, erp=erp, first=period.first, last=period.last, open=period.open)
    for order in data.orders:
        if order.plant in plants:
            yield order_reference(order, erp, plants[order.plant], changed_us)


def order_reference(order: Order, erp: str, plant: str, changed_us: int) -> OrderReference:
    """Return an order as reference record."""
    return OrderReference(
        changed_us=changed_us,
        erp=erp,
        plant=plant,
        order=order.order,
        status=STATUS[order.status],
        material=order.material,
        quantity=order.planned_thousandths,
        unit=order.unit,
        over_delivery=None if order.unlimited_over_delivery else order.over_delivery_permille,
        storage_location=order.storage_location,
        operations=tuple(
            OrderOperation(
                operation=step.operation,
                work_center=step.work_center,
                quantity=step.planned_thousandths,
                run_us=step.run_us,
            )
            for step in order.operations
        ),
        components=tuple(
            OrderComponent(
                item=f"{component.item:04d}",
                reservation=component.reservation,
                material=component.material,
                operation=component.operation,
                quantity=component.required_thousandths,
                unit=component.unit,
                backflush=component.backflush,
                storage_location=component.storage_location,
            )
            for component in order.components
        ),
    )


def _material(material: Material, changed_us: int, *, inspected: bool) -> MaterialReference:
    return MaterialReference(
        changed_us=changed_us,
        material=material.material,
        base_unit=material.base_unit,
        units=tuple(
            UnitRatio(unit=unit, numerator=thousandths, denominator=1000)
            for unit, thousandths in material.factors.items()
        ),
        lot_managed=material.lot_managed,
        inspected=inspected,
    )
