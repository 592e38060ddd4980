"""What an ERP checks before it books. Each check raises ``Refused`` or returns what it found; none books anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from canonical.contracts.fault import FaultCode
from canonical.units import QuantityError, code_of, convert_thousandths
from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import Line
from dataflows.erp_simulator.master_data import MasterData, Material, Operation, Order, OrderStatus
from dataflows.erp_simulator.posting import Confirmation, Movement
from dataflows.erp_simulator.refusal import Code, Refused

_STATUS: Final[Mapping[OrderStatus, Code]] = {
    OrderStatus.CREATED: Code.ORDER_NOT_RELEASED,
    OrderStatus.LOCKED: Code.ORDER_BLOCKED,
    OrderStatus.TECHNICALLY_COMPLETE: Code.ORDER_COMPLETE,
    OrderStatus.CLOSED: Code.ORDER_CLOSED,
    OrderStatus.DELETED: Code.ORDER_DELETED,
}


class Register:
    """Master data by key; it is made again whenever the data has changed."""

    def __init__(self, data: MasterData) -> None:
        """Index the records of ``data``."""
        self.data = data
        self.orders = {order.order: order for order in data.orders}
        self.materials = {material.material: material for material in data.materials}
        self.work_centers = {(w.plant, w.work_center): w for w in data.work_centers}
        self.lots = {(lot.material, lot.lot): lot for lot in data.lots}

    def order(self, number: str) -> Order:
        """Return the order, leading zeros counting for nothing."""
        found = self.orders.get(number) or self.orders.get(number.lstrip("0")) or self.orders.get(number.zfill(12))
        if found is None:
            raise Refused(Code.ORDER_UNKNOWN, order=number)
        return found

    def material(self, name: str) -> Material:
        """Return the material."""
        if name not in self.materials:
            raise Refused(Code.MATERIAL_UNKNOWN, material=name)
        return self.materials[name]


def order_open(order: Order, book: Book, now_us: int) -> None:
    """Refuse postings for an order that somebody edits, or whose status does not allow them."""
    user, until_us = book.locks.get(order.order, ("", 0))
    if now_us < until_us:
        raise Refused(Code.ORDER_LOCKED, order=order.order, user=user)
    if not order.valid(now_us):
        raise Refused(Code.ORDER_UNKNOWN, order=order.order)
    if order.status in _STATUS:
        raise Refused(_STATUS[order.status], order=order.order)


def period_open(data: MasterData, day: date) -> None:
    """Refuse a posting date outside the open periods."""
    if data.periods and not any(p.open and p.first <= day <= p.last for p in data.periods):
        open_periods = ", ".join(f"{p.first:%Y/%m}" for p in data.periods if p.open) or "none"
        raise Refused(Code.PERIOD_CLOSED, periods=f"{open_periods} in company code {data.company}")


def external_id_new(book: Book, external_id: str) -> None:
    """Refuse an external key that a document already has."""
    if external_id and (before := book.by_external.get(external_id)):
        raise Refused(Code.EXTERNAL_ID_EXISTS, external_id=external_id, document=book.documents[before[0]].number)


def operation(order: Order, number: str, register: Register, confirmation: Confirmation, now_us: int) -> Operation:
    """Return the order's operation; the work centre and plant that were sent, if any, must fit it."""
    found = next((o for o in order.operations if o.operation == number), None)
    if found is None:
        raise Refused(Code.OPERATION_UNKNOWN, order=order.order, operation=number)
    if confirmation.plant and confirmation.plant != order.plant:
        raise Refused(Code.PLANT_WRONG, order=order.order, plant=confirmation.plant)
    name = confirmation.work_center or found.work_center
    work_center = register.work_centers.get((order.plant, name))
    if work_center is None or not work_center.valid(now_us):
        raise Refused(Code.WORK_CENTER_UNKNOWN, work_center=name, plant=order.plant)
    return found


def levels_apart(book: Book, order: Order, number: str) -> None:
    """Refuse to confirm an order as a whole and by operation (DOMAIN 3.7)."""
    others = [""] if number else [o.operation for o in order.operations]
    if any(book.confirmed[order.order, other, made] for other in others for made in ("yield", "scrap", "rework")):
        raise Refused(Code.LEVEL_MIXED, order=order.order)


def in_unit(quantity: int, unit: str, target: str, material: Material | None) -> int:
    """Return thousandths of ``unit`` as thousandths of ``target``; without a unit it is ``target`` already."""
    code = code_of(unit) if unit else target
    if code is None:
        raise Refused(Code.UNIT_UNKNOWN, unit=unit, material=material.material if material else "")
    if code == target:
        return quantity
    if material is not None and target == material.base_unit and code in material.factors:
        whole, rest = divmod(quantity * material.factors[code], 1000)
        if rest:
            raise Refused(Code.QUANTITY_TOO_FINE, quantity=f"{quantity / 1000} {unit}")
        return whole
    try:
        return convert_thousandths(quantity, code, target)
    except QuantityError as error:
        if error.code is FaultCode.ABSURD_QUANTITY:
            raise Refused(Code.QUANTITY_TOO_FINE, quantity=f"{quantity / 1000} {unit}") from error
        raise Refused(Code.UNIT_UNKNOWN, unit=unit, material=material.material if material else "") from error


