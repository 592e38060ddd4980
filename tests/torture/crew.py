"""The processes of the confirmations flow, from when the first is started until all shares have ended by themselves.

One process runs all shards, or two share them. When a process is killed, one of these follows: it is
started again beside the other; the other is killed too, and any number goes on; or any number goes on
while the other still runs, and the commit log's fence has to stop one of the two that hold the same shard.
"""

from __future__ import annotations

from dataflows.cli.exit_codes import FENCED


class Crew:
    """Started by ``start(share)``; ``keep`` is how many kills are left for later."""

    def __init__(self, runs, start, keep):
        self._runs, self._start, self._keep = runs, start, keep
        self._sharing = {}  # index of the share -> Run
        self._ousted = []
        self._contested = False
        self._count, self._ended = 0, set()

    def tend(self):
        """Start what is to run, kill what is due, note what has ended. Returns: whether all have."""
        if not self._sharing and not self.complete:
            self._count, self._ended = self._runs.rng.choice((1, 2)), set()
            for index in range(self._count):
                self._begin(index)
        for index, run in list(self._sharing.items()):
            if self._runs.ended(run):
                self._note_end(index, run)
            elif self.may_kill and run.aim and run.aim.due(run.process.page):
                self._strike(index, run)
                break
        for run in [run for run in self._ousted if self._runs.ended(run)]:
            self._ousted.remove(run)
            self._runs.result.fenced += run.fenced
        return self.complete

    @property
    def complete(self):
        return self._count > 0 and len(self._ended) == self._count

    @property
    def may_kill(self):
        return self._runs.kills_left > self._keep

    @property
    def near(self):
        """Whether one is about to be killed: then every moment counts."""
        return any(run.aim and run.aim.near for run in self._sharing.values())

    def kill_all(self):
        """Kill all that still run."""
        for run in (*self._sharing.values(), *self._ousted):
            self._runs.kill(run, self._count)
        self._sharing, self._ousted = {}, []

    def _begin(self, index):
        run = self._sharing[index] = self._start((index, self._count), aimed=self.may_kill)
        if self._contested:
            run.process.accepted.add(FENCED)

    def _note_end(self, index, run):
        del self._sharing[index]
        if run.fenced:  # The one that was to go was slow to start, and so the later to restore.
            self._runs.result.fenced += 1
            self._begin(index)
        else:
            self._ended.add(index)

    def _strike(self, index, run):
        if not self._runs.kill(run, self._count):
            self._note_end(index, run)
            return
        del self._sharing[index]
        if not self._sharing:
            return
        chance = self._runs.rng.random()
        if chance < 0.3:
            self._begin(index)
            return
        (other,) = self._sharing.values()
        self._sharing.clear()
        if chance < 0.6 and self.may_kill:
            self._runs.kill(other, self._count)
            return
        self._runs.result.takeovers += 1
        other.process.accepted.add(FENCED)
        self._ousted.append(other)
        self._contested = True
