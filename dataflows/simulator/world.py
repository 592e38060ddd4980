"""The world behind the traffic: products, machines and the orders they work off."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Final

from dataflows.simulator.configuration import SimulationConfig


@dataclass(frozen=True, slots=True)
class Product:
    """What is made: ``step`` thousandths of ``unit`` (UN/ECE Rec 20) come out of one cycle."""

    material: str
    unit: str
    step: int
    scrap_rate: float


PRODUCTS: Final = (
    Product("4711-HOUSING", "H87", 1000, 0.02),
    Product("4712-SHAFT", "H87", 1000, 0.035),
    Product("5003-GASKET", "H87", 4000, 0.015),
    Product("6120-GRANULATE", "KGM", 12_345, 0.01),
    Product("7290-COVER", "H87", 2000, 0.025),
)
REASONS: Final = ("TOOL", "DIMENSION", "SURFACE", "MATERIAL", "SETUP")
STOPS: Final = ("NO-MATERIAL", "TOOL-CHANGE", "FAULT", "CLEANING")


@dataclass(frozen=True, slots=True)
class Job:
    """One lot of one order on one machine, from ``begin_us`` until ``end_us``.

    ``first`` and ``last`` say whether the order begins or ends with it.
    """

    order: str
    operation: str
    lot: str
    product: Product
    begin_us: int
    end_us: int
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of plant A, B or P and its jobs, one after the other through the whole window."""

    name: str
    work_center: str
    jobs: tuple[Job, ...]


def machines(plant: str, config: SimulationConfig) -> list[Machine]:
    """Return the machines of a plant and their schedule; the same for the same configuration."""
    return [machine(plant, number, config) for number in range(1, config.machines + 1)]


def chance(config: SimulationConfig, *names: object) -> Random:
    """Return the generator of one part of the world, so that parts do not disturb each other."""
    return Random("/".join(map(str, (config.seed, *names))))


def machine(plant: str, number: int, config: SimulationConfig) -> Machine:
    """Return one machine of a plant; every fifth, from the third on, makes kilograms, the others pieces."""
    rng = chance(config, plant, number, "schedule")
    # A counter has one unit, so a machine makes either pieces or kilograms.
    made_here = [p for p in PRODUCTS if (p.unit == "KGM") == (number % 5 == 3)]
    jobs: list[Job] = []
    for index, (begin_us, end_us) in enumerate(pairwise(_cuts(rng, config))):
        code = f"{ord(plant) - 64}{number:02d}{index:03d}"
        product = rng.choice(made_here)
        operation = f"{rng.randint(1, 6) * 10:04d}"
        middle_us = (begin_us + end_us) // 2_000_000 * 1_000_000
        ends = rng.choice(([end_us], [end_us], [middle_us, end_us]))
        jobs += [
            Job(
                order=f"10{code}",
                operation=operation,
                lot=f"L{code}{letter}",
                product=product,
                begin_us=since_us,
                end_us=until_us,
                first=since_us == begin_us,
                last=until_us == end_us,
            )
            for letter, since_us, until_us in zip("ab", (begin_us, *ends), ends, strict=False)
        ]
    cells = ("TURN", "MILL", "GRIND", "PACK")
    return Machine(f"{plant}-M{number:02d}", f"{cells[number % 4]}-{number % 2 + 1}", tuple(jobs))


def _cuts(rng: Random, config: SimulationConfig) -> list[int]:
    """Return the ends of the orders, whole seconds, at least a third of the mean apart."""
    mean_us = (config.end_us - config.start_us) / config.orders
    inner = (
        config.start_us + int(mean_us * (n + rng.uniform(-1 / 3, 1 / 3))) // 1_000_000 * 1_000_000
        for n in range(1, config.orders)
    )
    return [config.start_us, *inner, config.end_us]
