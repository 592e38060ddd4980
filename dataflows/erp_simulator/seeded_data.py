"""Master data made from a seed: two plants, a dozen materials, orders in every status."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from dataflows.erp_simulator.chance import share
from dataflows.erp_simulator.master_data import (
    Component,
    Lot,
    MasterData,
    Material,
    Operation,
    Order,
    OrderStatus,
    Period,
    Stock,
    WorkCenter,
)

_PLANTS: Final = ("1010", "1020")
_PRODUCTS: Final = ("FG-HOUSING", "FG-SHAFT", "FG-PUMP")
_PARTS: Final = ("RM-STEEL", "RM-RESIN", "PT-SCREW")
_CENTERS: Final = ("TURN-1", "MILL-1", "PACK-1")
_OTHERS: Final = {
    97: OrderStatus.CREATED,
    98: OrderStatus.LOCKED,
    99: OrderStatus.TECHNICALLY_COMPLETE,
    100: OrderStatus.CLOSED,
    101: OrderStatus.DELETED,
}


def made(seed: int, now_us: int, orders: int = 20) -> MasterData:
    """Return master data: ``orders`` released orders 1000001.. a plant, and one in each other status.

    The periods of this month and the last are open, those before are closed.
    """
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
    numbers = [*range(1, orders + 1), *(orders - 96 + n for n in _OTHERS)]
    return MasterData(
        orders=tuple(_order(seed, plant, number, orders) for plant in range(len(_PLANTS)) for number in numbers),
        work_centers=tuple(WorkCenter(work_center=c, plant=p) for p in _PLANTS for c in _CENTERS),
        materials=(
            *(Material(material=m, base_unit="H87", inspected=m == "FG-PUMP") for m in _PRODUCTS),
            Material(material="RM-STEEL", base_unit="KGM"),
            Material(material="RM-RESIN", base_unit="KGM", lot_managed=True),
            Material(material="PT-SCREW", base_unit="H87", factors={"CEN": 100_000}),
        ),
        lots=tuple(Lot(material="RM-RESIN", lot=f"R{n:04d}") for n in range(1, 6)),
        periods=tuple(_period(today, months) for months in range(-3, 1)),
        stocks=tuple(
            Stock(
                material=part,
                plant=plant,
                storage_location="RM01",
                lot="R0001" if part == "RM-RESIN" else "",
                quantity_thousandths=1_000_000_000,
            )
            for plant in _PLANTS
            for part in _PARTS
        ),
    )


def _order(seed: int, plant: int, number: int, released: int) -> Order:
    product = _PRODUCTS[int(share(seed, "product", plant, number) * len(_PRODUCTS))]
    planned = 1000 * (100 + int(share(seed, "planned", plant, number) * 900))
    steps = tuple(
        Operation(
            operation=f"{n * 10:04d}",
            work_center=center,
            planned_thousandths=planned,
            unit="H87",
            receipt=n == len(_CENTERS),
        )
        for n, center in enumerate(_CENTERS, 1)
    )
    return Order(
        order=f"{1_000_000 * (plant + 1) + number}",
        plant=_PLANTS[plant],
        material=product,
        status=_OTHERS.get(number - released + 96, OrderStatus.RELEASED),
        planned_thousandths=planned,
        unit="H87",
        over_delivery_permille=100,
        under_delivery_permille=50,
        operations=steps,
        components=(
            Component(
                item=10,
                material="RM-STEEL",
                required_thousandths=planned // 2,
                unit="KGM",
                operation="0010",
                backflush=True,
                reservation=f"{number:010d}",
                storage_location="RM01",
            ),
            Component(
                item=20,
                material="RM-RESIN",
                required_thousandths=planned // 4,
                unit="KGM",
                operation="0020",
                reservation=f"{number:010d}",
                storage_location="RM01",
            ),
        ),
    )


def _period(today: date, months: int) -> Period:
    index = today.year * 12 + today.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    following = date((index + 1) // 12, (index + 1) % 12 + 1, 1)
    return Period(first=first, last=following - timedelta(days=1), open=months >= -1)