def quantities(order: Order, confirmation: Confirmation, book: Book) -> None:
    """Refuse quantities that are no quantities, beyond the tolerance, or beyond the predecessor's yield.

    ``confirmation`` is in the order's unit already.
    """
    made = (confirmation.yield_quantity, confirmation.scrap_quantity, confirmation.rework_quantity)
    key = (order.order, confirmation.operation)
    if min(made) < 0:
        _taken_back(made, [book.confirmed[*key, name] for name in ("yield", "scrap", "rework")])
        return
    if not any(made) and not confirmation.activities and not confirmation.final:
        raise Refused(Code.QUANTITY_NOT_POSITIVE)
    if book.finals[key] > 0:
        raise Refused(Code.FINAL_ALREADY, order=order.order, operation=confirmation.operation)
    total = book.confirmed[*key, "yield"] + confirmation.yield_quantity
    if order.limit_thousandths is not None and total > order.limit_thousandths:
        raise Refused(
            Code.OVER_DELIVERY,
            total=amount(total),
            limit=amount(order.limit_thousandths),
            order=order.order,
            operation=confirmation.operation,
        )
    before = [o.operation for o in order.operations if o.operation < confirmation.operation]
    if confirmation.operation and before and order.yield_follows_predecessor:
        predecessor = max(before)
        limit = book.confirmed[order.order, predecessor, "yield"]
        if confirmation.yield_quantity and total > limit:
            raise Refused(
                Code.YIELD_ABOVE_PREDECESSOR,
                order=order.order,
                operation=confirmation.operation,
                predecessor=predecessor,
                total=amount(total),
                limit=amount(limit),
            )


def _taken_back(made: tuple[int, ...], before: list[int]) -> None:
    """Refuse to take back more than was confirmed, or to confirm and take back at once."""
    if max(made) > 0 or any(back + have < 0 for back, have in zip(made, before, strict=True)):
        raise Refused(Code.QUANTITY_NOT_POSITIVE)


def line(item: int, movement: Movement, register: Register, book: Book, now_us: int) -> Line:
    """Return the item that a movement becomes, in the base unit."""
    kind = types.known(movement.movement_type)
    if kind is None:
        raise Refused(Code.MOVEMENT_TYPE_UNKNOWN, movement_type=movement.movement_type)
    material = register.material(movement.material)
    if movement.quantity <= 0:
        raise Refused(Code.QUANTITY_NOT_POSITIVE)
    quantity = in_unit(movement.quantity, movement.unit, material.base_unit, material)
    order = register.order(movement.order) if movement.order else None
    if order is not None:
        order_open(order, book, now_us)
    plant = movement.plant or (order.plant if order else "")
    _lot(movement, material, kind, register, book, now_us)
    stock_type = movement.stock_type
    if kind.target == types.BY_LINE and not stock_type:
        stock_type = types.QUALITY if material.inspected else types.UNRESTRICTED
    return Line(
        item=item,
        movement_type=movement.movement_type,
        material=material.material,
        plant=plant,
        storage_location=movement.storage_location or (order.storage_location if order else ""),
        lot=movement.lot,
        stock_type=stock_type,
        quantity=quantity,
        unit=material.base_unit,
        entry_quantity=movement.quantity,
        entry_unit=movement.unit or material.base_unit,
        order=order.order if order else "",
        reservation=movement.reservation,
        reservation_item=movement.reservation_item,
        receiving_location=movement.receiving_location,
        receiving_material=movement.receiving_material,
        receiving_lot=movement.receiving_lot,
    )


def _lot(
    movement: Movement, material: Material, kind: types.MovementType, register: Register, book: Book, now_us: int
) -> None:
    if material.lot_managed and not movement.lot:
        raise Refused(Code.LOT_MISSING, material=material.material)
    if not movement.lot:
        return
    listed = register.lots.get((material.material, movement.lot))
    comes_in = kind.source is None and movement.movement_type in types.FORWARD
    if listed is None and not comes_in and not book.lots[material.material, movement.lot]:
        raise Refused(Code.LOT_UNKNOWN, lot=movement.lot, material=material.material)
    if listed is not None and not listed.valid(now_us):
        raise Refused(Code.LOT_UNKNOWN, lot=movement.lot, material=material.material)


def received_within(order: Order, lines: tuple[Line, ...], register: Register, book: Book) -> None:
    """Refuse receipts beyond the order's tolerance."""
    if order.limit_thousandths is None:
        return
    material = register.material(order.material)
    limit = in_unit(order.limit_thousandths, order.unit, material.base_unit, material)
    received = [x for x in lines if x.order == order.order and x.movement_type in {"101", "102"}]
    total = book.received[order.order] + sum(types.order_effect(x) for x in received)
    if received and total > limit:
        raise Refused(Code.OVER_DELIVERY, total=amount(total), limit=amount(limit), order=order.order, operation="")


def stock_there(data: MasterData, lines: tuple[Line, ...], book: Book) -> None:
    """Refuse to take more than what lies there, unless the ERP allows it."""
    if data.negative_stock_allowed:
        return
    after: dict[types.StockKey, int] = {}
    for entry in lines:
        for key, change in types.effects(entry):
            after[key] = after.get(key, book.stocks[key]) + change
            if change < 0 and after[key] < 0:
                raise Refused(
                    Code.STOCK_MISSING,
                    quantity=amount(-after[key]),
                    unit=entry.unit,
                    material=entry.material,
                    plant=entry.plant,
                    storage_location=entry.storage_location,
                    lot=entry.lot,
                )


def amount(thousandths: int) -> str:
    """Return a quantity as ERPs write it: three decimals, exact."""
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"
