"""Which sink may receive what a plant says, as mappings and settings have it (M50).

Law: data of a plant with a region reach a sink only where that names the region. A sink that names no regions at all
while a plant has one is a contradiction of the settings, so that nothing leaves because nobody thought of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from canonical.mapping import PlantMapping
from canonical.mapping.problems import Finding
from canonical.residency import Region, admits

if TYPE_CHECKING:
    from dataflows.settings import Settings

Regions = tuple[Region, ...]
UNATTRIBUTED: Final = "fault"
"""Its rows hold a plant's bytes even where no plant could be read."""


def residency_problems(settings: Settings, mappings: Sequence[PlantMapping]) -> Iterator[Finding]:
    """Yield sinks that do not say whose data they may receive, and plants that no ERP may receive."""
    resident = {each.plant: each.residency for each in mappings if each.residency}
    if not resident:
        return
    told = ", ".join(f"{plant} ({region})" for plant, region in sorted(resident.items()))
    message = f"not said, and the data of {told} may not go everywhere"
    hint = f'name the regions it may receive, such as ["{min(resident.values())}"]; [] keeps those plants out'
    for key, regions in _sinks(settings):
        if regions is None:
            yield (*key, "residency"), message, hint
    for index, plant in enumerate(mappings):
        if settings.erps and not any(admits(erp.residency, plant.residency) for erp in settings.erps.values()):
            where = f"no ERP may receive what {plant.plant} ({plant.residency}) makes"
            yield ("plants", index), where, "add the region to the ERP that its route names"


def _sinks(settings: Settings) -> Iterator[tuple[tuple[str, ...], Regions | None]]:
    yield ("store",), settings.store.residency
    if settings.traces.endpoint is not None:
        yield ("traces",), settings.traces.residency
    for name, erp in settings.erps.items():
        yield ("erps", name), erp.residency


def kept_from(regions: Regions | None, mappings: Sequence[PlantMapping]) -> frozenset[str]:
    """Return the plants whose data a sink of these regions may not receive."""
    return frozenset(each.plant for each in mappings if not admits(regions, each.residency))


def receivers(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return the ERPs that may receive what a plant makes, by plant; of plants without a region nothing is said.

    Raises: MappingError.
    """
    return {
        each.plant: frozenset(name for name, erp in settings.erps.items() if admits(erp.residency, each.residency))
        for each in settings.mappings()
        if each.residency
    }


def admitted(tables: Mapping[str, pa.Table], kept_out: frozenset[str]) -> Mapping[str, pa.Table]:
    """Return the rows that a sink may receive, by table: those that name no plant that is kept out."""
    if not kept_out:
        return tables
    return {name: _admitted(table, kept_out, named=name == UNATTRIBUTED) for name, table in tables.items()}


def _admitted(table: pa.Table, kept_out: frozenset[str], *, named: bool) -> pa.Table:
    if "plant" not in table.column_names:
        return table
    refused = pa.array(sorted(kept_out | {""} if named else kept_out), pa.string())
    return table.filter(pc.invert(pc.is_in(table["plant"].cast(pa.string()), refused)))
