"""Counter: absolute readings become quantities; over a session the deltas sum to last - first.

Law, per session and counter, over accepted readings without reset: the deltas sum to the last
reading minus the first (``first_reading = "baseline"``) or to the last reading (``"count"``), plus
``rollover`` for each time the counter wrapped. It holds through rows that never arrive, since a
reading includes what they made.

What a reading adds, and which is absurd, is the rule of ``deltas``. The row of an absurd reading becomes a fault, none
of its readings is accepted, and the readings before it stay what the next ones are compared with: one wild reading
neither loses nor invents parts.

A row that is passed on one by one or only analysed may carry a reading too. What it adds is *carried* to
the next row of its session that is confirmed, so that a route takes nothing away from the confirmations.

Late rows count nothing by their readings: the next reading of their session had them included.

Of a source that does not number its records (``by_time``) a stale reading adds nothing and changes nothing, since a
newer one had it included; its times are the rules of ``reading_times``. So, without a reset, the deltas sum to the
newest reading minus the one that arrived first, however the files came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EVENT_TYPES, CodeColumn, EventBatch, IntColumn, Sessions
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.policy import CounterPolicy, Route
from canonical.records import RowFault
from canonical.repeated_hours import RepeatedHours
from dataflows.processors.deltas import NONE, Deltas
from dataflows.processors.reading_times import second_hour_us, stale
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows

KIND: Final = "counter"
VERSION: Final = 1
COUNTED: Final = (("good_counter", "good"), ("scrap_counter", "scrap"))
"""Each counter column and the quantity column its deltas are added to."""
_NEVER: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a batch: its rows with deltas added, and rows set aside."""

    ready: EventBatch
    late: EventBatch
    faults: list[RowFault]


