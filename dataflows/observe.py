"""Observe: what machines say of themselves, beside what is confirmed (M22, M47)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from canonical.wire import encode_marks, encode_minutes
from dataflows.items import Commit, Shard, Work
from dataflows.processors.kinds import kinds
from dataflows.processors.marks import Marks
from dataflows.processors.minutes import Minutes
from sinks.commit_log import Record
from sinks.streams import STATES, TELEMETRY


class Observe:
    """Marks from which sources are in a state, and sums by the minute of what no confirmation accounts for."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes]) -> None:
        self.shard, mapping = shard, shard.mapping
        settings, known = (mapping.states, shard.sessions), state.get("marks")
        self.marks = Marks(*settings) if known is None else Marks.decode(*settings, known)
        self.minutes = Minutes(mapping.routes, shard.sessions)

    def work(self, work: Work) -> Iterable[Work]:
        """Note what the rows say; they pass unchanged."""
        there = kinds(work.events) | kinds(work.late)
        if self.marks.concerned(there):
            marks = self.marks.step(work.events, work.late)
            if marks["seq"]:
                work.records += [Record(STATES, *message) for message in encode_marks(self.shard.name, marks)]
        if self.minutes.concerned(there):
            for rows in (work.events, work.late):
                self.minutes.step(rows)
        yield work

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Tell the sums since the last commit, so that none waits in the state."""
        minutes = self.minutes.take()
        if minutes["events"]:
            commit.records.extend(Record(TELEMETRY, *message) for message in encode_minutes(self.shard.name, minutes))
        return {"marks": self.marks.encode()}
