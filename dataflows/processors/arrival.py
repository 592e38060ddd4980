"""Arrival: records of sources that do not number them, in the order in which they came.

Laws, for every source:

- in = ready + duplicates + faults, by count; nothing is held and nothing is late;
- of the records with one identity (event id, or content where there is none) that come within
  ``identity_horizon_rows`` new identities of each other, exactly the first is ready, so a file
  that is dropped again yields nothing new (M03, M08);
- ``ready`` is numbered from 0 without holes per session, in the order of arrival.

A session is the source's own, or it opens with a record marked ``session_start`` (the first line
an MTConnect adapter sends on connecting) and is then named by that record's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import CodeColumn, EventBatch, IntColumn, Sessions
from canonical.policy import SequencePolicy
from dataflows.processors.places import place_in_run
from dataflows.processors.sequence import Sequenced
from dataflows.processors.session_rows import SessionRows
from dataflows.processors.session_table import SessionTable
from dataflows.processors.state import decode_table, encode_table
from dataflows.processors.texts import text_array, text_codes

KIND: Final = "arrival"
VERSION: Final = 1
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


class Arrival:
    """Numbers records as they come and drops those that came before.

    State:   O(sessions + identities remembered); bounds are fields of the policy.
    Source:  DESIGN law 2 for sources without a sequence; M03, M08.
    """

    def __init__(self, policy: SequencePolicy, sessions: Sessions) -> None:
        assert policy.mode == "arrival"
        self.policy = policy
        self.sessions = sessions
        self.table = SessionTable(sessions, horizon=1)
        self.rows = SessionRows(self.table, policy.sessions_max)
        self.known = Identities(policy.identity_horizon_rows)
        self._open: dict[int, int] = {}  # source code -> code of the session that is open

    def step(self, batch: EventBatch, now_us: int) -> Sequenced:  # noqa: ARG002 - nothing here waits
        """Take EVENT[n] in the order of arrival; column ``identity`` says which are the same."""
        if not batch.n:
            return Sequenced()
        source = self.sessions.vocabulary.crc()[batch["source"]]
        fresh = self.known.add(batch["identity"] + source * _SPREAD)
        batch = batch.with_columns({"session": self._sessions(batch, fresh)})
        # session_start has done its work; from here on it marks the rows that are not duplicates.
        sid, batch, faults = self.rows.of(batch.with_columns({"session_start": fresh}))
        fresh = batch["session_start"]
        self.table.add("read", sid)
        self.table.add("duplicates", sid[~fresh])
        self.rows.take_new()
        order = np.flatnonzero(fresh)
        order = order[np.argsort(sid[order], kind="stable")]
        r_sid = sid[order]
        seq = self.table["next_seq"][r_sid] + place_in_run(r_sid)
        self.table.add("released", r_sid)
        self.table["next_seq"][: self.table.size] += np.bincount(r_sid, minlength=self.table.size)
        ready = batch.take(order)
        zero = np.zeros(ready.n, np.int32)
        return Sequenced(ready.with_columns({"sid": r_sid, "seq": seq, "gaps": zero}), faults=faults)

    def wake(self, now_us: int) -> Sequenced:  # noqa: ARG002
        """Do nothing: nothing here waits."""
        return Sequenced()

    def due_us(self) -> int | None:
        """Return None: nothing here waits."""
        return None

    def held_rows(self) -> IntColumn:
        """Return zero per session: nothing is held."""
        return np.zeros(self.table.size, np.int64)

    def _sessions(self, batch: EventBatch, fresh: NDArray[np.bool_]) -> CodeColumn:
        """Return the session of each record: its own, or the one its source opened last."""
        if "session" in batch or not ("session_start" in batch or self._open):
            return batch["session"]
        source = batch["source"]
        starts = batch["session_start"] & fresh
        order = np.argsort(source, kind="stable")
        s_source, s_starts = source[order], starts[order]
        opens = np.r_[True, s_source[1:] != s_source[:-1]]
        place = np.arange(batch.n)
        latest = np.maximum.accumulate(np.where(s_starts, place, -1))
        within = latest >= np.maximum.accumulate(np.where(opens, place, 0))
        times = np.datetime_as_string(batch["occurred_us"][order[s_starts]].astype("datetime64[us]"), timezone="UTC")
        named = np.zeros(batch.n, np.int32)
        named[s_starts] = self.sessions.vocabulary.codes(times.tolist())
        before = np.zeros(int(source.max()) + 1, np.int32)
        for code, session in self._open.items():
            if code < len(before):
                before[code] = session
        told = np.where(within, named[latest], before[s_source])
        closes = np.r_[s_source[1:] != s_source[:-1], True]
        self._open.update(zip(s_source[closes].tolist(), told[closes].tolist(), strict=True))
        out = np.empty(batch.n, np.int32)
        out[order] = told
        return out

    def encode(self) -> dict[str, bytes]:
        """Return the state in parts; texts in place of codes."""
        vocabulary = self.sessions.vocabulary
        source, session = (np.fromiter(codes, np.int32) for codes in (self._open.keys(), self._open.values()))
        opened = pa.table({"source": text_array(source, vocabulary), "session": text_array(session, vocabulary)})
        known = pa.table({"identity": pa.array(self.known.by_age())})
        return {
            "sequence.sessions": encode_table(KIND, VERSION, self.table.to_table()),
            "sequence.open": encode_table(KIND, VERSION, opened),
            "sequence.known": encode_table(KIND, VERSION, known),
        }

    @classmethod
    def decode(cls, policy: SequencePolicy, sessions: Sessions, state: Mapping[str, bytes]) -> Arrival:
        """Return the arrival that ``encode`` described, in the codes of ``sessions``.

        Raises: StateVersionUnknown.
        """
        out = cls(policy, sessions)
        _, table = decode_table(KIND, (VERSION,), state["sequence.sessions"])
        out.table = SessionTable.from_table(table, sessions, horizon=1)
        out.rows = SessionRows(out.table, policy.sessions_max)
        out.rows.refresh()
        _, opened = decode_table(KIND, (VERSION,), state["sequence.open"])
        pairs = (text_codes(opened.column(name), sessions.vocabulary).tolist() for name in ("source", "session"))
        out._open = dict(zip(*pairs, strict=True))
        _, known = decode_table(KIND, (VERSION,), state["sequence.known"])
        out.known.add(known.column("identity").to_numpy())
        return out


class Identities:
    """The last ``horizon`` distinct identities, each with its age."""

    __slots__ = ("_age", "_count", "_keys", "horizon")

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self._keys: NDArray[np.uint64] = np.empty(0, np.uint64)  # sorted
        self._age: IntColumn = np.empty(0, np.int64)
        self._count = 0

    def add(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which of these, taken in order, are new, and remember them."""
        parts = [self._add(keys[at : at + self.horizon]) for at in range(0, len(keys), self.horizon)]
        return np.concatenate(parts) if parts else np.empty(0, np.bool_)

    def by_age(self) -> NDArray[np.uint64]:
        """Return the identities remembered, the oldest first."""
        return self._keys[np.argsort(self._age)]

    def _add(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Take at most ``horizon`` keys, so that none of them is forgotten meanwhile."""
        fresh = np.zeros(len(keys), np.bool_)
        fresh[np.unique(keys, return_index=True)[1]] = True
        place = np.searchsorted(self._keys, keys)
        inside = np.minimum(place, max(len(self._keys) - 1, 0))
        known = self._keys[inside] == keys if len(self._keys) else np.zeros(len(keys), np.bool_)
        fresh &= ~known
        if known.any():
            ahead = self._count + np.cumsum(fresh) - fresh
            if (self._age[inside[known]] < ahead[known] - self.horizon).any():
                return self._add_singly(keys)
        new = keys[fresh]
        self._remember(new)
        return fresh

    def _add_singly(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Take keys one by one: some that are known now will have been forgotten before they come."""
        ages = dict(zip(self._keys.tolist(), self._age.tolist(), strict=True))
        fresh = np.zeros(len(keys), np.bool_)
        for i, key in enumerate(keys.tolist()):
            age = ages.get(key)
            fresh[i] = age is None or age < self._count - self.horizon
            if fresh[i]:
                ages[key] = self._count
                self._count += 1
        kept = {key: age for key, age in ages.items() if age >= self._count - self.horizon}
        order = sorted(kept)
        self._keys = np.array(order, np.uint64)
        self._age = np.array([kept[key] for key in order], np.int64)
        return fresh

    def _remember(self, new: NDArray[np.uint64]) -> None:
        if not len(new):
            return
        age = self._count + np.arange(len(new))
        self._count += len(new)
        kept = self._age >= self._count - self.horizon
        keys, ages = self._keys[kept], self._age[kept]
        order = np.argsort(new)
        place = np.searchsorted(keys, new[order])
        self._keys = np.insert(keys, place, new[order])
        self._age = np.insert(ages, place, age[order])
