"""The demonstration: plants drop files and publish messages, flows run as processes, some are killed, all is checked.

The main job at full length in embedded mode: files, and messages by way of ``collect``, ``confirmations``, SQLite; from
there ``analytics`` to DuckDB, and ``postings`` and ``delivery`` to ERPs that fail on the way.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataflows.demo.broker import Broker
from dataflows.demo.configuration import configure
from dataflows.demo.edge_nodes import EdgeNodes
from dataflows.demo.erp_report import ErpOutcome, read_erps
from dataflows.demo.erps import Erps, prepare
from dataflows.demo.flows import Flows
from dataflows.demo.folder import DemoFolder
from dataflows.demo.log_follower import LogFollower
from dataflows.demo.paperwork import Paperwork
from dataflows.demo.plants import Plants
from dataflows.demo.replay import Replay
from dataflows.demo.report import Kill, Outcome, Report, read_outcome
from dataflows.demo.tally import Tally
from dataflows.flow_names import ANALYTICS, COLLECT, CONFIRMATIONS, DELIVERY, POSTINGS
from dataflows.simulator import FolderWriter, SimulationConfig
from dataflows.simulator.plant_p import host_away
from dataflows.spool import shard_of
from sinks.commit_log import PlantsyncError

POLL_S: Final = 0.1
PATIENCE_S: Final = 60.0
"""Nothing new for so long means that nothing will come."""
QUERIES: Final = (
    "SELECT plant, source, read, late, duplicates, faults, balanced FROM conservation ORDER BY ALL",
    "SELECT reason, scrap, share FROM scrap_by_reason WHERE plant = 'A' AND unit = 'H87' ORDER BY scrap DESC",
    "SELECT order_id, operation, material, good, scrap FROM order_progress ORDER BY good DESC LIMIT 10",
)


COLLECTOR: Final = "plant-p"
LEFT_OUT: Final = "plant P is left out: no MQTT broker is installed (bin/debian mosquitto)"


class DemoStalled(PlantsyncError):
    """The flows run and nothing happens any more."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the demonstration has come: ``done`` of ``whole`` records are committed, ``documents`` are made."""

    text: str
    done: int = 0
    whole: int = 0
    documents: int = 0


