"""The demonstration: plants drop files, flows run as processes, one is killed, and the store is checked.

The main job at full length in embedded mode: files, ``confirmations``, SQLite, ``analytics``, DuckDB.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from dataflows.analytics import NAME as ANALYTICS
from dataflows.confirmations import NAME as CONFIRMATIONS
from dataflows.demo.configuration import configure
from dataflows.demo.flow_process import FlowProcess
from dataflows.demo.folder import DemoFolder
from dataflows.demo.replay import Replay
from dataflows.demo.report import Kill, Report, read_outcome
from dataflows.demo.tally import Tally
from dataflows.simulator import FolderWriter, SimulationConfig
from sinks.commit_log import PlantsyncError

POLL_S: Final = 0.1
PATIENCE_S: Final = 30.0
"""No commit for so long means that none will come."""
QUERIES: Final = (
    "SELECT plant, source, read, late, duplicates, faults, balanced FROM conservation ORDER BY ALL",
    "SELECT reason, scrap, share FROM scrap_by_reason WHERE plant = 'A' AND unit = 'H87' ORDER BY scrap DESC",
    "SELECT order_id, operation, material, good, scrap FROM order_progress ORDER BY good DESC LIMIT 10",
)


class DemoStalled(PlantsyncError):
    """The flows run and nothing happens any more."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the demonstration has come: ``done`` of ``whole`` records are committed."""

    text: str
    done: int = 0
    whole: int = 0


Watch = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One run of the demo.

    Args:
        folder: where everything is written.
        config: what to simulate.
        replay_s: seconds in which the simulated hours pass.
        environment: of the flows' processes.
        program: how the reader calls plantsync, for the queries shown.
        watch: told of every stage and, several times a second, of progress.
    """

    folder: DemoFolder
    config: SimulationConfig
    replay_s: float
    environment: Mapping[str, str]
    program: str
    watch: Watch

    def run(self) -> Report:
        """Run it and return the report.

        Raises: DemoFolderRefused, FlowDied, DemoStalled where nothing begins; StoreUnavailable.
        """
        began_s = time.monotonic()
        with self.folder.claimed():
            self.folder.output.mkdir()
            configure(self.folder)
            self.watch(Stage(f"simulating {self.config.hours} hours of plants {', '.join(self.config.plants)}"))
            replay = Replay(self.config)
            replay.truth.save(self.folder.truth)
            with self._tally() as tally:
                kill = self._flows(replay, tally)
            self.watch(Stage("comparing the store with the truth"))
            outcome = read_outcome(self.folder.published, replay.truth)
        return Report(
            outcome=outcome,
            kill=kill,
            seconds=round(time.monotonic() - began_s, 1),
            cpu_seconds=round(_cpu_s(), 1),
            settings=self.folder.settings,
            store=self.folder.published,
            queries=tuple(f'{self.program} query -c {self.folder.settings} "{query}"' for query in QUERIES),
        )

    @contextmanager
    def _tally(self) -> Iterator[Tally]:
        tally = Tally(self.folder.log)
        try:
            yield tally
        finally:
            tally.close()

    def _flows(self, replay: Replay, tally: Tally) -> Kill:
        """Run the flows while the plants drop their files; return when all is confirmed and stored."""
        whole = replay.records_to_read()
        half = replay.hours // 2
        hours = enumerate(replay.hourly(FolderWriter(self.folder.landing)), 1)
        with self._started(CONFIRMATIONS) as first:
            self._until(tally, first, self.folder.log.exists)
            with self._started(ANALYTICS) as analytics:
                self._drop(hours, half, tally, whole, first)
                self._until(tally, first, lambda: tally.total("read") > 0)
                signal = first.kill()
                tally.update()
                committed = tally.total("read")
                self.watch(
                    Stage(f"confirmations killed (kill -9 {first.pid}) after {committed:,} records", committed, whole)
                )
                with self._started(CONFIRMATIONS) as second:
                    self.watch(Stage(f"confirmations restarted as process {second.pid}", committed, whole))
                    self._drop(hours, replay.hours, tally, whole, second)
                    self.watch(
                        Stage("the plants are silent: waiting for the last confirmations to close", committed, whole)
                    )
                    try:
                        self._until(tally, second, lambda: tally.settled(whole), whole)
                    except DemoStalled as stalled:  # The report tells what is missing.
                        self.watch(Stage(str(stalled), tally.total("read"), whole))
                    second.stop()
                analytics.stop()
        self.watch(Stage("analytics restarted, until it has read everything", whole, whole))
        with self._started(ANALYTICS, "--until-end") as last:
            last.ended()
        return Kill(pid=first.pid, signal=signal, committed=committed, restarted_pid=second.pid)

    def _started(self, flow: str, *options: str) -> FlowProcess:
        output = self.folder.output / f"{flow}.txt"
        return FlowProcess(flow, self.folder.settings, output, self.environment, options)

    def _drop(self, hours: Iterator[tuple[int, str]], until: int, tally: Tally, whole: int, flow: FlowProcess) -> None:
        """Let the plants drop their files at the pace of the replay, up to an hour."""
        pause_s = self.replay_s / self.config.hours
        for number, hour in hours:
            flow.alive()
            tally.update()
            self.watch(
                Stage(f"plants drop their files of {hour[:4]}-{hour[4:6]}-{hour[6:8]}", tally.total("read"), whole)
            )
            if number == until:
                return
            time.sleep(pause_s)

    def _until(self, tally: Tally, flow: FlowProcess, reached: Callable[[], bool], whole: int = 0) -> None:
        """Wait. Raises: FlowDied; DemoStalled when nothing has been committed for ``PATIENCE_S``."""
        seen, since_s = (-1, -1), time.monotonic()
        while not reached():
            flow.alive()
            tally.update()
            now = (tally.total("read"), tally.confirmations)
            if now != seen:
                seen, since_s = now, time.monotonic()
                self.watch(Stage("", tally.total("read"), whole))
            if time.monotonic() - since_s > PATIENCE_S:
                raise DemoStalled(
                    f"nothing was committed for {PATIENCE_S:.0f} s: {now[0]:,} records read, "
                    f"{tally.total('held'):,} held, {tally.confirmed_events:,} of {tally.total('accounted'):,} events "
                    f"confirmed; see {self.folder.output}"
                )
            time.sleep(POLL_S)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
