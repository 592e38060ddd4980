"""Sequence: per session, ``ready`` concatenated is the sorted unique input without unexplained holes.

Laws, for every session of a source that numbers its records:

- in = ready + late + duplicates + faults + held, by count, at every moment;
- ``ready`` is strictly increasing in seq, and each number it skips lies in a declared gap;
- the outcome depends on the order of arrival and on ``now_us``, never on the cutting into batches.

A record whose number is expected is released with all held ones that follow it. One that is
ahead is held. One that is behind is *late* if it fills a declared gap, a *bad number* if it is
below a fixed ``start``, a *conflict* if its body differs from the one it repeats (looked up
``conflict_horizon_rows`` back), *too late* if its gap has been forgotten, and a duplicate
otherwise. A gap is declared when the oldest held record of the session has waited
``gap_timeout_s`` or when more than ``held_rows_max`` would be held.

The batch is sorted once by (session, seq). Sessions to which something rare happens in this batch
(a conflict, a late record, an overflow) take the exact path, record by record in the order of
arrival (``sequence_exact``), so that the fast path needs no exceptions (docs/decisions/0004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn, Sessions
from canonical.contracts.fault import FaultCode
from canonical.policy import SequencePolicy
from canonical.records import RowFault
from dataflows.processors.bodies import body_hashes
from dataflows.processors.gaps import DeclaredGap, Gaps
from dataflows.processors.sequence_exact import Arrivals, run_exact
from dataflows.processors.session_rows import SessionRows
from dataflows.processors.session_table import SessionTable
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows
from dataflows.processors.texts import from_table, to_table

KIND: Final = "sequence"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What became of a batch.

    ``ready`` is EVENT[k] ordered by (sid, seq) with columns sid and gaps; ``late`` is EVENT[l] in
    the order of arrival with the same columns; ``faults`` are rows set aside; ``gaps`` were
    declared just now.
    """

    ready: EventBatch = field(default_factory=EventBatch.empty)
    late: EventBatch = field(default_factory=EventBatch.empty)
    faults: list[RowFault] = field(default_factory=list)
    gaps: list[DeclaredGap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Held:
    """HELD[h]: records ahead of their session, with body hash and time of arrival."""

    events: EventBatch
    body: NDArray[np.uint32]
    arrived_us: IntColumn

    @staticmethod
    def none() -> Held:
        """Return no records."""
        return Held(EventBatch.empty(), np.empty(0, np.uint32), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.body)


class Sequence:
    """Puts numbered records in order.

    State:   O(sessions + held records + gaps remembered); bounds are fields of the policy.
    Source:  DESIGN laws 1, 2, 4; M08, M09; Sparkplug B 3.0 section 6.4 for modulus and sessions.
    """

    def __init__(self, policy: SequencePolicy, sessions: Sessions) -> None:
        assert policy.mode == "number"
        self.policy = policy
        self.sessions = sessions
        # A power of two, so that the place of a number is a mask away.
        self.table = SessionTable(sessions, 1 << (policy.conflict_horizon_rows - 1).bit_length())
        self.rows = SessionRows(self.table, policy.sessions_max)
        self.gaps = Gaps(policy.gaps_max)
        self.held = Held.none()
        self._timeout_us = round(policy.gap_timeout_s * 1_000_000)

    # -- steps ---------------------------------------------------------------------------------

    def step(self, batch: EventBatch, now_us: int) -> Sequenced:
        """Take EVENT[n] in the order of arrival; ``now_us`` never decreases."""
        if not batch.n:
            return Sequenced()
        sid, batch, faults = self.rows.of(batch)
        if not batch.n:
            return Sequenced(faults=faults)
        table = self.table
        table.add("read", sid)
        seq = self._unwrapped(sid, batch) if self.policy.modulus else batch["seq"].astype(np.int64, copy=False)
        self._start(sid, seq)
        batch = batch.with_columns({"sid": sid, "seq": seq})
        body = body_hashes(batch, self.sessions.vocabulary)
        arrived = np.full(batch.n, now_us, np.int64)
        if len(self.held):
            held = self.held
            batch = EventBatch.concat([held.events, batch])
            body = np.concatenate((held.body, body))
            arrived = np.concatenate((held.arrived_us, arrived))
        return self._place(batch, body, arrived, faults)

    def wake(self, now_us: int) -> Sequenced:
        """Declare the gaps whose wait is over and release what follows them."""
        due = self.due_us()
        if due is None or due > now_us:
            return Sequenced()
        late = self.held.arrived_us + self._timeout_us <= now_us
        sids = np.unique(self.held.events["sid"][late])
        rare = np.zeros(self.table.size, np.bool_)
        rare[sids] = True
        return self._place(self.held.events, self.held.body, self.held.arrived_us, [], rare, now_us)

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do, or None."""
        return int(self.held.arrived_us.min()) + self._timeout_us if len(self.held) else None

    def held_rows(self) -> IntColumn:
        """Return the number of held records per session."""
        return np.bincount(self.held.events["sid"], minlength=self.table.size)

    # -- the fast path ---------------------------------------------------------------------------

    def _place(
        self,
        batch: EventBatch,
        body: NDArray[np.uint32],
        arrived: IntColumn,
        faults: list[RowFault],
        rare: NDArray[np.bool_] | None = None,
        now_us: int | None = None,
    ) -> Sequenced:
        """Sort all candidates, held ones first, and decide on each; exactly once per call."""
        table = self.table
        size = table.size
        sid: NDArray[np.int32] = batch["sid"]
        seq: IntColumn = batch["seq"]
        rel = seq - table["next_seq"][sid]
        rare = np.zeros(size, np.bool_) if rare is None else rare
        behind = rel < 0
        some_behind = bool(behind.any())
        if some_behind:
            self._mark_rare_behind(rare, sid, seq, body, behind)
        ahead = np.flatnonzero(~behind) if some_behind else np.arange(batch.n)
        order = ahead[_sorted(sid[ahead], rel[ahead])]
        o_sid, o_rel = sid[order], rel[order]
        repeats = np.zeros(len(order), np.bool_)
        repeats[1:] = (o_sid[1:] == o_sid[:-1]) & (o_rel[1:] == o_rel[:-1])
        if repeats.any():
            again = np.flatnonzero(repeats)
            differ = body[order[again]] != body[order[again - 1]]
            rare[o_sid[again[differ]]] = True
        once = ~repeats
        first, f_sid, f_rel = order[once], o_sid[once], o_rel[once]
        rank = place_in_run(f_sid)
        self._mark_rare_overflow(rare, f_sid, f_rel, rank, first)

        exact = None
        if rare.any():
            mine = np.flatnonzero(rare[sid])
            exact = run_exact(
                self.policy, table, self.gaps, Arrivals(mine, sid[mine], seq[mine], body[mine], arrived[mine]), now_us
            )
            usual = ~rare[f_sid]
            first, f_sid, f_rel, rank = first[usual], f_sid[usual], f_rel[usual], rank[usual]
            table.add("duplicates", o_sid[repeats & ~rare[o_sid]])
            table.add("duplicates", sid[behind & ~rare[sid]])
        else:
            table.add("duplicates", o_sid[repeats])
            if some_behind:
                table.add("duplicates", sid[behind])

        contiguous = f_rel == rank
        ready = first[contiguous]
        r_sid = f_sid[contiguous]
        gaps = table["gaps"][r_sid].astype(np.int32)
        table.add("released", r_sid)
        table["next_seq"][:size] += np.bincount(r_sid, minlength=size)
        table.recent[r_sid, seq[ready] & (table.horizon - 1)] = body[ready]
        keep = first[~contiguous]
        if exact is not None:
            ready = np.concatenate((ready, exact.ready))
            gaps = np.concatenate((gaps, exact.ready_gaps))
            by_session = np.argsort(sid[ready], kind="stable")
            ready, gaps = ready[by_session], gaps[by_session]
            keep = np.concatenate((keep, exact.held))
        self._hold(batch, body, arrived, keep)
        out = batch.take(ready).with_columns({"gaps": gaps})
        if exact is None:
            return Sequenced(out, faults=faults)
        late = batch.take(exact.late).with_columns({"gaps": table["gaps"][sid[exact.late]].astype(np.int32)})
        faults = faults + [self._fault(batch, row, code) for row, code in exact.faults]
        return Sequenced(out, late if late.n else EventBatch.empty(), faults, exact.gaps)

    def _mark_rare_behind(
        self,
        rare: NDArray[np.bool_],
        sid: NDArray[np.int32],
        seq: IntColumn,
        body: NDArray[np.uint32],
        behind: NDArray[np.bool_],
    ) -> None:
        """Mark sessions with a record behind that is not plainly a duplicate."""
        table = self.table
        rows = np.flatnonzero(behind)
        b_sid, b_seq = sid[rows], seq[rows]
        seen = table.recent[b_sid, b_seq & (table.horizon - 1)]
        in_reach = b_seq >= table["next_seq"][b_sid] - table.horizon
        odd = in_reach & (seen != body[rows])
        odd |= ~in_reach & (b_seq < table["forgotten_below"][b_sid])
        odd |= b_seq < table["start_seq"][b_sid]
        if self.gaps:
            odd |= b_seq <= self.gaps.top(table.size)[b_sid]
        rare[b_sid[odd]] = True

    def _mark_rare_overflow(
        self,
        rare: NDArray[np.bool_],
        sid: NDArray[np.int32],
        rel: IntColumn,
        rank: IntColumn,
        arrival: NDArray[np.intp],
    ) -> None:
        """Mark sessions in which more than ``held_rows_max`` records may have waited at one time.

        A record has waited if one with a smaller number came after it or has not come at all.
        """
        counts = np.bincount(sid, minlength=self.table.size)
        if not len(sid) or counts.max() <= self.policy.held_rows_max:
            return
        group = np.cumsum(np.r_[0, sid[1:] != sid[:-1]]) * (len(arrival) + int(arrival.max()) + 1)
        waited = np.maximum.accumulate(arrival + group) - group > arrival
        waited |= rel != rank
        rare |= np.bincount(sid[waited], minlength=self.table.size) > self.policy.held_rows_max

    def _hold(self, batch: EventBatch, body: NDArray[np.uint32], arrived: IntColumn, keep: NDArray[np.intp]) -> None:
        if not len(keep):
            self.held = Held.none()
            return
        events = batch.take(keep)
        if "row" in events:
            events = events.with_columns({"row": np.full(events.n, -1, np.int32)})
        self.held = Held(events, body[keep], arrived[keep])

    # -- sessions and numbers ----------------------------------------------------------------------

    def _start(self, sid: NDArray[np.int32], seq: IntColumn) -> None:
        """Give new sessions their first expected number."""
        new = self.rows.take_new()
        if not new:
            return
        table = self.table
        if self.policy.start == "any":
            fresh, where = np.unique(sid, return_index=True)
            first = dict(zip(fresh.tolist(), seq[where].tolist(), strict=True))
            starts = [first[s] for s in new]
            for s, start in zip(new, starts, strict=True):
                if start > 0:
                    self.gaps.add(s, 0, start - 1, table["forgotten_below"])
        else:
            starts = [self.policy.start] * len(new)
        table["next_seq"][new] = starts
        table["start_seq"][new] = starts

    def _unwrapped(self, sid: NDArray[np.int32], batch: EventBatch) -> IntColumn:
        """Return numbers that go on where the modulus wraps.

        Each is the nearest continuation of the one that arrived before it in its session, so a
        record may be displaced by less than half the modulus.
        """
        modulus = self.policy.modulus
        assert modulus is not None
        raw = batch["seq"].astype(np.int64) % modulus
        order = np.argsort(sid, kind="stable")
        s, r = sid[order], raw[order]
        opens = np.r_[True, s[1:] != s[:-1]]
        last = self.table["unwrapped"][s]
        # A session that may begin anywhere begins one cycle up, so that what is displaced before it is not negative.
        begin = r + modulus if self.policy.start == "any" else self.policy.start
        before = np.where(opens, np.where(last >= 0, last, begin), np.r_[0, r[:-1]])
        move = (r - before + modulus // 2) % modulus - modulus // 2
        opening = np.maximum.accumulate(np.where(opens, np.arange(len(s)), 0))
        moved = np.cumsum(move)
        unwrapped = before[opening] + moved - (moved - move)[opening]
        out = np.empty(len(raw), np.int64)
        closes = np.flatnonzero(np.r_[s[1:] != s[:-1], True])
        reached = unwrapped[closes]
        lows = np.unique(np.searchsorted(closes, np.flatnonzero(unwrapped < 0)))
        for run in lows.tolist():
            first = int(closes[run - 1]) + 1 if run else 0
            mine = slice(first, int(closes[run]) + 1)
            unwrapped[mine], reached[run] = self._from_the_beginning(r[mine].tolist(), int(before[first]))
        out[order] = unwrapped
        self.table["unwrapped"][s[closes]] = reached
        return out

    def _from_the_beginning(self, raw: list[int], at: int) -> tuple[list[int], int]:
        """Unwrap the numbers of one session where some lead below 0; return them, and where the session has got to.

        A session that may begin anywhere takes such a number a cycle up. One with a fixed start does not follow it,
        and refuses it.
        """
        modulus = self.policy.modulus
        assert modulus is not None
        unwrapped = []
        for number in raw:
            to = at + (number - at + modulus // 2) % modulus - modulus // 2
            if to < 0 and self.policy.start == "any":
                to += modulus
            unwrapped.append(to)
            at = to if to >= 0 else at
        return unwrapped, at

    def _fault(self, batch: EventBatch, row: int, code: FaultCode) -> RowFault:
        texts = self.sessions.vocabulary.texts
        seq = int(batch["seq"][row])
        if seq < 0:  # below a fixed start; the plant's own number is meant
            assert self.policy.modulus is not None, "only a number that was unwrapped is negative"
            seq %= self.policy.modulus
        detail = {
            FaultCode.CONFLICTING_DUPLICATE: f"number {seq} was already received with another body",
            FaultCode.BAD_SEQUENCE: f"number {seq} is below the first of a session (sequencing.start)",
            FaultCode.TOO_LATE: f"number {seq} may fill a gap that is no longer remembered (gaps_max)",
        }[code]
        return RowFault(
            int(batch["row"][row]),
            code,
            detail,
            source=texts[batch["source"][row]],
            session=texts[batch["session"][row]],
            seq=seq,
            offset=int(batch["offset"][row]),
            plant=texts[batch["plant"][row]],
        )

    # -- state ---------------------------------------------------------------------------------------

    def encode(self) -> dict[str, bytes]:
        """Return the state in parts; texts in place of codes."""
        vocabulary = self.sessions.vocabulary
        names = session_columns(self.held.events["sid"], self.sessions)
        held = to_table(self.held.events, vocabulary)
        held = held.drop_columns([name for name in names if name in held.column_names])
        for name, column in names.items():
            held = held.append_column(name, column)
        held = held.append_column("body", pa.array(self.held.body))
        held = held.append_column("arrived_us", pa.array(self.held.arrived_us))
        return {
            "sequence.sessions": encode_table(KIND, VERSION, self.table.to_table()),
            "sequence.held": encode_table(KIND, VERSION, held),
            "sequence.gaps": encode_table(KIND, VERSION, self.gaps.to_table(self.sessions)),
        }

    @classmethod
    def decode(cls, policy: SequencePolicy, sessions: Sessions, state: Mapping[str, bytes]) -> Sequence:
        """Return the sequence that ``encode`` described, in the codes of ``sessions``.

        Raises: StateVersionUnknown.
        """
        out = cls(policy, sessions)
        _, table = decode_table(KIND, (VERSION,), state["sequence.sessions"])
        out.table = SessionTable.from_table(table, sessions, out.table.horizon)
        out.rows = SessionRows(out.table, policy.sessions_max)
        out.rows.refresh()
        _, held = decode_table(KIND, (VERSION,), state["sequence.held"])
        if held.num_rows:
            events = from_table(held, sessions.vocabulary)
            events = events.with_columns({"sid": session_rows(held, sessions)})
            out.held = Held(events, held.column("body").to_numpy(), held.column("arrived_us").to_numpy())
        _, gaps = decode_table(KIND, (VERSION,), state["sequence.gaps"])
        out.gaps = Gaps.from_table(gaps, sessions, policy.gaps_max)
        return out


def _sorted(sid: NDArray[np.int32], rel: IntColumn) -> NDArray[np.intp]:
    """Return the rows ordered by (sid, rel, arrival).

    numpy sorts 16-bit keys by radix, ten times as fast as wider ones, and all keys but those of
    a shard with great disorder fit into two or three of them.
    """
    if not len(sid):
        return np.empty(0, np.intp)
    keys: list[NDArray[np.generic]] = [sid.astype(np.uint16)]
    if int(sid.max()) > _SHORT:
        keys.append((sid >> 16).astype(np.uint16))
    return np.lexsort((rel.astype(np.uint16) if int(rel.max()) <= _SHORT else rel, *keys))


_SHORT: Final = np.iinfo(np.uint16).max


def place_in_run(group: NDArray[np.integer]) -> IntColumn:
    """Return each row's place within its run of equal values, from 0."""
    n = len(group)
    place = np.arange(n)
    if n:
        opens = np.r_[True, group[1:] != group[:-1]]
        place -= np.maximum.accumulate(np.where(opens, place, 0))
    return place
