"""A series: one input read to its end by flows that are killed and restarted on the way, then the verdict.

The processes are one that runs all shards or two that share them; when both are dead the number is drawn
anew. One of two is restarted beside the other, or the other is killed too. When all input has been read the
clock is set on twice, each time with kills, so that every gap is declared and every confirmation closed.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from dataflows.cli.exit_codes import FENCED
from tests.torture import aim, flows, inputs, laws, outcome, stored
from tests.torture.process import Broken, Process, answer

STALL_S = 120
POLL_S = 0.0001
SETTINGS = """\
{landing}plants = {plants}
[log]
kind = "{log}"
{kafka}
[store]
publish_interval_s = 0.05
threads = 1
[pace]
commit_interval_s = 0.05
idle_wait_s = 0.01
settle_s = 0.0
batch_bytes = 8192
"""
KAFKA = """\
[kafka]
prefix = "{prefix}"
partitions = 2
state_partitions = 3
transaction_timeout_ms = 10000
[kafka.properties]
"bootstrap.servers" = "{servers}"
"queued.min.messages" = 100
"""


@dataclass(frozen=True)
class Kind:
    """What a series is about.

    Args: command: part of the processes that are started as the command ``plantsync run``.
        live: records arrive while the flows run. hasty: waits of milliseconds on the system's clock, so
        that time decides, and only the laws can be checked. kills: of one series.
    """

    name: str
    log: str
    source: str
    store: bool = False
    command: float = 0.0
    live: bool = False
    hasty: bool = False
    kills: int = 25

    @property
    def comparable(self):
        """Whether the outcome must be that of the uninterrupted run."""
        return not self.hasty and not (self.live and self.log == "kafka")

    @property
    def by_the_clock(self):
        """Whether records are read on the system's clock, which a command cannot be told."""
        return self.hasty or self.command > 0


@dataclass
class Result:
    """What became of a series: kills by (log, flow, processes, how started, place), and what was wrong."""

    kills: Counter = field(default_factory=Counter)
    restarts: int = 0
    takeovers: int = 0  # of a process that still ran, by others that were started for its shards
    fenced: int = 0  # of these, those that noticed and stopped; others had just ended, or were idle
    first_commits_s: list = field(default_factory=list)  # (log, flow, how started, seconds), of runs after a kill
    records: int = 0
    seconds: float = 0.0
    problems: list = field(default_factory=list)


@dataclass
class Run:
    """A flow's process, how it was started and when it is to be killed, if it is."""

    flow: str
    how: str
    process: Process
    aim: aim.Aim | None
    again: bool
    watcher: Process | None = None


