"""Where a lot came from and where it went, asked of the published analytics store (M21).

Law: what is told is what the store's ``trace_back`` and ``trace_forward`` tell, which a naive walk over the orders
tells as well; an order that one lot reaches by several ways is told once, at the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Final

from canonical.epcis import LotQuantity, Transformation
from sinks.published import query

STEPS_MAX: Final = 100_000
"""Steps of a trace that are told at most."""


class Direction(StrEnum):
    """Which way a lot is traced."""

    BACK = "back"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Step:
    """One lot that went into another by an order; ``level`` 1 is next to the lot asked for. Quantities in units."""

    level: int
    plant: str
    order_id: str
    component: str
    component_lot: str
    used: Decimal
    used_unit: str
    material: str
    lot: str
    made: Decimal
    made_unit: str


_STEPS: Final = {Direction.BACK: "FROM trace_back($lot)", Direction.FORWARD: "FROM trace_forward($lot)"}

_ORDERS: Final = """
WITH found AS (
    SELECT plant, order_id FROM trace_back($lot) UNION SELECT plant, order_id FROM trace_forward($lot)
)
SELECT plant, order_id, true AS made, material, lot, unit, sum(good + rework) AS quantity, max(last_occurred_us) AS last
FROM production SEMI JOIN found USING (plant, order_id)
WHERE lot <> ''
GROUP BY ALL
HAVING sum(good + rework) > 0
UNION ALL
SELECT plant, order_id, false, material, lot, unit, sum(quantity), max(last_occurred_us)
FROM usage SEMI JOIN found USING (plant, order_id)
WHERE lot <> ''
GROUP BY ALL
"""


def trace(published: Path, lot: str, direction: Direction) -> tuple[list[Step], bool]:
    """Return the steps from the lot on, nearest first, and whether there are more than ``STEPS_MAX``.

    Raises: StoreNotPublished, StoreUnavailable.
    """
    answer = query(published, _STEPS[direction], {"lot": lot}, rows_max=STEPS_MAX)
    return [Step(**row) for row in answer.rows.to_pylist()], answer.more


def transformations(published: Path, lot: str) -> tuple[list[Transformation], bool]:
    """Return all that each order before and after the lot used and made, the earliest order first, and as ``trace``.

    Raises: StoreNotPublished, StoreUnavailable.
    """
    answer = query(published, _ORDERS, {"lot": lot}, rows_max=STEPS_MAX)
    of_order = itemgetter("plant", "order_id")
    orders = []
    for (plant, order), group in groupby(sorted(answer.rows.to_pylist(), key=of_order), of_order):
        told = list(group)
        used, made = (
            [
                LotQuantity(row["material"], row["lot"], int(row["quantity"]), row["unit"])
                for row in told
                if row["made"] is side
            ]
            for side in (False, True)
        )
        orders.append(Transformation(plant, order, max(row["last"] for row in told), sorted(used), sorted(made)))
    return sorted(orders, key=attrgetter("ended_us", "plant", "order")), answer.more
