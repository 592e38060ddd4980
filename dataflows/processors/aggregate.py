"""Aggregate: runs of like events become confirmations whose ranges tile what they account for.

Laws, for every session:

- conservation: the events and quantities of its confirmations and open runs are those of its
  aggregated rows, and released + late = accounted + analytics only + operational;
- tiling: the ranges of its confirmations are disjoint and ascend, each aggregated row lies in one,
  and none spans a declared gap; those of late rows hold every number between first and last;
- indifference: confirmations depend on the rows and on when ``wake`` is called, never on the cut
  of the rows into steps nor on a restart between two of them.

By the route of its type a row is counted only (analytics only), handed on by itself (operational)
or joins the open run of its session (aggregated), after ending it where ``boundaries`` says so. A
completion ends the run it joins (``complete_closes``). ``wake`` ends runs that nothing has joined
for ``idle_s``. Late rows have a lane of runs of their own, whose confirmations are supplementary;
since more of them may never come, it also goes idle where no ``idle_s`` is set, after ``LATE_IDLE_US``.

A confirmation takes its texts, shift and posting date from its first event; the reason is the one
non-empty reason of its events, or empty where the plant does not split by it. Shift and posting date
are plant-local always and end a run only where the plant splits by them.

Source: M14, M15, M25, M41, M46.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.coded import AnyColumn, listed
from canonical.columns import EVENT_TYPES, QUANTITY_COLUMNS, TYPE_CODE, CodeColumn, EventBatch, IntColumn, Sessions
from canonical.contracts.confirmation import Confirmation
from canonical.contracts.event import EventType
from canonical.policy import AggregatePolicy, Route
from canonical.shifts import ShiftCalendar
from dataflows.processors.boundaries import Boundaries, Cut, LaneRows
from dataflows.processors.closed_runs import confirmation_columns
from dataflows.processors.joined_by_kernel import UNDATED, Rows, is_compiled
from dataflows.processors.places import Places, heads_of
from dataflows.processors.runs import RUN, RUN_TEXTS, RunArray, Runs, concat, pick, place, runs_of, runs_table
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows

SESSIONS_KIND: Final = "aggregate.sessions"
RUNS_KIND: Final = "aggregate.runs"
VERSION: Final = 1
LATE_IDLE_US: Final = 60_000_000
"""A supplementary run nothing has joined for so long ends, where the plant sets no ``idle_s``."""

ROUTES: Final = (Route.AGGREGATED, Route.ANALYTICS_ONLY, Route.OPERATIONAL)
SUMMED: Final = ("good", "scrap", "rework")
"""Quantities of aggregated rows that are summed apart from their runs, so that the two can be compared."""
TOTALS: Final = ("accounted", "analytics_only", "operational", *SUMMED)
"""What rows of each of ROUTES are counted as, and the sums."""


@dataclass(frozen=True, slots=True)
class Tally:
    """SESSION[s]: how many rows of each session went each way; ``sids`` ascend.

    ``open`` are events in open runs; good, scrap and rework those of the aggregated rows that are in none:
    summed row by row, less what the open runs hold.
    """

    sids: IntColumn
    accounted: IntColumn
    analytics_only: IntColumn
    operational: IntColumn
    good: IntColumn
    scrap: IntColumn
    rework: IntColumn
    open: IntColumn


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What became of a batch.

    ``columns`` are those of ``Confirmation``, ordered by (sid, first_seq), enums by value and the date in ISO form;
    there are none where nothing is confirmed. ``operational`` EVENT[k] pass on one by one.
    """

    columns: Mapping[str, AnyColumn]
    operational: EventBatch

    @property
    def confirmations(self) -> dict[str, list[Any]]:
        """The columns as lists of plain Python values, empty ones where nothing is confirmed."""
        return listed(self.columns) if self.columns else {name: [] for name in Confirmation.model_fields}


@dataclass(slots=True)
class _Lane:
    """Open runs of released or of late rows, and where they end."""

    boundaries: Boundaries
    idle_us: int | None
    late: bool
    runs: Runs = field(default_factory=Runs)