class Series:
    """One series in a folder of its own; ``kills_max`` is how many processes it may kill."""

    def __init__(self, kind, seed, folder, source, times, *, servers="", kills_max=0, mutant=None):
        self.kind, self.folder, self.source, self.times = kind, folder, source, times
        self.servers, self.kills_left, self.mutant = servers, kills_max, mutant
        self.prefix = f"{folder.name}-{time.time_ns()}."
        self.settings, self.landing = folder / "plantsync.toml", folder / "landing"
        self.rng, self.result = random.Random(seed), Result()
        self.analytics = None
        self.learned = {
            ("confirmations", "forked"): aim.Learned(*((0.6, 0.02) if kind.log == "kafka" else (0.1, 0.01))),
            ("confirmations", "command"): aim.Learned(*((2.5, 0.02) if kind.log == "kafka" else (2.0, 0.01))),
            ("analytics", "forked"): aim.Learned(0.2, 0.02),
            ("analytics", "command"): aim.Learned(2.0, 0.05),
        }

    def run(self):
        """Run it all. Returns: the Result, without a verdict on the outcome."""
        began = time.monotonic()
        self.folder.mkdir(parents=True)
        self._set_up()
        try:
            now_us = None if self.kind.by_the_clock else self.times.now_us
            if self.kind.live:
                self._drive(now_us, while_arriving=self._arriving())
            self._drive(now_us)
            for later_us in self.times.settling_us:
                self._drive(later_us, kills_max=2, commands=False)
            self._fill_store()
        except Broken as broken:
            self.result.problems.append(str(broken))
        self.result.seconds = time.monotonic() - began
        return self.result

    # -- the outcome, each in a process of its own ---------------------------------------------------

    def outcome(self):
        """Return what is committed."""
        if self.kind.log == "kafka":
            return outcome.of_kafka(self.servers, self.prefix)
        return outcome.of_sqlite(self.folder / "state" / "plantsync.db")

    def judge(self, expected=None):
        """Return (records read, problems); ``expected`` is the outcome of the uninterrupted run."""
        found = self.outcome()
        problems = laws.broken(found, self.source)
        if expected is not None and self.kind.comparable:
            problems += outcome.differences(expected, found, timeless=self.kind.by_the_clock)
        if self.kind.store:
            topic = f"{self.prefix}{{}}" if self.kind.log == "kafka" else "{}"
            problems += stored.differences(self.folder / "analytics.duckdb", found, topic)
        return sum(entry["read"] for entry in found.ledger().values()), problems

    # -- the input -----------------------------------------------------------------------------------

    def _set_up(self):
        """Write the settings and, unless it arrives later, bring in the input."""
        kafka = self.kind.log == "kafka"
        if kafka and self.kind.live:
            self.source = inputs.at_topics(self.source, f"in-{self.prefix}")
            answer(inputs.create, self.source, self.servers)
        plants = self.source.mappings(self.folder, inputs.HASTY if self.kind.hasty else inputs.WAITS)
        self.settings.write_text(
            SETTINGS.format(
                landing="" if kafka else 'landing = "landing"\n',
                plants=plants,
                log=self.kind.log,
                kafka=KAFKA.format(prefix=self.prefix, servers=self.servers) if kafka else "",
            )
        )
        if not kafka:
            self.landing.mkdir()
            if not self.kind.live:
                self.source.land(self.landing)

    def _arriving(self):
        def arrive(_page):
            if self.kind.log == "kafka":
                inputs.produce(self.source, self.servers, pause_s=0.01)
            else:
                self.source.land(self.landing, pause_s=0.02)

        return Process("the plants", self.folder / "plants.txt", arrive)

    # -- the flows -----------------------------------------------------------------------------------

    def _drive(self, now_us, *, kills_max=1_000_000, commands=True, while_arriving=None):
        """Run the flow, killed and restarted, until all its shares have ended by themselves.

        ``while_arriving``: the process that brings the input; until it ends the flow is a service, and
        then all processes are killed.
        """
        keep = max(self.kills_left - kills_max, 0)
        deadline_s = time.monotonic() + STALL_S
        runs, ended, ousted, count = {}, set(), [], 0

        def start(index):
            options = {"now_us": now_us, "until_end": while_arriving is None}
            how = "command" if commands and self.rng.random() < self.kind.command else "forked"
            runs[index] = self._start("confirmations", how, (index, count), keep, **options)

        while not count or len(ended) < count:
            if time.monotonic() > deadline_s:
                raise Broken(f"not at the end after {STALL_S} s")
            if while_arriving is not None and while_arriving.ended():
                break
            if not runs:  # nothing lives: any number of processes may go on
                count, ended = self.rng.choice((1, 2)), set()
                for index in range(count):
                    start(index)
            for index, run in list(runs.items()):
                if run.process.ended():
                    self._forget(run)
                    del runs[index]
                    ended.add(index)
                elif run.aim and self.kills_left > keep and run.aim.due(run.process.page):
                    del runs[index]
                    if not self._kill(run, count):
                        ended.add(index)
                    elif runs and (chance := self.rng.random()) < 0.7:
                        (other,) = runs.values()
                        runs.clear()  # The shards of both go to whoever comes next.
                        if chance < 0.4 and self.kills_left > keep:
                            self._kill(other, count)
                        else:
                            self.result.takeovers += 1
                            ousted.append(other)
                    elif runs:
                        start(index)
                    break
            for run in [run for run in ousted if run.process.ended(instead=FENCED)]:
                ousted.remove(run)
                self._forget(run)
                self.result.fenced += run.process.code == FENCED
            self._tend_analytics(keep)
            if not any(run.aim and run.aim.near for run in runs.values()):
                time.sleep(POLL_S)
        for run in (*runs.values(), *ousted):
            self._kill(run, count)

    def _start(self, flow, how, share, keep, **options):
        if how == "command":
            kinds, run = aim.OF_A_COMMAND, flows.command(self.settings, flow, share, until_end=options["until_end"])
        else:
            kinds = aim.OF_ANALYTICS if flow == "analytics" else aim.KINDS
            rows_max = self.rng.choice((1, 20, 20, 100, 400))
            run = flows.forked(self.settings, flow, share, rows_max=rows_max, mutant=self.mutant, **options)
        aimed = aim.Aim(self.rng, self.learned[flow, how], kinds) if self.kills_left > keep else None
        again = any(killed[1] == flow for killed in self.result.kills)
        self.result.restarts += again
        process = Process(f"{flow} {share[0]}/{share[1]}", self.folder / f"{flow}-{share[0]}-{share[1]}.txt", run)
        watcher = self._watcher(flow, process.page) if how == "command" else None
        return Run(flow, how, process, aimed, again, watcher)

    def _watcher(self, flow, page):
        if flow == "analytics":
            watch = flows.watch_store(self.folder / "analytics.duckdb", page)
        elif self.kind.log == "kafka":
            watch = flows.watch_kafka(self.servers, self.prefix, page)
        else:
            watch = flows.watch_sqlite(self.folder / "state" / "plantsync.db", page)
        return Process("watcher", self.folder / "watcher.txt", watch)

    def _kill(self, run, count):
        """Kill the run. Returns: whether it lived until then; only that counts."""
        place = run.process.kill()
        self._forget(run)
        if place is None:
            return False
        self.result.kills[self.kind.log, run.flow, count, run.how, place.name] += 1
        self.kills_left -= 1
        return True

    def _forget(self, run):
        if run.watcher:
            run.watcher.kill()
        page = run.process.page
        self.learned[run.flow, run.how].from_page(page)
        if run.again and page.first_commit_s is not None:
            self.result.first_commits_s.append((self.kind.log, run.flow, run.how, page.first_commit_s))

    def _tend_analytics(self, keep, *, until_end=False):
        """Start the flow that fills the store once there is a log, and kill it now and then. Returns: if it ended."""
        if not self.kind.store:
            return True
        if self.analytics is None:
            if self.kind.log == "kafka" or (self.folder / "state" / "plantsync.db").exists():
                how = "command" if self.rng.random() < self.kind.command else "forked"
                self.analytics = self._start("analytics", how, (0, 1), keep, until_end=until_end)
        elif self.analytics.process.ended():
            self._forget(self.analytics)
            return True
        elif self.kills_left > keep and self.analytics.aim and self.analytics.aim.due(self.analytics.process.page):
            self._kill(self.analytics, 1)
            self.analytics = None
        return False

    def _fill_store(self):
        """Kill the analytics flow once more, and run it to the end."""
        if self.analytics is not None:
            self._kill(self.analytics, 1)
            self.analytics = None
        deadline_s = time.monotonic() + STALL_S
        while not self._tend_analytics(0, until_end=True):
            if time.monotonic() > deadline_s:
                raise Broken(f"the store is not filled after {STALL_S} s")
            time.sleep(POLL_S)
