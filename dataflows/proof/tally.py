"""What many schedules amount to, and a range of seeds as one piece of work for a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from canonical.mapping import PlantMapping
from dataflows.proof.campaign import Campaign, Verdict
from dataflows.proof.faults import Kind

BROKEN_MAX = 10
"""Broken schedules that are told in full; the others are counted."""


@dataclass(slots=True)
class Tally:
    """Counts of schedules, of faults by kind and place, and of what was rare; the first broken schedules."""

    schedules: int = 0
    broken: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a schedule."""
        self.schedules += 1
        self.happened.update(verdict.happened)
        if verdict.broken is not None:
            self.broken += 1
            self.verdicts = [*self.verdicts, verdict][:BROKEN_MAX]

    def merge(self, other: Tally) -> None:
        """Count what another process has counted."""
        self.schedules += other.schedules
        self.broken += other.broken
        self.happened.update(other.happened)
        self.verdicts = sorted([*self.verdicts, *other.verdicts], key=lambda verdict: verdict.seed)[:BROKEN_MAX]

    def summary(self) -> dict[str, Any]:
        """Return the counts with the same keys every time; places by name under each kind of fault."""
        kinds: dict[str, dict[str, int]] = {str(kind): {} for kind in Kind}
        for what, count in sorted(self.happened.items()):
            kind, at, place = what.partition(" at ")
            if at:
                kinds[kind][place] = count
        rare = ("fenced", "commits", "records", "confirmations", "gaps declared", "late records", "duplicates")
        others = ("faulty records", "with a commit in flight", "compared with no faults")
        counts = {name: self.happened[name] for name in (*rare, *others)}
        return {"schedules": self.schedules, "broken": self.broken, "faults": kinds, **counts}


def run_seeds(plants: Sequence[PlantMapping], first: int, end: int) -> Tally:
    """Run the schedules of these seeds over plants in plain words."""
    campaign, tally = Campaign(plants), Tally()
    for seed in range(first, end):
        tally.add(campaign.run(seed))
    return tally
