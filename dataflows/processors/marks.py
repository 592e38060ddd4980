"""Marks: the instants from which sources are in a state, as their events tell (M22).

Laws, for every session: each start, pause, resume, complete and downtime among its rows is one mark; so is good
output (type partial) after a stop or setup that nothing told to be over, since a machine that makes something runs:
unless the policy says that its machines tell every change.
The marks depend on the rows, never on how these were cut into steps nor on a restart between two of them.

A late row is a mark at its own instant and changes nothing else: who puts marks in the order of their instants finds
the states that were, in whatever order they arrived. A session starts without a stop.

Source: ISO 22400-2 (which time counts as what); docs/decisions/0019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EVENT_TYPES, TYPE_CODE, EventBatch, IntColumn, Sessions
from canonical.contracts import EventType, MachineState
from canonical.policy import StatePolicy
from dataflows.processors.kinds import SPAN, looked_up
from dataflows.processors.places import heads_of
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows

KIND: Final = "marks.stopped"
VERSION: Final = 1
STATES: Final = tuple(MachineState)
STATE_OF: Final[Mapping[EventType, MachineState]] = {
    EventType.START: MachineState.PRODUCTION,
    EventType.RESUME: MachineState.PRODUCTION,
    EventType.PAUSE: MachineState.DELAY,
    EventType.DOWNTIME: MachineState.DOWN,
    EventType.COMPLETE: MachineState.IDLE,
}
"""What a source is in from an event of each type on; a reason for setup makes setup of all but the last."""

_CODE: Final = {state: code for code, state in enumerate(STATES)}
_NONE: Final = -1
_TEXTS: Final = ("reason", "order", "operation", "work_center")
_ENDED_BY_OUTPUT: Final = np.array(
    [state in {MachineState.SETUP, MachineState.DELAY, MachineState.DOWN} for state in STATES]
)
_State = NDArray[np.int8]


class Marks:
    """Which sessions of a shard stand still, as far as they told. State: O(those sessions), and a byte a session."""

    __slots__ = ("_count", "_output_ends_stops", "_sessions", "_setup", "_state_of", "_stopped", "_tells")

    def __init__(self, policy: StatePolicy, sessions: Sessions) -> None:
        self._sessions = sessions
        self._output_ends_stops: Final = policy.output_ends_stops
        self._setup: Final = sessions.vocabulary.codes(policy.setup_reasons)
        state_of = np.full(SPAN, _NONE, np.int8)
        state_of[: len(EVENT_TYPES)] = [_CODE[STATE_OF[t]] if t in STATE_OF else _NONE for t in EVENT_TYPES]
        self._state_of: Final = state_of.tobytes()
        self._tells: Final = state_of != _NONE
        self._stopped: NDArray[np.bool_] = np.zeros(0, np.bool_)  # by sid
        self._count = 0  # of those

    def concerned(self, kinds: NDArray[np.bool_]) -> bool:
        """Return whether rows of these types (``kinds``) may be marks; ``step`` has nothing to do with others."""
        return bool(self._count or (self._tells & kinds).any())

    def step(self, batch: EventBatch, late: EventBatch) -> dict[str, list[Any]]:
        """Return the marks of these rows as columns of ``StateMark``.

        Args:
            batch: EVENT[n] ordered by (sid, seq).
            late: EVENT[k] that fill declared gaps.
        """
        marks = [self._columns(batch, *self._ready(batch)), self._columns(late, *self._told(late))]
        return {name: [value for each in marks for value in each[name]] for name in marks[0]}

    def encode(self) -> bytes:
        """Return the sessions that stand still."""
        sids = np.flatnonzero(self._stopped)
        return encode_table(KIND, VERSION, pa.table(session_columns(sids, self._sessions)))

    @classmethod
    def decode(cls, policy: StatePolicy, sessions: Sessions, data: bytes) -> Marks:
        """Return the state that ``encode`` stored, bound to the session rows of this process.

        Raises: StateVersionUnknown.
        """
        marks = cls(policy, sessions)
        sids = session_rows(decode_table(KIND, {VERSION}, data)[1], sessions)
        marks._grow()
        if policy.output_ends_stops:
            marks._stopped[sids] = True
            marks._count = len(sids)
        return marks

    def _told(self, batch: EventBatch) -> tuple[IntColumn, _State]:
        """Return the rows that tell a state, and which."""
        state = looked_up(batch["type"], self._state_of)
        rows = np.flatnonzero(state != _NONE)
        state = state[rows]
        if len(rows) and "reason" in batch:
            setup = np.isin(batch.at("reason", rows), self._setup) & (state != _CODE[MachineState.IDLE])
            state[setup] = _CODE[MachineState.SETUP]
        return rows, state

    def _ready(self, batch: EventBatch) -> tuple[IntColumn, _State]:
        """Return the rows that are marks, and the state from each on; remember which sessions stand still."""
        rows, state = self._told(batch)
        if not self._output_ends_stops or (not len(rows) and not self._count):
            return rows, state
        self._grow()
        rows, state = self._with_output(batch, rows, state)
        if not len(rows):
            return rows, state
        sid = batch.at("sid", rows)
        stops = _ENDED_BY_OUTPUT[state]
        heads = heads_of(sid)
        before = np.empty(len(rows), np.bool_)
        before[1:] = stops[:-1]
        before[heads] = self._stopped[sid[heads]]
        told = batch.at("type", rows) != TYPE_CODE[EventType.PARTIAL]
        last = np.append(heads[1:], len(rows)) - 1
        self._stopped[sid[last]] = stops[last]
        self._count = int(self._stopped.sum())
        kept = told | before
        return rows[kept], state[kept]

    def _with_output(self, batch: EventBatch, rows: IntColumn, state: _State) -> tuple[IntColumn, _State]:
        """Return also the rows of good output in sessions that stand still at some time."""
        if "good" not in batch:
            return rows, state
        still = self._stopped.copy()
        still[batch.at("sid", rows[_ENDED_BY_OUTPUT[state]])] = True
        output = np.flatnonzero((batch["type"] == TYPE_CODE[EventType.PARTIAL]) & still[batch["sid"]])
        output = output[batch.at("good", output) > 0]
        merged = np.concatenate((rows, output))
        states = np.concatenate((state, np.full(len(output), _CODE[MachineState.PRODUCTION], np.int8)))
        order = np.argsort(merged, kind="stable")
        return merged[order], states[order]

    def _columns(self, batch: EventBatch, rows: IntColumn, state: _State) -> dict[str, list[Any]]:
        sessions, texts = self._sessions, self._sessions.vocabulary.texts
        sids = batch.at("sid", rows).tolist()
        columns: dict[str, list[Any]] = {
            name: [texts[codes[sid]] for sid in sids]
            for name, codes in (("plant", sessions.plant), ("source", sessions.source), ("session", sessions.session))
        }
        columns["seq"], columns["occurred_us"] = batch.at("seq", rows).tolist(), batch.at("occurred_us", rows).tolist()
        columns["type"] = [EVENT_TYPES[code].value for code in batch.at("type", rows).tolist()]
        columns["state"] = [STATES[code].value for code in state.tolist()]
        columns |= {name: [texts[code] for code in batch.at(name, rows).tolist()] for name in _TEXTS}
        return columns

    def _grow(self) -> None:
        """Make room for the sessions there are."""
        known = len(self._stopped)
        if len(self._sessions) > known:
            more = np.zeros(max(len(self._sessions) - known, known), np.bool_)
            self._stopped = np.concatenate((self._stopped, more))
