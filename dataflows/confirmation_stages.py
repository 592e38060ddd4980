"""The stages of the ``confirmations`` flow: decode, order, count, confirm, account.

Each binds one processor to the items of the flow. What a stage decides stands in its processor;
here stands only what goes in and what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import orjson

from canonical.coded import listed
from canonical.columns import EVENT_TYPES, TEXT_COLUMNS, TYPE_CODE, EventBatch, Sessions
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.packed_confirmations import pack_confirmations
from canonical.repeated_hours import RepeatedHours
from canonical.shifts import ShiftCalendar
from canonical.wire import encode_confirmations, encode_events, encode_gaps, encode_ledger, encode_ranges
from dataflows import ranges
from dataflows.items import Commit, Shard, Work
from dataflows.processors.aggregate import Aggregate, Aggregated
from dataflows.processors.arrival import Arrival
from dataflows.processors.counter import Counter
from dataflows.processors.gaps import DeclaredGap
from dataflows.processors.meters import Meters
from dataflows.processors.sequence import Sequence, Sequenced
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import Record
from sinks.dead_letters import REFUSE, dead_letter_records
from sinks.records import Records
from sinks.streams import CONFIRMATIONS, EVENTS, GAPS, LEDGER, RANGES


class Decode:
    """Original bytes to events; rows that cannot be used become faults."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes], watch: Watch = UNWATCHED) -> None:
        self.shard, self.watch = shard, watch
        self.unread = {"read": 0, "faults": 0, "skipped": 0}
        self.unread.update(orjson.loads(state.get("decode", b"{}")))

    def work(self, work: Work) -> Iterable[Work]:
        if len(work.raw):
            done = decode(self.shard.mapping, work.raw, self.shard.vocabulary, work.now_us)
            work.events = done.events
            step = "decode" if work.raw.refusals is None else REFUSE
            work.faults += [(step, fault) for fault in done.faults]
            self.unread["read"] += len(done.faults)
            self.unread["faults"] += len(done.faults)
            self.unread["skipped"] += done.skipped
            self.watch.decoded(self.shard, work.events, work.now_us)
        yield work

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        commit.unread = dict(self.unread)
        return {"decode": orjson.dumps(self.unread)}


class Order:
    """Duplicates out, sequence restored, gaps declared: ``sequence`` or ``arrival``."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes]) -> None:
        self.sessions = shard.sessions
        policy = shard.mapping.sequencing
        kind: type[Sequence | Arrival] = Sequence if policy.mode == "number" else Arrival
        known = "sequence.sessions" in state
        self.sequence = kind.decode(policy, shard.sessions, state) if known else kind(policy, shard.sessions)
        self.unplaced = int(state.get("order", b"0"))
        self.ranges: list[ranges.Ranges] = []

    def work(self, work: Work) -> Iterator[Work]:
        due_us = self.sequence.due_us()
        if due_us is not None and due_us <= work.now_us:
            yield self._handed_on(Work(work.now_us), self.sequence.wake(work.now_us))
        yield self._handed_on(work, self.sequence.step(work.events, work.now_us))

    def _handed_on(self, work: Work, done: Sequenced) -> Work:
        work.events, work.late = done.ready, done.late
        work.faults += [("sequence", fault) for fault in done.faults]
        self.unplaced += sum(fault.code is FaultCode.SESSIONS_EXHAUSTED for fault in done.faults)
        if done.late.n:
            self.ranges.append(ranges.late(done.late, self.sessions))
        if done.gaps:
            rows = gap_columns(done.gaps, self.sessions, work.now_us)
            work.records.extend(Record(GAPS, *message) for message in encode_gaps(rows))
        return work

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        table = self.sequence.table
        commit.changed = np.flatnonzero(table.changed[: table.size])
        table.changed[:] = False
        names = ("start_seq", "next_seq", "read", "released", "late", "duplicates", "faults", "gaps", "missing")
        # Copies, since this stage may be at work again before the last one has seen the commit.
        commit.totals = {name: table[name][: table.size].copy() for name in names}
        commit.totals["held"] = self.sequence.held_rows()
        for total in ("read", "faults"):  # There was no session they could be counted in.
            commit.unread[total] += self.unplaced
        commit.ranges, self.ranges = self.ranges, []
        return {**self.sequence.encode(), "order": str(self.unplaced).encode()}


class Count:
    """Absolute counters to quantities."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes]) -> None:
        mapping = shard.mapping
        settings = (mapping.counters, mapping.routes, shard.sessions)
        by_time = mapping.sequencing.mode == "arrival"
        by_order = by_time and mapping.time.ambiguous == "order"
        repeated = RepeatedHours(mapping.time_zone) if by_order else None
        known = state.get("counter")
        self.counter: Counter | Meters = (
            Meters(*settings, by_time=by_time, repeated=repeated, data=known)
            if not mapping.counters.of_sessions
            else Counter(*settings, by_time=by_time, repeated=repeated)
            if known is None
            else Counter.decode(*settings, known, by_time=by_time, repeated=repeated)
        )
        self.ranges: list[ranges.Ranges] = []

    def work(self, work: Work) -> Iterable[Work]:
        done = self.counter.step(work.events, work.late, work.now_us)
        work.events, work.late = done.ready, done.late
        work.faults += [("counter", fault) for fault in done.faults]
        if done.faults:
            self.ranges.append(ranges.refused(done.faults))
        yield work

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        sids, faulted = self.counter.faulted()
        commit.totals["released"][sids] -= faulted
        commit.totals["faults"][sids] += faulted
        commit.ranges += self.ranges
        self.ranges = []
        return {"counter": self.counter.encode()}


