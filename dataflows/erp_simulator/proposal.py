"""The goods movements an ERP works out for a confirmation that brings none: backflush and receipt."""

from __future__ import annotations

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.master_data import Order
from dataflows.erp_simulator.posting import Confirmation, Movement


def proposal(order: Order, made: Confirmation) -> list[Movement]:
    """Return the backflush and the receipt that a confirmation (in the order's unit) causes by itself."""
    movements: list[Movement] = []
    processed = made.yield_quantity + made.scrap_quantity + made.rework_quantity
    for component in order.components:
        if not component.backflush or (made.operation and component.operation != made.operation):
            continue
        # Half a thousandth up, as ERPs round commercially.
        share = (2 * component.required_thousandths * processed + order.planned_thousandths) // (
            2 * max(order.planned_thousandths, 1)
        )
        if share:
            movements.append(
                Movement(
                    component.movement_type if share > 0 else types.reversal(component.movement_type),
                    component.material,
                    abs(share),
                    component.unit,
                    plant=order.plant,
                    storage_location=component.storage_location,
                    order=order.order,
                    reservation=component.reservation,
                    reservation_item=str(component.item),
                )
            )
    receipt = any(o.receipt and o.operation == made.operation for o in order.operations)
    if receipt and made.yield_quantity:
        movements.append(
            Movement(
                types.RECEIPT if made.yield_quantity > 0 else types.reversal(types.RECEIPT),
                order.material,
                abs(made.yield_quantity),
                order.unit,
                plant=order.plant,
                storage_location=order.storage_location,
                lot=made.lot,
                order=order.order,
            )
        )
    return movements
