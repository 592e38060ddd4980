"""What the settings say of the plants, in the analytics store: replaced as a whole by whoever opens it to write.

Source: M45, M47; docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa

from canonical.mapping import PlantMapping
from sinks.analytics.table import Column, Table


def _text(name: str, comment: str) -> Column:
    return Column(name, name, "VARCHAR", nullable=False, comment=comment)


_PLANT: Final = _text("plant", "Canonical key of the plant.")

PLANT_TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "plant",
            "The plants of the settings.",
            (
                _PLANT,
                _text("title", "What people call it."),
                _text("time_zone", "Zone of its shifts and posting dates."),
                _text("unit", "UN/ECE Recommendation 20 code of quantities that name no unit."),
            ),
        ),
        Table(
            "shift",
            "The shifts of each plant, by the day of the week on which they start; they may cross midnight.",
            (
                _PLANT,
                _text("shift", "Name of the shift."),
                _text("day", "Day of the week on which it starts: mon to sun."),
                _text("starts", "Plant-local time at which it starts."),
                _text("ends", "Plant-local time before which it ends; not after the start: on the next day."),
            ),
        ),
    )
}


def plant_rows(mappings: Iterable[PlantMapping]) -> dict[str, pa.Table]:
    """Return the rows of each table; of a mapping that reads its plant from the records, a row for each it names."""
    plants: dict[tuple[str, ...], None] = {}
    shifts: dict[tuple[str, ...], None] = {}
    for mapping in mappings:
        for plant in [mapping.plant] if mapping.plant else sorted(set(mapping.keys.get("plant", {}).values())):
            plants[plant, mapping.title or plant, mapping.time_zone, mapping.unit] = None
            for shift in mapping.shifts:
                shifts |= {(plant, shift.name, day, shift.start, shift.end): None for day in shift.days}
    return {"plant": _table("plant", plants), "shift": _table("shift", shifts)}


def _table(name: str, rows: Iterable[tuple[str, ...]]) -> pa.Table:
    schema = pa.schema([(column.name, pa.string()) for column in PLANT_TABLES[name].columns])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
