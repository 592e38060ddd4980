"""The runs of a series: started, aimed at, killed, and what that taught; each killed run is counted here."""

from __future__ import annotations

import random
from dataclasses import dataclass

from dataflows.cli.exit_codes import FENCED
from tests.torture import aim, flows
from tests.torture.kind import Result
from tests.torture.process import Process

LOG_FILE = "state/plantsync.db"
PUBLISHED = "analytics.duckdb"


@dataclass
class Run:
    """A flow's process, how it was started and when it is to be killed, if it is."""

    flow: str
    how: str
    process: Process
    aim: aim.Aim | None
    again: bool
    watcher: Process | None = None

    @property
    def fenced(self):
        """Whether another writer made it stop."""
        return self.process.code == FENCED


class Runs:
    """Starts and kills the flows of one series; ``kills_left`` says how many more may be killed."""

    def __init__(self, kind, seed, folder, servers, prefix, kills_max, mutant):
        self.kind, self.folder, self.servers, self.prefix = kind, folder, servers, prefix
        self.kills_left, self.mutant = kills_max, mutant
        self.rng, self.result = random.Random(seed), Result()
        self.alive = []
        first_s = 0.6 if kind.log == "kafka" else 0.1
        self._learned = {
            ("confirmations", "forked"): aim.Learned(first_s, 0.01),
            ("confirmations", "command"): aim.Learned(first_s + 1.5, 0.02),
            ("analytics", "forked"): aim.Learned(0.2, 0.02),
            ("analytics", "command"): aim.Learned(2.0, 0.05),
        }

    def start(self, flow, share=(0, 1), *, aimed, commands=True, now_us=None, until_end=True):
        """Start a flow, forked or as a command. Returns: the Run."""
        settings = self.folder / "plantsync.toml"
        how = "command" if commands and self.rng.random() < self.kind.command else "forked"
        if how == "command":
            kinds, run = aim.OF_A_COMMAND, flows.command(settings, flow, share, until_end=until_end)
        else:
            kinds = aim.OF_ANALYTICS if flow == "analytics" else aim.KINDS
            options = {"until_end": until_end, "now_us": now_us, "mutant": self.mutant}
            run = flows.forked(settings, flow, share, rows_max=self.rng.choice((1, 20, 20, 100, 400)), **options)
        again = any(killed[1] == flow for killed in self.result.kills)
        self.result.restarts += again
        output = self.folder / f"{flow}-{share[0]}-{share[1]}.txt"
        process = Process(f"{flow} {share[0]}/{share[1]}", output, run)
        due = aim.Aim(self.rng, self._learned[flow, how], kinds) if aimed else None
        watcher = self._watcher(flow, process.page) if how == "command" else None
        started = Run(flow, how, process, due, again, watcher)
        self.alive.append(started)
        return started

    def ended(self, run):
        """Return whether it ended by itself. Raises: Broken when it did so with an error."""
        ended = run.process.ended()
        if ended:
            self._forget(run)
        return ended

    def kill(self, run, processes=1):
        """Kill it. Returns: whether it lived until then; only that counts."""
        place = run.process.kill()
        self._forget(run)
        if place is None:
            return False
        self.result.kills[self.kind.log, run.flow, processes, run.how, place.name] += 1
        self.kills_left -= 1
        return True

    def close(self):
        """Kill what is left, which counts no more."""
        for run in list(self.alive):
            run.process.kill(whatever=True)
            self._forget(run)

    def _watcher(self, flow, page):
        if flow == "analytics":
            watch = flows.watch_store(self.folder / PUBLISHED, page)
        elif self.kind.log == "kafka":
            watch = flows.watch_kafka(self.servers, self.prefix, page)
        else:
            watch = flows.watch_sqlite(self.folder / LOG_FILE, page)
        return Process("watcher", self.folder / "watcher.txt", watch)

    def _forget(self, run):
        self.alive.remove(run)
        if run.watcher:
            run.watcher.kill(whatever=True)
        page = run.process.page
        self._learned[run.flow, run.how].from_page(page)
        if run.again and page.first_commit_s is not None:
            self.result.first_commits_s.append((self.kind.log, run.flow, run.how, page.first_commit_s))
