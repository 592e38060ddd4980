"""Believable traffic of the shipped plants, seeded, with the truth about it."""

from dataflows.simulator.configuration import Disturbance, SimulationConfig
from dataflows.simulator.simulation import simulate
from dataflows.simulator.truth import PlantTruth, Truth, compare
from dataflows.simulator.writer import FolderWriter, KafkaWriter, LandingFolderInUse, TrafficNotDelivered, Writer

__all__ = [
    "Disturbance",
    "FolderWriter",
    "KafkaWriter",
    "LandingFolderInUse",
    "PlantTruth",
    "SimulationConfig",
    "TrafficNotDelivered",
    "Truth",
    "Writer",
    "compare",
    "simulate",
]