class Counter:
    """Last readings of the sessions of one shard, by ``sid``; O(sessions).

    Args:    routes: a route for every event type. by_time: whether a reading older than the last one is stale,
             as the source numbers no records. repeated: which of its instants may be of the hour after, if it is
             by the order of readings that this is known.
    """

    __slots__ = (
        "_by_time",
        "_carried",
        "_confirmed",
        "_deltas",
        "_faults",
        "_last",
        "_last_us",
        "_rejected",
        "_repeated",
        "_sessions",
    )

    def __init__(
        self,
        policy: CounterPolicy,
        routes: Mapping[EventType, Route],
        sessions: Sessions,
        *,
        by_time: bool,
        repeated: RepeatedHours | None = None,
    ) -> None:
        assert by_time or repeated is None, "records that are numbered have no need of it"
        self._deltas = Deltas(policy)
        self._sessions = sessions
        self._by_time, self._repeated = by_time, repeated
        self._confirmed = np.array([routes[t] is Route.AGGREGATED for t in EVENT_TYPES])
        self._last: IntColumn = np.full((len(COUNTED), 0), NONE, np.int64)
        self._last_us: IntColumn = self._last  # when the last one occurred, _NEVER unless by_time
        self._rejected: IntColumn = self._last
        self._carried: IntColumn = np.zeros((len(COUNTED), 0), np.int64)
        self._faults: IntColumn = np.zeros(0, np.int64)

    def step(self, batch: EventBatch, late: EventBatch, now_us: int) -> Counted:  # noqa: ARG002 - as every processor
        """Add the deltas of this batch's readings to its quantities.

        Args:
            batch: EVENT[n] ordered by (sid, seq).
            late: EVENT[k] that fill declared gaps; they pass unchanged.
            now_us: UTC microseconds; nothing here depends on it.

        Returns:
            ready EVENT[n - j] in the same order; faults FAULT[j], ABSURD_QUANTITY.
        """
        present = [k for k, (name, _) in enumerate(COUNTED) if name in batch]
        later_us = None if self._repeated is None else self._repeated.later_us(batch["occurred_us"])
        if not len(batch) or not (present or later_us is not None or self._carried.any()):
            return Counted(batch, late, [])
        self._grow(len(self._sessions))
        sid, occurred_us = batch["sid"], batch["occurred_us"]
        readings = [batch[name] for name, _ in COUNTED]
        deltas = [np.zeros(len(batch), np.int64) for _ in COUNTED]
        odd: list[NDArray[np.integer]] = []
        if later_us is not None:
            occurred_us = occurred_us.copy()
            odd.append(sid[later_us > 0])
        steps = {}
        for k in present:
            rows = np.flatnonzero(readings[k] >= 0)
            if self._by_time:
                rows = rows[~stale(sid[rows], occurred_us[rows], self._last_us[k])]
            s, r = sid[rows], readings[k][rows]
            first = np.ones(len(rows), np.bool_)
            first[1:] = s[1:] != s[:-1]
            before = np.empty_like(r)
            before[1:] = r[:-1]
            before[first] = self._last[k, s[first]]
            delta, absurd = self._deltas.of(before, r)
            steps[k] = rows, s, r, delta
            odd.append(s[absurd | (self._rejected[k, s] >= 0)])
        exact = np.unique(np.concatenate(odd)) if odd else np.zeros(0, sid.dtype)
        for k, (rows, s, r, delta) in steps.items():
            usual = slice(None) if not len(exact) else ~np.isin(s, exact)
            rows_, s_, r_ = rows[usual], s[usual], r[usual]
            deltas[k][rows_] = delta[usual]
            last = np.ones(len(s_), np.bool_)
            last[:-1] = s_[1:] != s_[:-1]
            self._last[k, s_[last]] = r_[last]
            if self._by_time:
                self._last_us[k, s_[last]] = occurred_us[rows_[last]]
        faults: list[RowFault] = []
        keep = np.ones(len(batch), np.bool_)
        for at, end in zip(np.searchsorted(sid, exact), np.searchsorted(sid, exact, "right"), strict=True):
            if later_us is None:
                self._step_exact(batch, slice(at, end), occurred_us, readings, deltas, keep, faults)
                continue
            for row in range(at, end):
                own, own_readings = int(sid[row]), (column[row] for column in readings)
                occurred_us[row] += second_hour_us(
                    occurred_us[row], later_us[row], own_readings, self._last[:, own], self._last_us[:, own]
                )
                self._step_exact(batch, slice(row, row + 1), occurred_us, readings, deltas, keep, faults)
        confirmed = keep & self._confirmed[batch["type"]]
        for k in range(len(COUNTED)):
            self._carry(k, sid, confirmed, deltas[k])
        if later_us is not None:
            batch = batch.with_columns({"occurred_us": occurred_us})
        ready = batch.with_columns(
            {name: batch[name] + delta for (_, name), delta in zip(COUNTED, deltas, strict=True) if delta.any()}
        )
        return Counted(ready.take(keep) if faults else ready, late, faults)

    def faulted(self) -> tuple[IntColumn, IntColumn]:
        """Return the sessions (``sid``) with faults raised here and how many each, running totals."""
        sids = np.flatnonzero(self._faults)
        return sids, self._faults[sids]

    def encode(self) -> bytes:
        """Return the state: a row per session that has had a reading, accepted or not."""
        sids = np.flatnonzero((self._last >= 0).any(0) | (self._faults > 0))
        columns = session_columns(sids, self._sessions)
        for k, (name, _) in enumerate(COUNTED):
            columns[f"{name}_last"] = pa.array(self._last[k, sids])
            columns[f"{name}_last_us"] = pa.array(self._last_us[k, sids])
            columns[f"{name}_rejected"] = pa.array(self._rejected[k, sids])
            columns[f"{name}_carried"] = pa.array(self._carried[k, sids])
        columns["faults"] = pa.array(self._faults[sids])
        return encode_table(KIND, VERSION, pa.table(columns))

    @classmethod
    def decode(
        cls,
        policy: CounterPolicy,
        routes: Mapping[EventType, Route],
        sessions: Sessions,
        data: bytes | pa.BufferReader,
        *,
        by_time: bool,
        repeated: RepeatedHours | None = None,
    ) -> Counter:
        """Return the counter that ``encode`` stored, bound to the session rows of this process.

        Raises:
            StateVersionUnknown: a later release wrote it.
        """
        _, table = decode_table(KIND, {VERSION}, data)
        sids = session_rows(table, sessions)
        counter = cls(policy, routes, sessions, by_time=by_time, repeated=repeated)
        counter._grow(len(sessions))
        for k, (name, _) in enumerate(COUNTED):
            counter._last[k, sids] = table.column(f"{name}_last").to_numpy()
            counter._last_us[k, sids] = table.column(f"{name}_last_us").to_numpy()
            counter._rejected[k, sids] = table.column(f"{name}_rejected").to_numpy()
            counter._carried[k, sids] = table.column(f"{name}_carried").to_numpy()
        counter._faults[sids] = table.column("faults").to_numpy()
        return counter

    def _carry(self, k: int, sid: CodeColumn, confirmed: NDArray[np.bool_], delta: IntColumn) -> None:
        """Move the deltas of rows that are not confirmed, and those carried, to the next row that is."""
        heads = np.flatnonzero(np.diff(sid, prepend=NONE))
        heads = heads[self._carried[k, sid[heads]] > 0]
        astray = np.flatnonzero(~confirmed & (delta > 0))
        if not len(heads) and not len(astray):
            return
        rows, amounts = np.concatenate((heads, astray)), np.concatenate((self._carried[k, sid[heads]], delta[astray]))
        delta[astray] = 0
        self._carried[k, sid[heads]] = 0
        takers = np.append(np.flatnonzero(confirmed), len(sid))
        taker = takers[np.searchsorted(takers, rows)]
        taken = taker < len(sid)
        taken[taken] = sid[taker[taken]] == sid[rows[taken]]
        np.add.at(delta, taker[taken], amounts[taken])
        np.add.at(self._carried[k], sid[rows[~taken]], amounts[~taken])

    def _step_exact(
        self,
        batch: EventBatch,
        rows: slice,
        occurred_us: IntColumn,
        readings: list[IntColumn],
        deltas: list[IntColumn],
        keep: NDArray[np.bool_],
        faults: list[RowFault],
    ) -> None:
        """Go through one session's rows one by one, as some reading of it is absurd or was."""
        sid = int(batch["sid"][rows.start])
        for row in range(rows.start, rows.stop):
            accepted: list[tuple[int, int, int]] = []
            problems: list[str] = []
            for k, (name, _) in enumerate(COUNTED):
                reading = int(readings[k][row])
                if reading < 0 or (self._by_time and occurred_us[row] < self._last_us[k, sid]):
                    continue
                delta = self._deltas.one(self._last[k, sid : sid + 1], reading)
                if delta is None:
                    delta = self._deltas.going_on(int(self._rejected[k, sid]), reading)
                if delta is not None:
                    accepted.append((k, reading, delta))
                    continue
                problems.append(self._deltas.problem(name, int(self._last[k, sid]), reading))
                if self._deltas.within(reading):
                    self._rejected[k, sid] = reading
            if problems:
                keep[row] = False
                self._faults[sid] += 1
                faults.append(self._fault(batch, row, sid, " ".join(problems)))
                continue
            for k, reading, delta in accepted:
                deltas[k][row] = delta
                self._last[k, sid] = reading
                self._rejected[k, sid] = NONE
                if self._by_time:
                    self._last_us[k, sid] = occurred_us[row]

    def _fault(self, batch: EventBatch, row: int, sid: int, detail: str) -> RowFault:
        texts = self._sessions.vocabulary.texts
        own = self._sessions
        plant, source, session = (texts[codes[sid]] for codes in (own.plant, own.source, own.session))
        at, seq, offset = (int(batch[name][row]) for name in ("row", "seq", "offset"))
        return RowFault(at, FaultCode.ABSURD_QUANTITY, detail, source, session, seq, offset, plant)

    def _grow(self, size: int) -> None:
        """Make room for session rows below ``size``."""
        known = len(self._faults)
        if size > known:
            room = max(size, 2 * known) - known
            none = np.full((len(COUNTED), room), NONE, np.int64)
            self._last = np.concatenate((self._last, none), axis=1)
            self._rejected = np.concatenate((self._rejected, none), axis=1)
            self._last_us = np.concatenate((self._last_us, np.full_like(none, _NEVER)), axis=1)
            self._carried = np.concatenate((self._carried, np.zeros_like(none)), axis=1)
            self._faults = np.concatenate((self._faults, np.zeros(room, np.int64)))
