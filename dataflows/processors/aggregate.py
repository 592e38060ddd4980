"""Aggregate: runs of like events become confirmations whose ranges tile what they account for.

Laws, for every session:

- conservation: the events and quantities of its confirmations and open runs are those of its
  aggregated rows, and released + late = accounted + analytics only + operational;
- tiling: the ranges of its confirmations are disjoint and ascend, each aggregated row lies in one,
  and none spans a declared gap; those of late rows hold every number between first and last. Where
  runs are open side by side (``open_max``) that holds for each work centre of the session;
- indifference: confirmations depend on the rows and on when ``wake`` is called, never on the cut
  of the rows into steps nor on a restart between two of them.

By the route of its type a row is counted only (analytics only), handed on by itself (operational)
or joins the open run of its session (aggregated), after ending it where ``boundaries`` says so. A
completion ends the run it joins (``complete_closes``). ``wake`` ends runs that nothing has joined
for ``idle_s``. Late rows have a lane of runs of their own, whose confirmations are supplementary;
since more of them may never come, it also goes idle where no ``idle_s`` is set, after ``LATE_IDLE_US``.

With ``open_max`` above 1 released rows join the open run of their work centre in the session (``tracks``), which
ends by what comes of that work centre; late rows, which are few and of ranges without holes, are not told apart.

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
from canonical.columns import EVENT_TYPES, CodeColumn, EventBatch, IntColumn, Sessions
from canonical.contracts.confirmation import Confirmation
from canonical.contracts.event import EventType
from canonical.policy import AggregatePolicy, Route
from canonical.shifts import ShiftCalendar
from dataflows.processors.boundaries import Boundaries, Cut
from dataflows.processors.closed_runs import confirmation_columns
from dataflows.processors.joined_by_columns import join_rows
from dataflows.processors.joined_by_kernel import UNDATED, Rows, is_compiled
from dataflows.processors.places import heads_of
from dataflows.processors.runs import RunArray, Runs, concat, pick, place, runs_of, runs_table
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows
from dataflows.processors.tracks import Tracks

SESSIONS_KIND: Final = "aggregate.sessions"
RUNS_KIND: Final = "aggregate.runs"
VERSION: Final = 1
SIDE_BY_SIDE: Final = 2
"""Version of the open runs where a session may have several, which earlier releases cannot go on with."""
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
    """Open runs of released or of late rows, and where they end; ``tracks`` where a session may have several."""

    boundaries: Boundaries
    idle_us: int | None
    late: bool
    runs: Runs = field(default_factory=Runs)
    tracks: Tracks | None = None


class Aggregate:
    """Open runs of one shard and its totals by session.

    Args:    routes: a route for every event type. calendar: without shifts where the plant has none.
    State:   O(open runs), and six totals a session.
    """

    __slots__ = ("_calendar", "_closed", "_lanes", "_open_max", "_route", "_sessions", "_shift_codes", "_totals")

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
        self._open_max: Final = policy.open_max if policy.is_side_by_side else 1
        if self._open_max > 1:
            self._track(self._lanes[0])
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
                if lane.tracks is not None:
                    lane.tracks.release(runs["track"])
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
        version = VERSION if all(lane.tracks is None for lane in self._lanes) else SIDE_BY_SIDE
        return encode_table(SESSIONS_KIND, VERSION, pa.table(columns)) + encode_table(RUNS_KIND, version, table)

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

        Where sessions have more open runs than there may be now, the next row of each ends what is too much.

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
        _, table = decode_table(RUNS_KIND, {VERSION, SIDE_BY_SIDE}, reader)
        runs, arrived_us = runs_of(table, sids, sessions.vocabulary)
        for lane in aggregate._lanes:
            mine = runs["late"] == lane.late
            own = pick(runs, mine)
            if lane.tracks is None and len(np.unique(own["sid"])) < len(own):
                aggregate._track(lane)
            if lane.tracks is not None:
                lane.tracks.restore(own)
            lane.runs.put(own, arrived_us[mine])
        return aggregate

    def _track(self, lane: _Lane) -> None:
        lane.tracks = Tracks(self._open_max, lane.boundaries.completing())

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
        told = None
        if lane.tracks is not None:
            told = lane.tracks.tell(batch, lane.runs)
            batch = told.batch
            rows = Rows(batch, self._route, self._totals, told.tracks, len(lane.tracks))
        shifts = self._attribute(batch["occurred_us"]) if lane.boundaries.needs_shifts() else None
        closed, began = rows.join(lane.runs, lane.boundaries.terms(), shifts, now_us)
        self._date(closed)
        if len(began):
            runs = pick(lane.runs.records, began)
            self._date(runs)
            place(runs, began, lane.runs.records)
        if lane.tracks is not None and told is not None:
            closed = concat((closed, lane.tracks.settle(told, lane.runs)))
        return closed, operational

    def _date(self, runs: RunArray) -> None:
        """Give the runs that have none their shift and posting date."""
        undated = np.flatnonzero(runs["posting_date"] == UNDATED)
        if len(undated):
            shift, posting_date = self._attribute(runs["first_occurred_us"][undated])
            runs["shift"][undated], runs["posting_date"][undated] = shift, posting_date

    def _join(self, lane: _Lane, batch: EventBatch, now_us: int) -> RunArray:
        """Let aggregated rows, each session's together, join the lane's runs; return those that closed."""
        if lane.tracks is None:
            return join_rows(batch, batch["sid"], lane.runs, lane.boundaries, self._attribute, now_us)
        told = lane.tracks.tell(batch, lane.runs)
        closed = join_rows(told.batch, told.tracks, lane.runs, lane.boundaries, self._attribute, now_us)
        return concat((closed, lane.tracks.settle(told, lane.runs)))

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
