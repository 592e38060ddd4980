"""A plant in plain words: its policies untouched, its records JSON with our names.

So traffic can be made for any plant without knowing its format; formats have tests of their own.
"""

from __future__ import annotations

from typing import Any, Final

from canonical.mapping import PlantMapping
from canonical.mapping.fields import DURATION_FIELDS

PLANT: Final = "P"
RECORD_BYTES_MIN: Final = 4_096
"""What a record in plain words may need, where the plant's own format is terser."""


def plain(mapping: PlantMapping) -> PlantMapping:
    """Return the plant with the same sequencing, counters, aggregation, routes, limits, shifts and time zone.

    Every field that the plant maps keeps its canonical name as its path. Source, type and time are
    always mapped, the number where records are ordered by it, and the session where there are several.
    Counters are those of each session: where they go on over sessions, their times say which reading counts, and not
    the order of records that the laws are about.
    """
    names = ["source", "type", "occurred", *(name for name in mapping.sources if name != "plant")]
    if mapping.sequencing.mode == "number":
        names.append("seq")
    if mapping.shdr is not None and mapping.shdr.session_start:
        names.append("session")
    fields: dict[str, Any] = {name: _field(name) for name in dict.fromkeys(names)}
    limits = mapping.limits.model_dump()
    limits["record_bytes_max"] = max(limits["record_bytes_max"], RECORD_BYTES_MIN)
    return PlantMapping.model_validate({
        "plant": mapping.plant or PLANT,
        "title": mapping.title,
        "time_zone": mapping.time_zone,
        "format": "json",
        "unit": mapping.unit,
        "input": {"topics": ["simulated"]},
        "fields": fields,
        "time": {"format": "epoch_us"},
        "sequencing": mapping.sequencing.model_dump(),
        "counters": mapping.counters.model_dump() | {"scope": "session"},
        "aggregation": mapping.aggregation.model_dump(),
        "limits": limits,
        "routes": mapping.routes,
        "shifts": [shift.model_dump() for shift in mapping.shifts],
    })  # fmt: skip


def _field(name: str) -> dict[str, str]:
    if name in DURATION_FIELDS:
        return {"path": name, "unit": "us"}
    return {"path": name, "unit": "Wh"} if name == "energy" else {"path": name}