Watch = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One run of the demo.

    Args:
        folder: where everything is written.
        config: what to simulate.
        replay_s: seconds in which the simulated hours pass.
        environment: of the processes.
        mosquitto: the MQTT broker's program, where the plants include one that is collected.
        program: how the reader calls plantsync, for the commands shown.
        watch: told of every stage and, several times a second, of progress.
    """

    folder: DemoFolder
    config: SimulationConfig
    replay_s: float
    environment: Mapping[str, str]
    mosquitto: Path | None
    program: str
    watch: Watch

    def run(self) -> Report:
        """Run it and return the report.

        Raises: DemoFolderRefused; ServiceDied, ErpsSilent, DemoStalled where nothing begins; StoreUnavailable.
        """
        began_s = time.monotonic()
        with self.folder.claimed():
            self.folder.output.mkdir()
            closed = prepare(self.folder, self.config)
            with ExitStack() as started:
                erps = started.enter_context(Erps(self.folder, self.environment))
                edges = None
                if self.mosquitto is not None:
                    broker = started.enter_context(Broker(self.mosquitto, self.folder, self.environment))
                    edges = started.enter_context(closing(EdgeNodes(broker.ready())))
                configure(self.folder, self.config.plants, erps.ready(), None if edges is None else edges.port)
                with Flows(self.folder, self.environment) as flows:
                    outcome, booked, kills = self._shown(erps, flows, edges, closed)
                erps.stop()
        settings = self.folder.settings
        return Report(
            outcome=outcome,
            erps=booked,
            kill=kills[CONFIRMATIONS],
            delivery_kill=kills[DELIVERY],
            collect_kill=kills.get(COLLECT),
            seconds=round(time.monotonic() - began_s, 1),
            cpu_seconds=round(_cpu_s(), 1),
            settings=settings,
            store=self.folder.published,
            queries=tuple(f'{self.program} query -c {settings} "{query}"' for query in QUERIES),
            commands=tuple(f"{self.program} {command} -c {settings}" for command in _commands(booked)),
        )

    def _shown(
        self, erps: Erps, flows: Flows, edges: EdgeNodes | None, closed: str
    ) -> tuple[Outcome, ErpOutcome, dict[str, Kill]]:
        """Let everything happen; return what store and ERPs say, and how flows were killed."""
        for flow in (CONFIRMATIONS, POSTINGS, DELIVERY) + ((COLLECT,) if edges else ()):
            flows.start(flow)
        if edges is None:
            self.watch(Stage(LEFT_OUT))
        self.watch(Stage(f"simulating {self.config.hours} hours of plants {', '.join(self.config.plants)}"))
        replay = Replay(self.config)
        replay.truth.save(self.folder.truth)
        with closing(Tally(self.folder.log)) as tally, closing(Paperwork(self.folder.log)) as paperwork:
            kills = _Run(self, flows, edges, replay, tally, paperwork, closed).through()
            self.watch(Stage("comparing the store and the ERPs with the truth"))
            outcome = read_outcome(self.folder.published, replay.truth)
            return outcome, read_erps(erps, paperwork, replay.truth, closed), kills


@dataclass(frozen=True, slots=True)
class _Run:
    """The days of the plants, and what the flows make of them."""

    demo: Demonstration
    flows: Flows
    edges: EdgeNodes | None
    replay: Replay
    tally: Tally
    paperwork: Paperwork
    closed: str

    def through(self) -> dict[str, Kill]:
        """Let the plants send what they have; return when all is confirmed, stored and delivered."""
        kills: dict[str, Kill] = {}
        hours = enumerate(self.replay.hourly(Plants(FolderWriter(self.demo.folder.landing), self.edges)), 1)
        self._until(self.demo.folder.log.exists)
        self.flows.start(ANALYTICS)
        if self.edges is not None:
            self._drop(hours, self.replay.hours_before(host_away(self.demo.config)[0]))
            kills[COLLECT] = self._host_killed(self.edges)
        self._drop(hours, self.replay.hours // 2)
        self._until(lambda: self.tally.total("read") > 0)
        kills[CONFIRMATIONS] = self._kill(CONFIRMATIONS, "records", lambda: self.tally.total("read"))
        self._drop(hours, self.replay.hours * 3 // 4)
        self._until(lambda: self.paperwork.documents > 0)
        kills[DELIVERY] = self._kill(DELIVERY, "documents", lambda: self.paperwork.documents)
        self._drop(hours, self.replay.hours)
        self._tell("the plants are silent: waiting for the last confirmations to close")
        self._settled(lambda: self.tally.settled(self._whole))
        if self.edges is not None:
            self.flows.stop(COLLECT)
        self.flows.stop(CONFIRMATIONS)
        self.flows.stop(ANALYTICS)
        self._tell("all is confirmed: waiting for the last documents")
        last = self.flows.start(ANALYTICS, "--until-end")
        del self.flows.running[ANALYTICS]  # It ends by itself.
        self._settled(lambda: self.paperwork.settled(self.closed))
        last.ended()
        self.flows.stop(POSTINGS)
        self.flows.stop(DELIVERY)
        return kills

    def _host_killed(self, edges: EdgeNodes) -> Kill:
        """Kill the flow that edge nodes have as their primary host, when it has heard all that they have said."""
        with closing(LogFollower(self.demo.folder.spool)) as spool:
            heard = 0

            def kept() -> bool:
                nonlocal heard
                heard += len(spool.new(shard_of(COLLECTOR)))
                return edges.silent and heard >= edges.said

            self._until(kept)
        return self._kill(COLLECT, "messages", lambda: heard, edges.host_gone)

    @property
    def _whole(self) -> int:
        return self.replay.records_to_read()

    def _kill(
        self, flow: str, what: str, counted: Callable[[], int], noticed: Callable[[], None] | None = None
    ) -> Kill:
        """Kill a flow and, when those who must have noticed it, start it again."""
        killed = self.flows.running[flow]
        signal = killed.kill()
        if noticed is not None:
            noticed()
        self._update()
        committed = counted()
        self._tell(f"{flow} killed (kill -9 {killed.pid}) after {committed:,} {what}")
        again = self.flows.start(flow)
        self._tell(f"{flow} restarted as process {again.pid}")
        return Kill(flow=flow, pid=killed.pid, signal=signal, committed=committed, restarted_pid=again.pid)

    def _drop(self, hours: Iterator[tuple[int, str]], until: int) -> None:
        """Let the plants drop their files at the pace of the replay, up to an hour."""
        pause_s = self.demo.replay_s / self.demo.config.hours
        for number, hour in hours:
            self.flows.alive()
            self._update()
            self._tell(f"plants drop their files of {hour[:4]}-{hour[4:6]}-{hour[6:8]}")
            if number == until:
                return
            time.sleep(pause_s)

    def _settled(self, reached: Callable[[], bool]) -> None:
        """Wait; where nothing comes any more the report tells what is missing."""
        try:
            self._until(reached)
        except DemoStalled as stalled:
            self._tell(str(stalled))

    def _until(self, reached: Callable[[], bool]) -> None:
        """Wait. Raises: ServiceDied; DemoStalled when nothing has been committed for ``PATIENCE_S``."""
        seen: object = None
        since_s = time.monotonic()
        while not reached():
            self.flows.alive()
            self._update()
            now = (self.tally.total("read"), self.tally.confirmations, self.paperwork.documents)
            if now != seen:
                seen, since_s = now, time.monotonic()
                self._tell("")
            if time.monotonic() - since_s > PATIENCE_S:
                raise DemoStalled(
                    f"nothing was committed for {PATIENCE_S:.0f} s: {now[0]:,} records read, "
                    f"{self.tally.total('held'):,} held, {self.tally.confirmed_events:,} of "
                    f"{self.tally.total('accounted'):,} events confirmed, {self.paperwork.documents:,} documents made, "
                    f"{self.paperwork.pending:,} pending; see {self.demo.folder.output}"
                )
            time.sleep(POLL_S)

    def _update(self) -> None:
        if self.edges is not None:
            self.edges.work()
        self.tally.update()
        self.paperwork.update()

    def _tell(self, text: str) -> None:
        self.demo.watch(Stage(text, self.tally.total("read"), self._whole, self.paperwork.documents))


def _commands(erps: ErpOutcome) -> Iterator[str]:
    """Yield what a reader may type next: about what waits, about one of it, and about a document."""
    yield "exceptions list"
    closed = next((each for each in erps.exceptions if each.code == "ORDER_CLOSED"), None)
    if closed is not None:
        yield f"exceptions show {closed.example[:8]}"
    if erps.found:
        yield f"explain {erps.found[0].document} --plant {erps.found[0].plant}"
    yield "audit"


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
