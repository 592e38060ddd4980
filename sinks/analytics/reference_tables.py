"""Reference data in the analytics store: every record that was told, with the time in which it holds.

Law: the tables are a function of the records that were told, whatever their order, by whichever system and however
often. A record is known by its key and ``valid_from_us``; of several that have the same, the one with the greatest
``changed_us`` counts, and of those that have the same again the one whose JSON is greatest, as in the reference book of
the flow ``postings``. What of it is in force is asked by the views in ``schema/views/reference.sql``.

Source: M06, M11, M33, M47, A15; docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from canonical.contracts import (
    BinReference,
    LotReference,
    MaterialReference,
    OrderReference,
    PeriodReference,
    ReasonReference,
    RouteReference,
    StepReference,
    WorkCenterReference,
)
from sinks.analytics.statements import new_rows
from sinks.analytics.table import PLACE, Table, fields

_OF_KINDS: Final[Mapping[str, tuple[type[BaseModel], str, tuple[str, ...]]]] = {
    "order": (OrderReference, "Production orders as their ERPs have told of them", ("erp", "plant", "order_id")),
    "work_center": (WorkCenterReference, "Work centres", ("plant", "work_center")),
    "material": (MaterialReference, "Materials, with their units and product family", ("material",)),
    "lot": (LotReference, "Lots of materials, and whether they may be used", ("material", "lot")),
    "reason": (ReasonReference, "Reasons as the plants say them, and as the ERPs do", ("plant", "reason")),
    "step": (
        StepReference,
        "Which operations a work centre's completion confirms",
        ("plant", "work_center", "material"),
    ),
    "bin": (BinReference, "What bins of the warehouse stand for in the ERP", ("plant", "bin")),
    "route": (RouteReference, "Which ERP a plant posts to", ("plant",)),
    "period": (PeriodReference, "Posting periods", ("erp", "first")),
}

REFERENCE_TABLES: Final[Mapping[str, Table]] = {
    kind: Table(
        f"{kind}_reference",
        f"{said}: every record, with the time in which it holds, of which the newest change counts.",
        (*fields(model), *PLACE),
        newest_by=(*key, "valid_from_us"),
        changed_by="changed_us",
    )
    for kind, (model, said, key) in _OF_KINDS.items()
}
"""By kind of record; those of a bin's and a work centre's steps are here too, for who asks why."""

# Names in the statements below are constants of this module; values are parameters.


def replacing(table: Table, incoming: str) -> tuple[str, str]:
    """Return the DELETE of the rows that newer ones of ``incoming`` replace, and the INSERT of those."""
    names = [column.name for column in table.columns if column not in PLACE]
    same = " AND ".join(f"old.{key} = new.{key}" for key in table.newest_by)
    first = f"row_number() OVER (PARTITION BY {', '.join(table.newest_by)} ORDER BY {_order('', table, names)} DESC)"
    rows = f"(SELECT * FROM ({new_rows(table, incoming)}) QUALIFY {first} = 1) AS new"  # noqa: S608
    newer = f"{_order('new.', table, names)} > {_order('old.', table, names)}"
    delete = f"DELETE FROM {table.name} AS old USING {rows} WHERE {same} AND {newer}"  # noqa: S608
    insert = f"INSERT INTO {table.name} BY NAME SELECT new.* FROM {rows} ANTI JOIN {table.name} AS old ON {same}"  # noqa: S608
    return delete, insert


def _order(of: str, table: Table, names: list[str]) -> str:
    """Return what of two records with the same key the one that counts has more of."""
    return f"({of}{table.changed_by}, to_json(struct_pack({', '.join(of + name for name in names)})))"
