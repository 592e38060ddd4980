"""A series: one input read to its end by flows that are killed and restarted on the way, then the verdict.

When all input has been read the clock is set on twice, each time with kills, so that every gap is declared
and every confirmation closed. A store is filled meanwhile, by a flow that is killed as well.
"""

from __future__ import annotations

import time
from functools import partial

from tests.torture import inputs, laws, outcome, stored
from tests.torture.crew import Crew
from tests.torture.process import Broken, Process, answer
from tests.torture.runs import LOG_FILE, PUBLISHED, Runs

STALL_S = 120
POLL_S = 0.0001
KILLS_WHILE_SETTLING = 2


class Series:
    """One series in a folder of its own; ``kills_max`` is how many processes it may kill."""

    def __init__(self, kind, seed, folder, source, times, *, servers="", kills_max=0, mutant=None):
        self.kind, self.folder, self.source, self.times, self.servers = kind, folder, source, times, servers
        self.prefix = f"{folder.name}-{time.time_ns()}."
        self.landing = folder / "landing"
        self.runs = Runs(kind, seed, folder, servers, self.prefix, kills_max, mutant)
        self.analytics = None

    def run(self):
        """Run it all. Returns: the Result, without a verdict on the outcome."""
        began_s, result = time.monotonic(), self.runs.result
        self.folder.mkdir(parents=True)
        self._set_up()
        try:
            now_us = None if self.kind.by_the_clock else self.times.now_us
            if self.kind.live:
                self._read_live(now_us, self._arriving())
            self._read(now_us, keep=0)
            for later_us in self.times.settling_us:
                self._read(later_us, keep=max(self.runs.kills_left - KILLS_WHILE_SETTLING, 0), commands=False)
            self._fill_store()
        except Broken as broken:
            result.problems.append(str(broken))
        finally:
            self.runs.close()
        result.seconds = time.monotonic() - began_s
        return result

    # -- the outcome, each in a process of its own ---------------------------------------------------

    def outcome(self):
        """Return what is committed."""
        if self.kind.log == "kafka":
            return outcome.of_kafka(self.servers, self.prefix)
        return outcome.of_sqlite(self.folder / LOG_FILE)

    def judge(self, expected=None):
        """Return (records read, problems); ``expected`` is the outcome of the uninterrupted run."""
        found = self.outcome()
        problems = laws.broken(found, self.source)
        if expected is not None and self.kind.comparable:
            problems += outcome.differences(expected, found, timeless=self.kind.by_the_clock)
        if self.kind.store:
            topic = f"{self.prefix}{{}}" if self.kind.log == "kafka" else "{}"
            problems += stored.differences(self.folder / PUBLISHED, found, topic)
        return sum(entry["read"] for entry in found.ledger().values()), problems

    # -- the input -----------------------------------------------------------------------------------

    def _set_up(self):
        """Write the settings and, unless it arrives later, bring in the input."""
        kafka = self.kind.log == "kafka"
        if kafka and self.kind.live:
            self.source = inputs.at_topics(self.source, f"in-{self.prefix}")
            answer(inputs.create, self.source, self.servers)
        plants = self.source.mappings(self.folder, inputs.HASTY if self.kind.hasty else inputs.WAITS)
        text = self.kind.settings(plants, self.servers, self.prefix)
        (self.folder / "plantsync.toml").write_text(text, "utf-8")
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

    def _read_live(self, now_us, plants):
        """Run the flow as a service until everything has arrived, then kill it."""
        crew = Crew(self.runs, partial(self.runs.start, "confirmations", now_us=now_us, until_end=False), keep=0)
        try:
            self._tend(crew, plants.ended)
        finally:
            plants.kill(whatever=True)

    def _read(self, now_us, keep, *, commands=True):
        """Run the flow until everything there is has been read."""
        start = partial(self.runs.start, "confirmations", now_us=now_us, commands=commands)
        crew = Crew(self.runs, start, keep)
        self._tend(crew, lambda: crew.complete)

    def _tend(self, crew, over):
        deadline_s = time.monotonic() + STALL_S
        while not over():
            crew.tend()
            self._tend_analytics(aimed=crew.may_kill)
            if not crew.near:
                time.sleep(POLL_S)
            if time.monotonic() > deadline_s:
                raise Broken(f"not at the end after {STALL_S} s")
        crew.kill_all()

    def _tend_analytics(self, *, aimed, until_end=False):
        """Start the flow that fills the store once there is a log, and kill it when due. Returns: whether it ended."""
        if not self.kind.store:
            return True
        run = self.analytics
        if run is None:
            if self.kind.log == "kafka" or (self.folder / LOG_FILE).exists():
                self.analytics = self.runs.start("analytics", aimed=aimed, until_end=until_end)
        elif self.runs.ended(run):
            return True
        elif aimed and run.aim and run.aim.due(run.process.page):
            self.runs.kill(run)
            self.analytics = None
        return False

    def _fill_store(self):
        """Kill the flow that fills the store once more, and then run it to the end."""
        if self.analytics is not None:
            self.runs.kill(self.analytics)
            self.analytics = None
        deadline_s = time.monotonic() + STALL_S
        while not self._tend_analytics(aimed=self.runs.kills_left > 0, until_end=True):
            if time.monotonic() > deadline_s:
                raise Broken(f"the store is not filled after {STALL_S} s")
            time.sleep(POLL_S)
