"""The world of one schedule: a clock, processes that take turns, and what goes wrong when."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from dataflows.proof.dice import Dice
from dataflows.proof.faults import COMMITTING, LOG, RESTORING, SOURCE, Crash, Fault, Kind, Place, Plan
from dataflows.proof.laws import BrokenLaw, Law, hold
from dataflows.proof.partition import Partition, Surroundings
from dataflows.proof.process import Process
from dataflows.proof.stepped_flight import SteppedFlight
from dataflows.proof.stepped_log import Published, SteppedLog, Store
from dataflows.proof.workload import Workload
from dataflows.shards import Share
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.shard_source import Pace, ShardInput
from dataflows.stage import Build
from sinks.commit_log import CommitInDoubt, CommitLog, CommitLogUnavailable, WriterFenced

STEPS_MAX: Final = 3_000
"""Steps until everything must have been read; a schedule takes about fifty."""
QUIET: Final = 2
"""Rounds of the drain without a commit after which nothing more comes: what the first finds due, the second commits."""

OpenLog = Callable[[Store, Surroundings], CommitLog]
OpenFlight = Callable[[Surroundings], SteppedFlight]


class World:
    """Runs one schedule over a workload.

    After ``run`` the ``store`` holds what was committed, ``met`` counts places passed, ``happened``
    faults and their consequences, and ``trace`` tells them in order.

    Args:
        plan: what goes wrong; empty for the uninterrupted run.
        before: commits of an earlier run, at the last of which all its processes have died.
        stages, open_log, open_flight: the real ones, or broken ones to see the laws notice.
    """

    def __init__(
        self,
        workload: Workload,
        dice: Dice,
        plan: Plan,
        stages: Sequence[Build],
        open_log: OpenLog = SteppedLog,
        before: Sequence[Published] = (),
        open_flight: OpenFlight = SteppedFlight,
    ) -> None:
        self.store = Store()
        self.now_us = workload.start_us
        for published in before:
            self.store.show(published)
            self.now_us = published.at_us
        self.read_by_us = workload.start_us
        self.met: Counter[Place] = Counter()
        self.happened: Counter[str] = Counter()
        self.trace: list[str] = []
        self._workload, self._dice, self._plan = workload, dice, plan
        self._stages, self._open_log = stages, open_log
        unit_us = workload.unit_us
        self._pace = Pace(
            commit_interval_us=dice.between(3, 7) * unit_us,
            urgent_interval_us=unit_us,
            commit_rows_max=dice.pick((15, 40, 1_000_000)),
            vocabulary_max=dice.pick((1, 30, 1_000_000, 1_000_000)),
            vocabulary_session_max=0,
        )
        rows_max = dice.between(15, 60)
        # As on SQLite, where a flow waits for each commit, or as on Kafka, where it works on.
        self._flight = partial(open_flight, self) if dice.falls(0.7) else None
        self._shards: Final = {
            name: ShardInput(partial(Partition, name, log, self, rows_max), workload.mapping)
            for name, log in workload.shards.items()
        }
        self._processes: list[Process] = []
        self._turns: list[Process] = []
        self._started = 0
        self._source_back_us = self._log_back_us = 0

    # -- the schedule ----------------------------------------------------------------------------

    def run(self) -> None:
        """Read and commit everything, then let time pass until nothing waits any more. Raises: BrokenLaw."""
        try:
            self._start(self._dice.between(1, 3) if self._plan else 1)
            for _ in range(STEPS_MAX):
                if self._all_read():
                    break
                self._step()
            hold(Law.PROGRESS, self._all_read(), "every shard read to its end", self._positions())
            self.read_by_us = self.now_us
            self._drain()
        except BrokenLaw:
            raise
        except Exception as defect:
            raise BrokenLaw(
                Law.SOUNDNESS, "no exception that is not an operating error", traceback.format_exc()
            ) from defect

    def _step(self) -> None:
        self.now_us += self._dice.below(3 * self._workload.unit_us)
        turn = [p for p in self._processes if not p.paused]
        ready = [p for p in turn if p.due_us <= self.now_us]
        if ready:
            self._turn(self._dice.pick(ready))
        elif turn:
            self.now_us = min(p.due_us for p in turn)

    def _drain(self) -> None:
        quiet = 0
        for _ in range(STEPS_MAX):
            seen = len(self.store.history)
            running = [p for p in self._processes if p.running]
            self.now_us += 2 * self._workload.longest_us + self._pace.commit_interval_us
            for process in list(self._processes):
                if process.alive:
                    self._turn(process, every_shard=True)
            # Whoever began to read only now has still to find out what is due.
            settled = running == self._processes and all(p.running for p in running)
            quiet = quiet + 1 if settled and len(self.store.history) == seen else 0
            if quiet == QUIET:
                return
        raise BrokenLaw(Law.PROGRESS, "silence after the last record", f"commits for ever; {self._positions()}")

    def _turn(self, process: Process, *, every_shard: bool = False) -> None:
        self._turns.append(process)
        try:
            process.step(every_shard=every_shard)
        finally:
            self._turns.pop()
        if not process.alive:
            self._gone(process)

    # -- processes -------------------------------------------------------------------------------

    def _start(self, count: int) -> None:
        """Start so many processes, each with its share."""
        for index in range(count):
            self._add(Share(index, count).of(self._shards))

    def _add(self, shards: Mapping[str, ShardInput]) -> Process | None:
        if not shards:
            return None
        self._started += 1
        opened = partial(self._open_log, self.store, self)
        process = Process(
            self._started,
            shards,
            opened,
            self._stages,
            self._pace,
            self,
            self._dice,
            self._workload.unit_us,
            self._flight,
        )
        self._processes.append(process)
        return process

    def _gone(self, process: Process) -> None:
        """Start another in the place of a process that is gone, for the shards that no other has."""
        self._processes.remove(process)
        if isinstance(process.ended_by, WriterFenced):
            self._note("fenced", f"process {process.number} is refused: another has its shards")
        elif process.ended_by is not None:
            raise BrokenLaw(Law.SOUNDNESS, "only errors that a fault explains", repr(process.ended_by))
        had = {name for p in self._processes if not p.stopping for name in p.shards}
        after = self._add({name: source for name, source in self._shards.items() if name not in had})
        if after is not None:
            after.due_us = self.now_us + self._dice.below(3 * self._workload.unit_us)

    # -- what goes wrong ---------------------------------------------------------------------------

    def pass_by(self, place: Place) -> None:
        """Let happen what is planned. Raises: Crash, SourceUnavailable, CommitLogUnavailable, CommitInDoubt.

        Some commits take a part of an interval, so that while there is more to read the next is put off.
        """
        self.met[place] += 1
        if place is Place.COMMIT:
            self.now_us += self.met[place] % 3 * 3 * self._workload.unit_us // 4
        fault = self._plan.get((place, self.met[place]))
        if fault is not None:
            self.happened[f"{fault.kind} at {place}"] += 1
            self.happened["with a commit in flight"] += self._turns[-1].committing
            self._note(fault.kind, f"process {self._turns[-1].number}: {fault.kind} at {place}, time {self.met[place]}")
            self._happen(place, fault)
        if place in SOURCE and self.now_us < self._source_back_us:
            raise SourceUnavailable("the source is away (simulated).")
        if place in RESTORING | COMMITTING and self.now_us < self._log_back_us:
            raise CommitLogUnavailable("the log is away (simulated)")

    def _happen(self, place: Place, fault: Fault) -> None:
        unit_us = self._workload.unit_us
        match fault.kind:
            case Kind.CRASH:
                raise Crash
            case Kind.DOUBT:
                raise CommitInDoubt("the answer was lost (simulated)")
            case Kind.SLOW:
                self.now_us += int(fault.size * 6 * unit_us)
            case Kind.UNAVAILABLE:
                back_us = self.now_us + 1 + int(fault.size * 6 * unit_us)
                if place in LOG:
                    self._log_back_us = back_us
                else:
                    self._source_back_us = back_us
            case Kind.PAUSE:
                self._pause(self._turns[-1], 3 + int(fault.size * 25))
            case Kind.RESCALE:
                self._rescale(1 + int(fault.size * 3))

    def _pause(self, process: Process, steps: int) -> None:
        """Let the process stand still right here, while another with its shards makes some steps."""
        process.paused = True
        self._add(process.shards)
        for _ in range(steps):
            self._step()
        process.paused = False
        if not process.alive:  # killed meanwhile
            raise Crash

    def _rescale(self, count: int) -> None:
        """End all processes, some in order, some not, and start another number of them at once."""
        now_in_turn = self._turns[-1]
        for process in list(self._processes):
            if self._dice.falls(0.5):
                process.stop()
            else:
                process.alive = False
                if process not in self._turns:
                    self._processes.remove(process)
        self._start(count)
        if not now_in_turn.alive:
            raise Crash

    # -- what is told --------------------------------------------------------------------------------

    def _all_read(self) -> bool:
        snapshots = self.store.snapshots
        return all(
            name in snapshots and snapshots[name].position == str(len(log))
            for name, log in self._workload.shards.items()
        )

    def _positions(self) -> str:
        snapshots = self.store.snapshots
        return ", ".join(
            f"{name} at {snapshots[name].position if name in snapshots else 'nothing'} of {len(log)}"
            for name, log in self._workload.shards.items()
        )

    def _note(self, what: str, sentence: str) -> None:
        self.happened[what] += 1
        self.trace.append(f"{(self.now_us - self._workload.start_us) / 1e6:12.3f} s  {sentence}")
