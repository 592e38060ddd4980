"""Schedules by seed: the same seed and plants give the same workload, the same faults, the same verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from canonical.mapping import PlantMapping
from dataflows.confirmations import STAGES
from dataflows.proof.audit import Audit, outcome
from dataflows.proof.dice import Dice
from dataflows.proof.faults import Fault, Place, Plan, kinds_at
from dataflows.proof.laws import BrokenLaw, Law
from dataflows.proof.stepped_flight import SteppedFlight
from dataflows.proof.stepped_log import Published, SteppedLog
from dataflows.proof.workload import Workload, workload
from dataflows.proof.world import OpenFlight, OpenLog, World
from dataflows.stage import Build

WORKLOAD_SEEDS: Final = 50
"""Seeds in a row that share a workload and its uninterrupted run."""

_PLACES: Final = tuple(Place)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a schedule: ``broken`` is None where every law holds."""

    seed: int
    plant: str
    calm: bool
    broken: BrokenLaw | None
    trace: list[str]
    happened: Counter[str]

    def __str__(self) -> str:
        said = f"seed {self.seed}, plant {self.plant}, {'calm' if self.calm else 'hurried'}: "
        said += str(self.broken) if self.broken else "every law holds"
        return "\n".join([said, "  what happened:", *(f"    {line}" for line in self.trace)])


@dataclass(frozen=True, slots=True)
class _Uninterrupted:
    """A workload, and what its run without faults came by, committed and amounts to.

    ``told`` is None where decisions were left to the clock.
    """

    workload: Workload
    met: Counter[Place]
    history: list[Published]
    told: dict[str, dict[str, Any]] | None
    broken: BrokenLaw | None = None


@dataclass(slots=True)
class Campaign:
    """Runs schedules over plants in plain words.

    Args: stages, open_log, open_flight: the real ones, or broken ones to see the laws notice.
    """

    plants: Sequence[PlantMapping]
    stages: Sequence[Build] = field(default_factory=lambda: tuple(STAGES.values()))
    open_log: OpenLog = SteppedLog
    open_flight: OpenFlight = SteppedFlight
    _known: tuple[int, _Uninterrupted] | None = None

    def run(self, seed: int) -> Verdict:
        """Run one schedule."""
        index = seed // WORKLOAD_SEEDS
        if self._known is None or self._known[0] != index:
            self._known = (index, self._uninterrupted(index))
        calm = self._known[1]
        work = calm.workload
        name = work.mapping.plant or work.mapping.title
        if calm.broken is not None:
            return Verdict(seed, name, work.calm, calm.broken, ["nothing: the uninterrupted run"], Counter())
        dice = Dice(seed, 2)
        # What comes before the first crash is the same as without it, so most schedules begin with a crash
        # at some commit of the uninterrupted run; it need not be computed again.
        begin = 0 if dice.falls(0.2) else dice.below(len(calm.history))
        plan = _plan(seed, calm.met, 1 - begin / len(calm.history), dice)
        world = World(work, dice, plan, self.stages, self.open_log, calm.history[:begin], self.open_flight)
        world.trace.append(f"all processes die after {begin} of {len(calm.history)} commits, and start again")
        try:
            world.run()
            met, broken = self._held(world, calm), None
        except BrokenLaw as error:
            met, broken = Counter[str](), error
        return Verdict(seed, name, work.calm, broken, world.trace, world.happened + met)

    def _uninterrupted(self, index: int) -> _Uninterrupted:
        dice = Dice(index, 1)
        plant = self.plants[index % len(self.plants)]
        work = workload(plant, dice, calm=(index // len(self.plants)) % 2 == 0)
        world = World(work, dice, {}, self.stages, self.open_log, (), self.open_flight)
        try:
            world.run()
            audit = Audit(work)
            audit.follow(world.store)
            audit.close()
        except BrokenLaw as error:
            return _Uninterrupted(work, world.met, [], None, error)
        told = outcome(world.store) if _undecided(world, work) else None
        return _Uninterrupted(work, world.met, world.store.history, told)

    def _held(self, world: World, calm: _Uninterrupted) -> Counter[str]:
        """Hold a schedule to the laws; return what it met. Raises: BrokenLaw."""
        audit = Audit(calm.workload)
        audit.follow(world.store)
        audit.close()
        met = audit.counts()
        met["commits"] = len(world.store.history)
        met["records"] = sum(map(len, calm.workload.shards.values()))
        if calm.told is not None and _undecided(world, calm.workload):
            met["compared with no faults"] = 1
            _same(calm.told, outcome(world.store))
        return met


def _undecided(world: World, work: Workload) -> bool:
    """Return whether no wait of the plant's can have ended while there was something to read."""
    return work.calm and world.read_by_us - work.start_us < work.wait_us


def _plan(seed: int, met: Counter[Place], left: float, dice: Dice) -> Plan:
    """Return what goes wrong in what is left of a run: one fault where the seed says, and up to three anywhere."""
    plan: Plan = {}
    for number in range(dice.between(1, 4)):
        place = _PLACES[seed % len(_PLACES)] if number == 0 else dice.pick(_PLACES)
        fault = Fault(dice.pick(kinds_at(place)), dice.unit())
        plan[place, dice.between(1, int(met[place] * left) + 1)] = fault
    return plan


def _same(expected: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]) -> None:
    """Compare with the uninterrupted run, source by source. Raises: BrokenLaw."""
    for source in sorted({*expected, *found}):
        one, other = expected.get(source, {}), found.get(source, {})
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                raise BrokenLaw(
                    Law.INDIFFERENCE,
                    f"source {source}, {key}: {one.get(key, 'nothing')}",
                    str(other.get(key, "nothing")),
                )
