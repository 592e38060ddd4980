"""Records to begin from: the simulators' traffic, this project's examples and, where there, fixtures of others."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.simulation import TRAFFIC

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIXTURES = ROOT.parent / "shared" / "fixtures"
"""Real payloads of others; they are not part of this project, and the fuzzer runs without them."""

_SEEDS_MAX = 160
_SEED_BYTES_MAX = 1_500


@cache
def shipped_plant(name: str) -> PlantMapping:
    """Return the mapping of a plant that plantsync ships, as A."""
    return next(mapping for mapping in map(load, shipped()) if mapping.plant == name)


@cache
def own_plant(name: str) -> PlantMapping:
    """Return a mapping of this folder."""
    return load(HERE / "plants" / f"{name}.toml")


@cache
def simulated(plant: str) -> tuple[bytes, ...]:
    """Return records of a simulated day, evenly picked, with the header where there is one and a few large ones."""
    config = SimulationConfig.small(datetime(2026, 3, 2, tzinfo=UTC))
    records: dict[bytes, None] = {}
    for drop in TRAFFIC[plant](config, shipped_plant(plant), 1_500)[0]:  # type: ignore[index]
        records |= dict.fromkeys(drop.header.splitlines())
        records |= dict.fromkeys(record for _, record in drop.records)
    small = [record for record in records if len(record) <= _SEED_BYTES_MAX]
    large = [record for record in records if len(record) > _SEED_BYTES_MAX]
    step = max(len(small) // _SEEDS_MAX, 1)
    return (small[0], *small[1::step], *large[:1])


@cache
def fixtures(pattern: str) -> tuple[bytes, ...]:
    """Return the lines of others' payloads, without the very long."""
    paths = sorted(FIXTURES.glob(pattern))
    lines = [line for path in paths for line in path.read_bytes().splitlines() if line.strip()]
    return tuple(line for line in lines[:400] if len(line) <= 4_000)


@cache
def documents(pattern: str) -> tuple[bytes, ...]:
    """Return others' payloads whole."""
    found = (path.read_bytes() for path in sorted(FIXTURES.glob(pattern)))
    return tuple(data for data in found if len(data) <= 8_000)


@cache
def published() -> tuple[bytes, ...]:
    """Return the messages plantsync itself publishes, as its golden files keep them."""
    return tuple(path.read_bytes() for path in sorted((ROOT / "tests" / "golden" / "contracts").glob("*.json")))
