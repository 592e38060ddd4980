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
from canonical.gather import Codes, batch_of, codes_of, gather, row_of
from canonical.policy import SequencePolicy
from canonical.records import RowFault
from dataflows.processors.bodies import body_hashes
from dataflows.processors.gaps import DeclaredGap, Gaps
from dataflows.processors.held import Held
from dataflows.processors.places import Places, heads_of, place_in_run
from dataflows.processors.sequence_exact import Arrivals, Placed, run_exact
from dataflows.processors.session_rows import SessionRows
from dataflows.processors.session_table import SessionTable
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows
from dataflows.processors.texts import from_table, to_table
from dataflows.processors.wraps import unwrapped

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
class _Release:
    """Rows of the batch, and places among the held records, that are released together.

    ``codes`` say where the rows are, ordered by (sid, seq); ``sid`` and ``seq`` are theirs. ``held`` are the
    places of those that were held, ascending; ``keep`` the rows of the batch that wait.
    """

    codes: Codes
    sid: NDArray[np.int32]
    seq: IntColumn
    held: Places
    keep: Places


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
        self.held = Held()
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
        seq = (
            unwrapped(self.policy, table, sid, batch)
            if self.policy.modulus
            else batch["seq"].astype(np.int64, copy=False)
        )
        self._start(sid, seq)
        batch = batch.with_columns({"sid": sid, "seq": seq})
        return self._place(batch, body_hashes(batch, self.sessions.vocabulary), now_us, faults)

    def wake(self, now_us: int) -> Sequenced:
        """Declare the gaps whose wait is over and release what follows them."""
        due = self.due_us()
        if due is None or due > now_us:
            return Sequenced()
        waited = self.held.arrived_by(now_us - self._timeout_us)
        nothing = EventBatch(0, {"sid": np.empty(0, np.int32), "seq": np.empty(0, np.int64)})
        return self._place(nothing, np.empty(0, np.uint32), now_us, [], waited)

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do, or None."""
        oldest_us = self.held.oldest_us()
        return None if oldest_us is None else oldest_us + self._timeout_us

    def held_rows(self) -> IntColumn:
        """Return the number of held records per session."""
        self.held.grow(self.table.size)
        return self.held.counts[: self.table.size].copy()

    # -- the fast path ---------------------------------------------------------------------------

    def _place(
        self,
        batch: EventBatch,
        body: NDArray[np.uint32],
        now_us: int,
        faults: list[RowFault],
        waited: NDArray[np.int32] | None = None,
    ) -> Sequenced:
        """Decide on each row of the batch and on what is held of its session; exactly once per call.

        Args: waited: sessions of which a record has waited too long; their gaps are declared.
        """
        table, held = self.table, self.held
        held.grow(table.size)
        sid: NDArray[np.int32] = batch["sid"]
        seq: IntColumn = batch["seq"]
        rel = seq - table["next_seq"][sid]
        rare = np.zeros(table.size, np.bool_)
        if waited is not None:
            rare[waited] = True
        behind = rel < 0
        some_behind = bool(behind.any())
        if some_behind:
            self._mark_rare_behind(rare, sid, seq, body, behind)
            ahead = np.flatnonzero(~behind)
            order = ahead[_sorted(sid[ahead], rel[ahead])]
        else:
            order = _sorted(sid, rel)
        o_sid, o_rel = sid[order], rel[order]
        repeats = np.zeros(len(order), np.bool_)
        repeats[1:] = (o_sid[1:] == o_sid[:-1]) & (o_rel[1:] == o_rel[:-1])
        self._mark_rare_repeats(rare, o_sid, body, order, np.flatnonzero(repeats))
        if len(held):
            self._find_held(rare, o_sid, seq, body, order, repeats)
        first, f_sid, f_rel = order, o_sid, o_rel
        if repeats.any():
            once = ~repeats
            first, f_sid, f_rel = order[once], o_sid[once], o_rel[once]
        rank = place_in_run(f_sid)
        self._mark_rare_overflow(rare, f_sid, f_rel, rank, first)
        exact_sids = np.flatnonzero(rare)
        if len(exact_sids):
            usual = ~rare[f_sid]
            first, f_sid, f_rel, rank = first[usual], f_sid[usual], f_rel[usual], rank[usual]
            repeats &= ~rare[o_sid]
            behind &= ~rare[sid]
        table.add("duplicates", o_sid[repeats])
        if some_behind:
            table.add("duplicates", sid[behind])

        go = self._released(first, f_sid, f_rel, f_rel == rank)
        number = held.next_batch
        batches = {**held.batches(), number: batch}
        bodies = {**held.bodies(), number: body}
        table.add("released", go.sid)
        np.add.at(table["next_seq"], go.sid, 1)
        table.recent[go.sid, go.seq & (table.horizon - 1)] = gather(bodies, go.codes, np.uint32)
        ready = EventBatch.select(batches, go.codes).with_columns(
            {"sid": go.sid, "seq": go.seq, "gaps": table["gaps"][go.sid].astype(np.int32)}
        )
        if not len(exact_sids):
            self._hold(batch, body, now_us, go.held, go.keep)
            return Sequenced(ready, faults=faults)

        mine, of_held = np.flatnonzero(rare[sid]), held.of(exact_sids)
        codes = held.codes(of_held)
        rows = np.concatenate((codes, codes_of(number, mine)))
        concerned = EventBatch.select(batches, rows)
        arrivals = Arrivals(
            rows,
            concerned["sid"],
            concerned["seq"],
            gather(bodies, rows, np.uint32),
            np.concatenate((held.arrived_us(codes), np.full(len(mine), now_us, np.int64))),
        )
        exact = run_exact(self.policy, table, self.gaps, arrivals, None if waited is None else now_us)
        gone = np.sort(np.concatenate((go.held, of_held[~np.isin(codes, exact.held)])))
        keep = np.concatenate((go.keep, row_of(exact.held[batch_of(exact.held) == number])))
        self._hold(batch, body, now_us, gone, keep)
        return self._with_exact(ready, batches, exact, faults)

    def _with_exact(
        self, ready: EventBatch, batches: Mapping[int, EventBatch], exact: Placed, faults: list[RowFault]
    ) -> Sequenced:
        """Add to what is ready what came of the exact path."""
        exactly = EventBatch.select(batches, exact.ready).with_columns({"gaps": exact.ready_gaps})
        ready = EventBatch.concat([ready, exactly])
        late = EventBatch.empty()
        if len(exact.late):
            late = EventBatch.select(batches, exact.late)
            late = late.with_columns({"gaps": self.table["gaps"][late["sid"]].astype(np.int32)})
        refused = EventBatch.select(batches, np.array([at for at, _ in exact.faults], np.int64))
        faults = faults + [self._fault(refused, row, code) for row, (_, code) in enumerate(exact.faults)]
        return Sequenced(ready.take(np.argsort(ready["sid"], kind="stable")), late, faults, exact.gaps)

    def _released(self, rows: Places, sid: NDArray[np.int32], rel: IntColumn, ready: NDArray[np.bool_]) -> _Release:
        """Return what is released.

        Args: rows, sid, rel: distinct rows of the batch, ordered by (sid, rel), none of them held.
              ready: which of them follow their session without any held record between.
        """
        held, none = self.held, np.empty(0, np.intp)
        met = np.empty(0, np.int32)
        if len(held) and len(rows):
            # A session goes on into its held records where the number after its ready rows is among them.
            heads = heads_of(sid)
            goes_to = np.add.reduceat(ready, heads, dtype=np.int64)
            own = sid[heads]
            may = (goes_to > 0) & (held.counts[own] > 0)
            may_sid = own[may]
            found, _ = held.find(held.keys(may_sid, self.table["next_seq"][may_sid] + goes_to[may]))
            met = may_sid[found]
        batch = held.next_batch
        next_seq = self.table["next_seq"]
        if not len(met):
            r_sid = sid[ready]
            return _Release(codes_of(batch, rows[ready]), r_sid, rel[ready] + next_seq[r_sid], none, rows[~ready])
        at = held.of(met)
        h_sid = held.sid(at)
        meets = np.zeros(self.table.size, np.bool_)
        meets[met] = True
        mixed = meets[sid] | ready
        sids = np.concatenate((h_sid, sid[mixed]))
        rels = np.concatenate((held.seq(at) - next_seq[h_sid], rel[mixed]))
        order = _sorted(sids, rels)
        sids, rels = sids[order], rels[order]
        follows = rels == place_in_run(sids)
        waits = order[~follows]
        order, sids, rels = order[follows], sids[follows], rels[follows]
        goes = np.zeros(len(at), np.bool_)
        goes[order[order < len(at)]] = True
        own_rows = rows[mixed]
        keep = np.concatenate((rows[~mixed], own_rows[waits[waits >= len(at)] - len(at)]))
        codes = np.concatenate((held.codes(at), codes_of(batch, own_rows)))[order]
        return _Release(codes, sids, rels + next_seq[sids], at[goes], keep)

    def _hold(self, batch: EventBatch, body: NDArray[np.uint32], now_us: int, gone: Places, keep: Places) -> None:
        """Let held records at these places go, and hold these rows of the batch."""
        self.held.remove(gone)
        if len(keep):
            self.held.insert(batch, keep, body, np.full(batch.n, now_us, np.int64), self.table["next_seq"])

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

    def _mark_rare_repeats(
        self, rare: NDArray[np.bool_], sid: NDArray[np.int32], body: NDArray[np.uint32], order: Places, again: Places
    ) -> None:
        """Mark sessions with a record whose body is not that of the one it repeats, just before it in this order."""
        if len(again):
            differ = body[order[again]] != body[order[again - 1]]
            rare[sid[again[differ]]] = True

    def _find_held(
        self,
        rare: NDArray[np.bool_],
        sid: NDArray[np.int32],
        seq: IntColumn,
        body: NDArray[np.uint32],
        order: Places,
        repeats: NDArray[np.bool_],
    ) -> None:
        """Mark in ``repeats`` the rows, in this order, whose number is held, and in ``rare`` the conflicts.

        Args: sid, repeats: in that order. seq, body: of the batch.
        """
        rare[self.held.far()] = True  # A number may have the key of another one that is held.
        mine = np.flatnonzero(self.held.counts[sid])
        if not len(mine):
            return
        rows = order[mine]
        keys = self.held.keys(sid[mine], seq[rows])
        found, at = self.held.find(keys)
        if found.any():
            differ = body[rows[found]] != gather(self.held.bodies(), self.held.codes(at[found]), np.uint32)
            again = mine[found]
            repeats[again] = True
            rare[sid[again[differ]]] = True

    def _mark_rare_overflow(
        self,
        rare: NDArray[np.bool_],
        sid: NDArray[np.int32],
        rel: IntColumn,
        rank: IntColumn,
        arrival: Places,
    ) -> None:
        """Mark sessions in which more than ``held_rows_max`` records may have waited at one time.

        A record has waited if one with a smaller number came after it or has not come at all, so all held ones have.
        """
        if not len(sid):
            return
        heads = heads_of(sid)
        own, limit = sid[heads], self.policy.held_rows_max
        if not (np.diff(heads, append=len(sid)) + self.held.counts[own] > limit).any():
            return
        group = np.cumsum(np.r_[0, sid[1:] != sid[:-1]]) * (int(arrival.max()) + 1)
        waited = np.maximum.accumulate(arrival + group) - group > arrival
        waited |= rel != rank
        waiting = np.add.reduceat(waited, heads, dtype=np.int64) + self.held.counts[own]
        rare[own[waiting > limit]] = True

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
        codes = np.sort(self.held.codes(np.arange(len(self.held))))
        events = EventBatch.select(self.held.batches(), codes)
        names = session_columns(events["sid"], self.sessions)
        held = to_table(events, vocabulary)
        held = held.drop_columns([name for name in names if name in held.column_names])
        for name, column in names.items():
            held = held.append_column(name, column)
        held = held.append_column("body", pa.array(gather(self.held.bodies(), codes, np.uint32)))
        held = held.append_column("arrived_us", pa.array(self.held.arrived_us(codes)))
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
            out.held.grow(out.table.size)
            body, arrived_us = (held.column(name).to_numpy() for name in ("body", "arrived_us"))
            by_age = np.argsort(arrived_us, kind="stable")  # earlier releases wrote them by session
            out.held.insert(
                events.take(by_age).made(), np.arange(events.n), body[by_age], arrived_us[by_age], out.table["next_seq"]
            )
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