class Aggregate:
    """Open runs of one shard and its totals by session.

    Args:    routes: a route for every event type. calendar: without shifts where the plant has none.
    State:   O(open runs), and six totals a session.
    """

    __slots__ = ("_calendar", "_closed", "_lanes", "_route", "_sessions", "_shift_codes", "_totals")

    def __init__(
        self,
        policy: AggregatePolicy,
        routes: Mapping[EventType, Route],
        calendar: ShiftCalendar,
        sessions: Sessions,
    ) -> None:
        self._route: Final = np.full(256, -1, np.int8)  # any int8 is an index, for the kernel
        self._route[: len(EVENT_TYPES)] = [ROUTES.index(routes[t]) for t in EVENT_TYPES]
        self._calendar = calendar
        self._sessions = sessions
        self._shift_codes = sessions.vocabulary.codes(calendar.names)
        idle_us = None if policy.idle_s is None else round(policy.idle_s * 1e6)
        self._lanes: Final = (
            _Lane(Boundaries(policy, late=False), idle_us, late=False),
            _Lane(Boundaries(policy, late=True), LATE_IDLE_US if idle_us is None else idle_us, late=True),
        )
        self._totals: IntColumn = np.zeros((len(TOTALS), 0), np.int64)
        self._closed: list[NDArray[np.int32]] = []

    def step(self, batch: EventBatch, late: EventBatch, now_us: int) -> Aggregated:
        """Let rows join their runs.

        Args:
            batch: EVENT[n] ordered by (sid, seq).
            late: EVENT[k] that fill declared gaps, in the order of arrival.
            now_us: UTC microseconds at which they arrived, never decreasing.
        """
        closed: list[RunArray] = []
        operational: list[EventBatch] = []
        before = None if not len(late) else late["sid"]
        lanes = (batch, late if before is None else late.take(np.argsort(before, kind="stable")))
        for lane, rows in zip(self._lanes, lanes, strict=True):
            if len(rows) and is_compiled():
                runs, passed = self._join_by_kernel(lane, rows, now_us)
                closed.append(runs)
                operational.append(passed)
            elif len(rows):
                route = self._route[rows["type"]]
                self._count(rows, route)
                accounted = rows
                if route.any():
                    operational.append(rows.take(route == ROUTES.index(Route.OPERATIONAL)))
                    accounted = accounted.take(route == ROUTES.index(Route.AGGREGATED))
                if len(accounted):
                    closed.append(self._join(lane, accounted, now_us))
        return Aggregated(self._confirmations(closed), EventBatch.concat(operational))

    def wake(self, now_us: int) -> Aggregated:
        """Close the runs that nothing has joined for as long as their lane waits."""
        closed: list[RunArray] = []
        for lane in self._lanes:
            if lane.idle_us is not None:
                runs = lane.runs.take_idle(now_us - lane.idle_us)
                runs["cut"] = Cut.IDLE
                closed.append(runs)
        return Aggregated(self._confirmations(closed), EventBatch.empty())

    def due_us(self) -> int | None:
        """Return when the next run goes idle, or None if none is open that can."""
        oldest = ((lane.runs.oldest_us(), lane.idle_us) for lane in self._lanes)
        return min((us + idle_us for us, idle_us in oldest if us is not None and idle_us is not None), default=None)

    def open_runs(self) -> int:
        """Return the number of open runs, those of late rows included."""
        return sum(len(lane.runs) for lane in self._lanes)

    def open_events(self) -> int:
        """Return the number of rows accounted for in open runs."""
        return sum(lane.runs.events() for lane in self._lanes)

    def totals(self) -> Tally:
        """Return the running totals of all sessions that have had a row."""
        size = self._totals.shape[1]
        sums = {name: np.zeros(size, np.int64) for name in ("events", *SUMMED)}
        for lane in self._lanes:
            lane.runs.add_to(sums)
        sids = self._known()
        totals = dict(zip(TOTALS, self._totals[:, sids], strict=True))
        for name in SUMMED:
            totals[name] -= sums[name][sids]
        return Tally(sids, open=sums["events"][sids], **totals)

    def take_closed(self) -> IntColumn:
        """Return the sessions of which runs have closed since the last call, ascending."""
        sids = np.unique(np.concatenate(self._closed)) if self._closed else np.zeros(0, np.int32)
        self._closed = []
        return sids.astype(np.int64)

    def encode(self) -> bytes:
        """Return the state: sessions with their totals, and open runs; two tables back to back."""
        sids = self._known()
        columns = session_columns(sids, self._sessions)
        columns |= {name: pa.array(total[sids]) for name, total in zip(TOTALS, self._totals, strict=True)}
        table = runs_table([lane.runs for lane in self._lanes], sids, self._sessions.vocabulary)
        return encode_table(SESSIONS_KIND, VERSION, pa.table(columns)) + encode_table(RUNS_KIND, VERSION, table)

    @classmethod
    def decode(
        cls,
        policy: AggregatePolicy,
        routes: Mapping[EventType, Route],
        calendar: ShiftCalendar,
        sessions: Sessions,
        data: bytes,
    ) -> Aggregate:
        """Return the state that ``encode`` stored, bound to the session rows of this process.

        Raises:
            StateVersionUnknown: a later release wrote it.
        """
        aggregate = cls(policy, routes, calendar, sessions)
        reader = pa.BufferReader(data)
        _, table = decode_table(SESSIONS_KIND, {VERSION}, reader)
        sids = session_rows(table, sessions)
        aggregate._grow(len(sessions))
        for total, name in zip(aggregate._totals, TOTALS, strict=True):
            total[sids] = table.column(name).to_numpy()
        runs, arrived_us = runs_of(decode_table(RUNS_KIND, {VERSION}, reader)[1], sids, sessions.vocabulary)
        for lane in aggregate._lanes:
            own = runs["late"] == lane.late
            lane.runs.put(pick(runs, own), arrived_us[own])
        return aggregate

    def _known(self) -> IntColumn:
        """Return the sessions that have had a row."""
        return np.flatnonzero(self._totals.any(0))

    def _count(self, rows: EventBatch, route: NDArray[np.int8]) -> None:
        """Add the rows, each session's together, to the totals of their route, and what is aggregated to the sums."""
        sid = rows["sid"]
        heads = heads_of(sid)
        self._grow(len(self._sessions))
        own = sid[heads]
        mixed = bool(route.any())
        for r in range(len(ROUTES)) if mixed else ():
            self._totals[r, own] += np.add.reduceat(route == r, heads, dtype=np.int64)
        if not mixed:
            self._totals[ROUTES.index(Route.AGGREGATED), own] += np.diff(heads, append=len(sid))
        aggregated = route == ROUTES.index(Route.AGGREGATED)
        for total, name in zip(self._totals[len(ROUTES) :], SUMMED, strict=True):
            if name in rows:
                total[own] += np.add.reduceat(rows[name] * aggregated if mixed else rows[name], heads)

    def _join_by_kernel(self, lane: _Lane, batch: EventBatch, now_us: int) -> tuple[RunArray, EventBatch]:
        """Count rows, let the aggregated ones join; return the runs that closed, and the operational rows."""
        self._grow(len(self._sessions))
        rows = Rows(batch, self._route, self._totals)
        kept, passed = rows.route()
        operational = batch.take(passed) if len(passed) else EventBatch.empty()
        if len(kept) < len(batch):
            batch = batch.take(kept)
            if not len(batch):
                return concat(()), operational
            rows = Rows(batch, self._route, self._totals)
        shifts = self._attribute(batch["occurred_us"]) if lane.boundaries.needs_shifts() else None
        closed, began = rows.join(lane.runs, lane.boundaries.terms(), shifts, now_us)
        self._date(closed)
        if len(began):
            runs = pick(lane.runs.records, began)
            self._date(runs)
            place(runs, began, lane.runs.records)
        return closed, operational

    def _date(self, runs: RunArray) -> None:
        """Give the runs that have none their shift and posting date."""
        undated = np.flatnonzero(runs["posting_date"] == UNDATED)
        if len(undated):
            shift, posting_date = self._attribute(runs["first_occurred_us"][undated])
            runs["shift"][undated], runs["posting_date"][undated] = shift, posting_date

    def _join(self, lane: _Lane, batch: EventBatch, now_us: int) -> RunArray:
        """Let aggregated rows, each session's together, join the lane's runs; return those that closed."""
        heads = heads_of(batch["sid"])
        found, opened = lane.runs.take(batch["sid"][heads])
        attributed = self._attribute(batch["occurred_us"]) if lane.boundaries.needs_shifts() else (None, None)
        rows = LaneRows(batch, heads, heads[found], opened, *attributed)
        cuts = lane.boundaries.find(rows)

        first = np.zeros(len(batch), np.bool_)
        first[heads] = True
        starts = np.flatnonzero(first | (cuts > 0))
        runs = self._runs(rows, starts, keeps_reason=lane.boundaries.keeps_reason())
        runs["late"] = lane.late
        joins = cuts[rows.at] == Cut.NONE
        _prepend(runs, np.searchsorted(starts, rows.at[joins]), pick(opened, joins))

        # A run ends where the next one of its session begins; the last one of a session by its own last row.
        last = np.append(first[starts[1:]], True)
        runs["cut"][:-1] = np.where(last[:-1], Cut.NONE, cuts[starts[1:]])
        ends = np.append(starts[1:], len(batch)) - 1
        runs["cut"][last] = np.where(lane.boundaries.completes(batch, ends[last]), Cut.COMPLETE, Cut.NONE)
        opened["cut"][~joins] = cuts[rows.at[~joins]]
        lane.runs.put(pick(runs, runs["cut"] == Cut.NONE), now_us)
        return concat((pick(opened, ~joins), pick(runs, runs["cut"] != Cut.NONE)))

    def _runs(self, rows: LaneRows, starts: Places, *, keeps_reason: bool) -> RunArray:
        """Return RUN[m]: what the rows from each start to the next amount to."""
        batch, n = rows.batch, len(rows.batch)
        ends = np.append(starts[1:], n) - 1
        runs = np.zeros(len(starts), RUN)
        seq, offset = batch["seq"], batch["offset"]
        runs["sid"], runs["gaps"] = batch["sid"][starts], batch["gaps"][starts]
        runs["first_seq"], runs["last_seq"], runs["events"] = seq[starts], seq[ends], ends - starts + 1
        first_us = runs["first_occurred_us"] = batch.at("occurred_us", starts)
        runs["last_occurred_us"] = batch.at("occurred_us", ends)
        runs["first_offset"] = np.minimum.reduceat(offset, starts)
        runs["last_offset"] = np.maximum.reduceat(offset, starts)
        runs["is_rework"] = batch["type"][starts] == TYPE_CODE[EventType.REWORK]
        if rows.shift is None or rows.posting_date is None:
            runs["shift"], runs["posting_date"] = self._attribute(first_us)
        else:
            runs["shift"], runs["posting_date"] = rows.shift[starts], rows.posting_date[starts]
        for name in RUN_TEXTS:
            if name in batch and name != "reason":
                runs[name] = batch.at(name, starts)
        if keeps_reason and "reason" in batch:
            # The reasons of a run are empty or equal, and the empty text has code 0.
            runs["reason"] = np.maximum.reduceat(batch["reason"], starts)
        for name in QUANTITY_COLUMNS:
            if name in batch:
                runs[name] = np.add.reduceat(batch[name], starts)
        return runs

    def _attribute(self, occurred_us: IntColumn) -> tuple[CodeColumn, CodeColumn]:
        """Return shift (text code) and posting date (days) of each instant."""
        shift, posting_date = self._calendar.attribute(occurred_us)
        return self._shift_codes[shift], posting_date

    def _confirmations(self, closed: list[RunArray]) -> dict[str, AnyColumn]:
        """Return closed runs as columns of ``Confirmation``."""
        runs = concat(closed)
        if len(runs):
            self._closed.append(runs["sid"].copy())
        return confirmation_columns(runs, self._sessions)

    def _grow(self, size: int) -> None:
        """Make room for the totals of session rows below ``size``."""
        known = self._totals.shape[1]
        if size > known:
            more = np.zeros((len(TOTALS), max(size - known, known)), np.int64)
            self._totals = np.concatenate((self._totals, more), axis=1)


def _prepend(runs: RunArray, at: Places, opened: RunArray) -> None:
    """Let the runs at ``at`` continue these open runs; ``opened`` is written over."""
    after = pick(runs, at)
    for name in ("last_seq", "last_occurred_us"):
        opened[name] = after[name]
    for name in ("events", *QUANTITY_COLUMNS):
        opened[name] += after[name]
    np.minimum(opened["first_offset"], after["first_offset"], out=opened["first_offset"])
    for name in ("last_offset", "reason"):
        np.maximum(opened[name], after[name], out=opened[name])
    place(opened, at, runs)
