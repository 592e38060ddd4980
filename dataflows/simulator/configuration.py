"""What to simulate: how much, where from, and how badly it arrives."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PlantName = Literal["A", "B", "C", "M", "P"]
Share = Annotated[float, Field(ge=0, le=0.5)]
"""A part of all records; 0.01 is one in a hundred."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Disturbance(_Section):
    """How traffic differs from one clean record after the other."""

    duplicates: Share = Field(default=0.01, description="Records delivered twice, byte for byte (plants A, C, M, P).")
    conflicts: Share = Field(
        default=0.0002, description="Records followed by one of the same number and other content (A)."
    )
    disorder: Share = Field(default=0.03, description="Records overtaken by later ones of their source (A, P).")
    displacement_max: int = Field(
        default=50, ge=1, le=1_000, description="Records that may overtake one; at plant P five at most."
    )
    gaps: Share = Field(
        default=0.0004, description="Holes in the numbering: one to three records lost (A, P) or delayed (A)."
    )
    late_fills: float = Field(
        default=0.3, ge=0, le=1, description="Part of the holes that is filled up to an hour later."
    )
    bursts_per_day: float = Field(default=1.0, ge=0, le=6, description="Hours a machine stores before it forwards (A).")
    restarts_per_day: float = Field(default=1.5, ge=0, le=24, description="New numbering of a source (A, M, P).")
    resets_per_day: float = Field(
        default=1.0, ge=0, le=24, description="Counters set back to zero (B, M, P); at plant B part of them nightly."
    )
    redrops: Share = Field(default=0.15, description="Files dropped again whole under another name (B).")
    regrowths: Share = Field(default=0.25, description="Files exported half-way through their hour, too (B).")
    malformed: Share = Field(default=0.001, description="Records that no decoder accepts; at least one of each kind.")


class SimulationConfig(_Section):
    """A simulation; the same configuration gives the same bytes.

    ``records`` is what the window amounts to about: the pace of the machines follows from it.
    """

    seed: int = 1
    start: AwareDatetime = Field(
        description="First instant of the window; it decides the shifts and the clock changes."
    )
    hours: int = Field(default=48, ge=2, le=24 * 31)
    plants: tuple[PlantName, ...] = Field(default=("A", "B", "C", "M", "P"), min_length=1)
    machines: int = Field(default=8, ge=1, le=99, description="Machines of plant A, and of plant B.")
    orders: int = Field(default=10, ge=1, le=999, description="Production orders per machine.")
    records: int = Field(default=250_000, ge=1_000, le=20_000_000)
    disturbance: Disturbance = Field(default_factory=Disturbance)

    @property
    def start_us(self) -> int:
        """First instant of the window in UTC microseconds, on a whole second."""
        return int(self.start.timestamp()) * 1_000_000

    @property
    def end_us(self) -> int:
        """End of the window in UTC microseconds."""
        return self.start_us + self.hours * 3_600_000_000

    @classmethod
    def demo(cls, start: AwareDatetime, seed: int = 1) -> Self:
        """Two days of four plants and one machine tool: about 250,000 records."""
        return cls(seed=seed, start=start)

    @classmethod
    def small(cls, start: AwareDatetime, seed: int = 1) -> Self:
        """A day and a half in about 5,000 records, every disturbance included."""
        disturbance = Disturbance(gaps=0.004, conflicts=0.002, malformed=0.01)
        return cls(seed=seed, start=start, hours=36, machines=3, orders=4, records=5_000, disturbance=disturbance)
