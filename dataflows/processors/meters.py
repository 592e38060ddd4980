"""Counters that are not one of each session: one of each work centre, or one that goes on over sessions.

Law: a row's quantities are those that ``Counter`` gives it where a session is what the row's meter is: the source, its
session where ``scope`` is session, and its work centre where ``by_work_center``. Order, sessions and faults of the rows
stay what they were. So a device of a Sparkplug edge node counts for itself, though all of them share one numbering, and
what a machine made while its link was down is counted with the first reading of the next session.

Over sessions it is the time of a reading that says which is newer, as where records have no numbers: a session that
waits for a missing number may come after the one that followed it.

A row of one more meter than ``meters_max`` is a fault, SESSIONS_EXHAUSTED, as that of one more session is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from canonical.columns import CodeColumn, EventBatch, IntColumn, Sessions
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.policy import CounterPolicy, Route
from canonical.records import RowFault
from canonical.repeated_hours import RepeatedHours
from dataflows.processors.counter import Counted, Counter
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows

KIND: Final = "meters"
VERSION: Final = 1
PARTED: Final = "\x1f"
"""Stands between session and work centre in the name of a meter; no text of a record holds it."""


class Meters:
    """A ``Counter`` of meters. Arguments as for ``Counter``; O(meters)."""

    def __init__(
        self,
        policy: CounterPolicy,
        routes: Mapping[EventType, Route],
        sessions: Sessions,
        *,
        by_time: bool,
        repeated: RepeatedHours | None = None,
        data: bytes | None = None,
    ) -> None:
        """Begin, or go on from what ``encode`` stored. Raises: StateVersionUnknown."""
        self._policy, self._sessions = policy, sessions
        by_time = by_time or policy.scope == "source"
        self._meters = Sessions(sessions.vocabulary)
        self._faults = np.zeros(0, np.int64)  # by sid
        if data is None:
            self._counter = Counter(policy, routes, self._meters, by_time=by_time, repeated=repeated)
            return
        reader = pa.BufferReader(data)
        _, table = decode_table(KIND, {VERSION}, reader)
        sids = session_rows(table, sessions)
        self._grow(len(sessions))
        self._faults[sids] = table.column("faults").to_numpy()
        self._counter = Counter.decode(policy, routes, self._meters, reader, by_time=by_time, repeated=repeated)

    def step(self, batch: EventBatch, late: EventBatch, now_us: int) -> Counted:
        """Add the deltas of this batch's readings to its quantities; as ``Counter.step``."""
        if not len(batch):
            return Counted(batch, late, [])
        meter = self._meter(batch)
        order = np.argsort(meter, kind="stable")
        order = order[np.searchsorted(meter[order], 0) :]
        # Each row is known by its place in the batch until it has its session and its number back.
        own = batch.take(order).with_columns({"sid": meter[order], "row": order.astype(np.int32)})
        done = self._counter.step(own, late, now_us)
        ready = done.ready.take(np.argsort(done.ready["row"]))
        places = ready["row"]
        ready = ready.with_columns({name: batch[name][places] for name in ("sid", "row")})
        faults = [self._own(batch, fault) for fault in done.faults]
        faults += [self._beyond(batch, int(row)) for row in np.flatnonzero(meter < 0)]
        return Counted(ready, late, sorted(faults, key=lambda fault: fault.row))

    def faulted(self) -> tuple[IntColumn, IntColumn]:
        """Return the sessions (``sid``) with faults raised here and how many each, running totals."""
        sids = np.flatnonzero(self._faults)
        return sids, self._faults[sids]

    def encode(self) -> bytes:
        """Return the state: a row for each session with faults, and the counter of the meters."""
        sids, faults = self.faulted()
        table = pa.table({**session_columns(sids, self._sessions), "faults": pa.array(faults)})
        return encode_table(KIND, VERSION, table) + self._counter.encode()

    def _meter(self, batch: EventBatch) -> CodeColumn:
        """Return the meter of each row, -1 where there are too many."""
        plant, source, session = (codes[batch["sid"]] for codes in self._sessions.codes())
        places = batch["work_center"] if self._policy.by_work_center else np.zeros_like(session)
        if self._policy.scope == "source":
            session = np.zeros_like(session)
        keys, inverse = np.unique(np.stack((plant, source, session, places)), axis=1, return_inverse=True)
        texts, code = self._sessions.vocabulary.texts, self._sessions.vocabulary.code
        named = [(p, s, code(f"{texts[n]}{PARTED}{texts[w]}")) for p, s, n, w in keys.T.tolist()]
        return np.array(self._meters.rows(named, self._policy.meters_max), np.int32)[inverse.reshape(-1)]

    def _own(self, batch: EventBatch, fault: RowFault) -> RowFault:
        """Return the fault of a row under its own session and number, and count it."""
        session = self._counted(batch, fault.row)[2]
        return replace(fault, row=int(batch["row"][fault.row]), session=session)

    def _beyond(self, batch: EventBatch, place: int) -> RowFault:
        plant, source, session = self._counted(batch, place)
        row, seq, offset = (int(batch[name][place]) for name in ("row", "seq", "offset"))
        detail = f"there are {self._policy.meters_max} counters already; counters.meters_max bounds them."
        return RowFault(row, FaultCode.SESSIONS_EXHAUSTED, detail, source, session, seq, offset, plant)

    def _counted(self, batch: EventBatch, place: int) -> tuple[str, str, str]:
        """Count a fault of a row's session; return its plant, source and session."""
        sid = int(batch["sid"][place])
        self._grow(len(self._sessions))
        self._faults[sid] += 1
        texts = self._sessions.vocabulary.texts
        plant, source, session = (texts[codes[sid]] for codes in self._sessions.codes())
        return plant, source, session

    def _grow(self, size: int) -> None:
        """Make room for session rows below ``size``."""
        if size > len(self._faults):
            room = max(size, 2 * len(self._faults)) - len(self._faults)
            self._faults = np.concatenate((self._faults, np.zeros(room, np.int64)))
