"""Where a lot came from and where it went, asked of the published analytics store (M21).

Law: what is told is what the store's ``trace_back`` and ``trace_forward`` tell, which a naive walk over the orders
tells as well; an order that one lot reaches by several ways is told once, at the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Final

from canonical.epcis import LotQuantity, Transformation
from sinks.analytics.published import query

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


_CORRECTED: Final = """
WITH found AS (
    SELECT plant, order_id FROM trace_back($lot) UNION SELECT plant, order_id FROM trace_forward($lot)
),
replaced AS (
    SELECT plant, source, session, first_seq, kind FROM confirmation WHERE revision > 0
),
orders AS (
    SELECT DISTINCT plant, order_id
    FROM confirmation SEMI JOIN replaced USING (plant, source, session, first_seq, kind)
    WHERE (plant, order_id) IN (SELECT (plant, order_id) FROM found)
),
ours AS (SELECT * FROM confirmation SEMI JOIN orders USING (plant, order_id)),
rows AS (
    FROM ours
    UNION
    SELECT * FROM confirmation SEMI JOIN ours USING (plant, source, session, first_seq, kind) WHERE revision > 0
),
told AS (
    SELECT posting_id, max(committed_us) AS committed_us
    FROM ledger_range
    WHERE posting_id IN (SELECT posting_id FROM rows WHERE revision > 0)
    GROUP BY posting_id
)
SELECT plant, order_id, [plant, source, session, CAST(first_seq AS VARCHAR), kind] AS key, revision, material, lot,
    unit, good + rework AS quantity, last_occurred_us, coalesce(committed_us, last_occurred_us) AS told_us
FROM rows LEFT JOIN told USING (posting_id)
ORDER BY revision > 0, told_us, revision, key
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
    corrected = query(published, _CORRECTED, {"lot": lot}, rows_max=STEPS_MAX)
    versions = [version for order in orders for version in _versions(order, corrected.rows.to_pylist())]
    of_version = attrgetter("ended_us", "plant", "order", "version")
    return sorted(versions, key=of_version), answer.more or corrected.more


def _versions(order: Transformation, rows: Sequence[Mapping[str, Any]]) -> Iterator[Transformation]:
    """Yield an order as it was before each of its corrections, and as it is.

    Args: rows: confirmations, first those that replace none, then the others as they came; perhaps of other orders.
    """
    stands: dict[tuple[str, ...], Mapping[str, Any]] = {}
    number = 0
    for row in rows:
        ours, key = (row["plant"], row["order_id"]) == (order.plant, order.order), tuple(row["key"])
        if row["revision"] and (ours or key in stands):
            before = _made(stands.values())
            ended_us = max((each["last_occurred_us"] for each in stands.values()), default=0)
            stands.pop(key, None)
            if ours:
                stands[key] = row
            if before and before != _made(stands.values()):
                yield replace(order, made=before, version=number, corrected_us=row["told_us"], ended_us=ended_us)
                number += 1
        elif ours:
            stands[key] = row
    yield replace(order, version=number)


def _made(rows: Iterable[Mapping[str, Any]]) -> list[LotQuantity]:
    """Return the lots that confirmations made, with what they made of each."""
    sums: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if row["lot"]:
            of = (row["material"], row["lot"], row["unit"])
            sums[of] = sums.get(of, 0) + row["quantity"]
    return sorted(LotQuantity(material, lot, made, unit) for (material, lot, unit), made in sums.items() if made > 0)