URGENT: Final = (TYPE_CODE[EventType.HOLD], TYPE_CODE[EventType.RELEASE])
"""Types of events that people wait for and that are rare, so that a commit of their own costs little (M16)."""


class Confirm:
    """Runs of the same key to confirmations; operational events passed on one by one, urgent ones soon."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes]) -> None:
        self.shard, self.sessions, mapping = shard, shard.sessions, shard.mapping
        calendar = ShiftCalendar(mapping.time_zone, mapping.shifts)
        settings = (mapping.aggregation, mapping.routes, calendar, shard.sessions)
        known = "aggregate" in state
        self.aggregate = Aggregate.decode(*settings, state["aggregate"]) if known else Aggregate(*settings)
        self.ranges: list[ranges.Ranges] = []

    def work(self, work: Work) -> Iterable[Work]:
        due_us = self.aggregate.due_us()
        if due_us is not None and due_us <= work.now_us:
            self._confirm(self.aggregate.wake(work.now_us), work)
        done = self.aggregate.step(work.events, work.late, work.now_us)
        self._confirm(done, work)
        if done.operational.n:
            rows = event_columns(done.operational, self.sessions)
            work.records.extend(Record(EVENTS, *message) for message in encode_events(rows, work.now_us))
            self.shard.urgent |= bool(np.isin(done.operational["type"], URGENT).any())
        yield work

    def _confirm(self, done: Aggregated, work: Work) -> None:
        """Add what was confirmed to the records."""
        rows = done.columns
        if not rows:
            return
        self.ranges.append(ranges.confirmed(rows))
        packed = pack_confirmations(rows, work.now_us)
        if packed is not None:
            work.records.pack(CONFIRMATIONS, packed)
        else:
            made = encode_confirmations(listed(rows), work.now_us)
            work.records.extend(Record(CONFIRMATIONS, *message) for message in made)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        self.shard.urgent = False
        tally = self.aggregate.totals()
        for name in ("accounted", "analytics_only", "operational", "open", "good", "scrap", "rework"):
            commit.totals[name] = np.zeros_like(commit.totals["read"])
            commit.totals[name][tally.sids] = getattr(tally, name)
        # A run may go idle long after the last record of its session.
        changed = np.zeros(len(commit.totals["read"]), np.bool_)
        changed[commit.changed] = changed[self.aggregate.take_closed()] = True
        commit.changed = np.flatnonzero(changed)
        commit.ranges += self.ranges
        self.ranges = []
        return {"aggregate": self.aggregate.encode()}


class Account:
    """What became of every record: dead letters at once, the ledger at each commit."""

    def __init__(self, shard: Shard, state: Mapping[str, bytes], flow: str, watch: Watch = UNWATCHED) -> None:
        self.shard, self.flow, self.watch = shard, flow, watch
        self.records = Records()
        self.late = 0  # rows, each of which may become a line of the ledger
        self.unread: dict[str, int] = orjson.loads(state.get("account", b"{}"))

    def work(self, work: Work) -> Iterable[Work]:
        if work.faults:
            letters = dead_letter_records(
                work.raw,
                work.faults,
                work.now_us,
                flow=self.flow,
                shard=self.shard.name,
                plant=self.shard.mapping.plant,
            )
            self.records.extend(letters)
        self.records.extend(work.records)
        self.late += work.late.n
        self.shard.pending = bool(self.records)
        self.shard.results = len(self.records) + self.late
        return ()

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        records, self.records = self.records, Records()
        records.extend(commit.records)
        commit.records = records
        self.shard.pending = False
        self.shard.results = self.late = 0
        self.watch.counted(self.shard, commit)
        rows = ledger_columns(commit, self.shard.sessions)
        if commit.unread != self.unread:
            self.unread = commit.unread
            unread = {**commit.unread, "plant": self.shard.mapping.plant, "source": "", "session": ""}
            rows = {name: [*column.tolist(), unread.get(name, 0)] for name, column in rows.items()}
        if len(rows["source"]):
            rows["committed_us"] = np.full(len(rows["source"]), commit.now_us)
            commit.records.extend(Record(LEDGER, *message) for message in encode_ledger(self.shard.name, rows))
        if commit.ranges:
            lines = ranges.joined(commit.ranges, commit.now_us)
            commit.records.extend(Record(RANGES, *message) for message in encode_ranges(self.shard.name, lines))
        return {"account": orjson.dumps(self.unread)}


def ledger_columns(commit: Commit, sessions: Sessions) -> dict[str, Any]:
    """Return the totals of the changed sessions as columns of ``LedgerEntry``."""
    names = zip(("plant", "source", "session"), sessions.codes(), strict=True)
    rows: dict[str, Any] = {name: sessions.vocabulary.arrow(codes[commit.changed]) for name, codes in names}
    numbers: dict[str, Any] = {name: column[commit.changed] for name, column in commit.totals.items()}
    return {**rows, **numbers, "skipped": np.zeros(len(commit.changed), np.int64)}


def gap_columns(gaps: list[DeclaredGap], sessions: Sessions, now_us: int) -> dict[str, list[object]]:
    """Return declared gaps as columns of ``Gap``."""
    texts = sessions.vocabulary.texts
    names = (("plant", sessions.plant), ("source", sessions.source), ("session", sessions.session))
    rows: dict[str, list[object]] = {name: [texts[codes[gap.sid]] for gap in gaps] for name, codes in names}
    rows["first_seq"] = [gap.first for gap in gaps]
    rows["last_seq"] = [gap.last for gap in gaps]
    rows["declared_us"] = [now_us] * len(gaps)
    return rows


NOT_IN_EVENT: Final = ("offset", "row", "identity", "session_start", "sid", "gaps", "type")
"""Columns of a batch that are not fields of the ``Event`` contract."""


def event_columns(batch: EventBatch, sessions: Sessions) -> dict[str, list[object]]:
    """Return EVENT[n] as columns of ``Event``; readings that are absent are None."""
    rows: dict[str, list[object]] = {"type": [EVENT_TYPES[code].value for code in batch["type"].tolist()]}
    for name, column in batch.columns.items():
        if name in TEXT_COLUMNS:
            rows[name] = list(sessions.vocabulary.text(column))
        elif name in ("good_counter", "scrap_counter", "recorded_us"):
            rows[name] = [None if value < 0 else value for value in column.tolist()]
        elif name not in NOT_IN_EVENT:
            rows[name] = column.tolist()
    return rows
