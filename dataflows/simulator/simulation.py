"""The simulation: every plant's traffic into a writer, and the truth about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from dataflows.simulator import plant_a, plant_b, plant_c, plant_m, plant_p
from dataflows.simulator.configuration import PlantName, SimulationConfig
from dataflows.simulator.drop import Drop
from dataflows.simulator.truth import PlantTruth, Truth
from dataflows.simulator.witness import Witness
from dataflows.simulator.writer import Writer

Traffic = Callable[[SimulationConfig, PlantMapping, int], tuple[Iterator[Drop], Witness]]

TRAFFIC: Final[Mapping[PlantName, Traffic]] = {
    "A": plant_a.traffic,
    "B": plant_b.traffic,
    "C": plant_c.traffic,
    "M": plant_m.traffic,
    "P": plant_p.traffic,
}
SHARES: Final[Mapping[PlantName, float]] = {"A": 0.70, "B": 0.12, "C": 0.01, "M": 0.14, "P": 0.03}
"""Which part of the records comes from which plant; files dropped again add to plant B's."""


def simulate(config: SimulationConfig, out: Writer) -> Truth:
    """Write the traffic of the configured plants, plant by plant, and return the truth about it.

    The records are those the shipped mappings describe; one plant is in memory at a time.

    Raises: what the writer raises.
    """
    mappings = {mapping.plant: mapping for mapping in map(load, shipped())}
    whole = sum(SHARES[plant] for plant in config.plants)
    plants: dict[str, PlantTruth] = {}
    for plant in config.plants:
        mapping = mappings[plant]
        drops, witness = TRAFFIC[plant](config, mapping, round(config.records * SHARES[plant] / whole))
        for drop in drops:
            out.write(mapping, drop)
        plants[plant] = witness.truth()
    out.flush()
    return Truth(config=config, plants=plants)
