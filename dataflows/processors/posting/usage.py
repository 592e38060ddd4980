"""Usage: what of each component of an order was planned against what was issued (M18).

Law: the sum of what is told of a material is what was issued of it, less what was taken back or withdrawn. It is told
in the plan's unit where all of it is exact in that; what is not is told in its own, against no plan. What the ERP
issues itself is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from canonical.contracts import ComponentUsage, MaterialReference, OrderComponent
from canonical.units import QuantityError
from dataflows.processors.posting.conversion import converted
from dataflows.processors.posting.progress import OrderProgress
from dataflows.processors.posting.reference_book import ReferenceBook

Concern = tuple[str, str, str]
"""ERP, plant, order."""


def usages(concern: Concern, progress: OrderProgress, book: ReferenceBook, now_us: int) -> Iterator[ComponentUsage]:
    """Yield all components of an order as they stand, and what was issued that is none of them."""
    erp, plant, name = concern
    order = book.order(erp, plant, name, now_us)
    planned = {
        (component.item, component.material): component
        for component in (order.components if order is not None else ())
        if not component.backflush
    }
    sums = {(item, material, component.unit): 0 for (item, material), component in planned.items()}
    for (of, item, material, unit), quantity in progress.issued_lines():
        if of == erp:
            component = planned.get((item, material))
            exact = _in_plan(quantity, unit, component, book.material(material, now_us))
            key, amount = (item, material, unit), quantity
            if component is not None and exact is not None:
                key, amount = (item, material, component.unit), exact
            sums[key] = sums.get(key, 0) + amount
    for (item, material, unit), actual in sums.items():
        component = planned.get((item, material))
        of_plan = component if component is not None and component.unit == unit else None
        required = 0 if of_plan is None else of_plan.quantity
        yield ComponentUsage(
            erp=erp,
            plant=plant,
            order=name,
            item=item,
            reservation="" if component is None else component.reservation,
            operation="" if component is None else component.operation,
            material=material,
            unit=unit,
            planned=required,
            actual=actual,
            difference=actual - required,
            changed_us=now_us,
        )


def _in_plan(
    quantity: int, unit: str, component: OrderComponent | None, material: MaterialReference | None
) -> int | None:
    """Return thousandths of a unit in the plan's, None where that is not exact or cannot be told."""
    if component is None or unit == component.unit:
        return quantity
    if material is None:
        return None
    try:
        return converted(quantity, unit, component.unit, material)
    except QuantityError:
        return None
