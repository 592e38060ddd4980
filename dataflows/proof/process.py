"""One process of the flow: what ``dataflows.runtime`` does around the engine, one step at a time.

Source, guards, stages and sink are the real ones; the engine between them is a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from dataflows.commit_sink import CommitSink
from dataflows.confirmations import writing
from dataflows.guard import Failure, GuardedLog, GuardedReader
from dataflows.in_flight import at_once
from dataflows.outage import PatientReader, wait_after
from dataflows.progress import Progress
from dataflows.proof.faults import Crash, Place
from dataflows.proof.stepped_flight import SteppedFlight
from dataflows.sources.shard_source import Pace, ShardInput, ShardSource
from dataflows.stage import Build, Keyed, Stage
from sinks.commit_log import CommitInDoubt, CommitLog, PlantsyncError

if TYPE_CHECKING:
    from dataflows.proof.dice import Dice
    from dataflows.proof.partition import Surroundings
    from dataflows.sources.reader import Reader


class Process:
    """A process that runs some shards, again after every error that may pass; dead or ended in the end.

    Args:
        number: its name in the trace.
        shards: its share.
        log: opens its writer.
        wait_unit_us: what a second of waiting amounts to in the workload.
        flight: makes what commits are on their way in; None where the process waits for each.
    """

    def __init__(
        self,
        number: int,
        shards: Mapping[str, ShardInput],
        log: Callable[[], CommitLog],
        stages: Sequence[Build],
        pace: Pace,
        around: Surroundings,
        dice: Dice,
        wait_unit_us: int,
        flight: Callable[[], SteppedFlight] | None,
    ) -> None:
        self.number: Final = number
        self.shards: Final = shards
        self.alive = True
        self.paused = False
        self.stopping = False
        self.ended_by: PlantsyncError | None = None
        self.due_us = around.now_us
        self._log, self._stages, self._pace = log, stages, pace
        self._around, self._dice, self._wait_unit_us = around, dice, wait_unit_us
        self._flight, self._flown = flight, SteppedFlight(around)
        self._progress = Progress()
        self._failures = self._commits = 0
        self._parts: dict[str, Any] = {}
        self._run: list[Stage] = []
        self._sink: Any = None
        self._failure = Failure(Event())
        self._stop = Event()

    @property
    def running(self) -> bool:
        """Whether it reads: nothing has failed, and it has not been told to stop."""
        return bool(self._parts) and self._failure.error is None and not self.stopping

    @property
    def committing(self) -> bool:
        """Whether a commit is on its way."""
        return bool(self._flown.flying)

    def stop(self) -> None:
        """End after a last commit."""
        self.stopping = True
        self._stop.set()

    def step(self, *, every_shard: bool = False) -> None:
        """Do the next thing: open, or take a batch of one shard through the flow, or of every shard."""
        try:
            if not self._parts:
                self._open()
                return
            for name in self._flown.flying:
                if self._dice.falls(0.3):
                    self._flown.land(name)
            names = list(self._parts)
            for name in names if every_shard else (self._dice.pick(names),):
                self._take(name)
            if every_shard or not self._parts:
                self._flown.settle()
            if not self._parts:
                self._end()
        except Crash:
            self.alive = False

    def _open(self) -> None:
        if self.stopping:
            self.alive = False
            return
        self._commits = self._progress.commits
        self._stop = Event()
        self._failure = failure = Failure(self._stop)
        log = GuardedLog(self._log(), failure, self._progress, self._clock)
        shards = {
            name: replace(source, open=partial(self._reader, name, source)) for name, source in self.shards.items()
        }
        source = ShardSource(shards, log.restore, self._pace, self._clock, self._stop)
        self._run = [Stage(build, self._clock) for build in self._stages]
        begin = at_once
        if self._flight is not None:
            self._flown = self._flight()
            begin = self._flown.begin
        self._sink = CommitSink(writing(log), clock=self._clock, begin=begin).build("commit", 0, 1)
        self._parts = {name: source.build_part("raw", name, None) for name in source.list_parts()}

    def _reader(self, name: str, source: ShardInput) -> Reader:
        patient = replace(source, open=lambda: PatientReader(name, source.open, self._clock, self._dice.unit))
        return GuardedReader(name, patient, self._failure, self._progress, self._clock)

    def _take(self, name: str) -> None:
        part = self._parts[name]
        try:
            items: list[Keyed] = part.next_batch()
        except StopIteration:
            self._parts.pop(name).close()
            return
        self._around.pass_by(Place.STEP)
        for stage in self._run:
            items = [out for item in items for out in stage(item)]
        self._sink.write_batch(items)

    def _end(self) -> None:
        """Go on after an error that may pass, as ``run_flow`` does; end after any other, or when told to."""
        error = self._failure.error
        if error is not None and (error.retryable or isinstance(error, CommitInDoubt)):
            self._failures = 1 if self._progress.commits > self._commits else self._failures + 1
            wait_s = wait_after(self._failures, self._dice.unit())
            self.due_us = self._clock() + round(wait_s * self._wait_unit_us)
            return
        self.alive = False
        self.ended_by = error

    def _clock(self) -> int:
        return self._around.now_us
