"""Place: which rows of a batch follow their session, which wait, and which are repeats; all sessions at once.

Law: a session to which something rare happens is marked, and nothing of it is touched. For each other one, what is
released is the numbers that follow its last one without a hole, of its rows and its held records together.

This is the twin in numpy of the kernel in ``placed_by_kernel``, and stands in for it where it was not compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.gather import codes_of, gather
from canonical.policy import SequencePolicy
from dataflows.processors.gaps import Gaps
from dataflows.processors.held import Held
from dataflows.processors.places import Places, heads_of, place_in_run
from dataflows.processors.release import Mask, Release
from dataflows.processors.session_table import SessionTable


@dataclass(frozen=True, slots=True)
class Placing:
    """Places rows in numpy; ``table`` learns what they add to its totals, and ``held`` is only looked at."""

    policy: SequencePolicy
    table: SessionTable
    gaps: Gaps
    held: Held

    def placed(self, sid: NDArray[np.int32], seq: IntColumn, body: NDArray[np.uint32], rare: Mask) -> Release:
        """Return what is released and what waits of the sessions that are not rare; mark in ``rare`` those that are."""
        table, held = self.table, self.held
        rel = seq - table["next_seq"][sid]
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
        if rare.any():
            usual = ~rare[f_sid]
            first, f_sid, f_rel, rank = first[usual], f_sid[usual], f_rel[usual], rank[usual]
            repeats &= ~rare[o_sid]
            behind &= ~rare[sid]
        table.add("duplicates", o_sid[repeats])
        if some_behind:
            table.add("duplicates", sid[behind])
        go = self._released(first, f_sid, f_rel, f_rel == rank)
        table.add("released", go.sid)
        np.add.at(table["next_seq"], go.sid, 1)
        bodies = {**held.bodies(), held.next_batch: body}
        table.recent[go.sid, go.seq & (table.horizon - 1)] = gather(bodies, go.codes, np.uint32)
        return go

    def _released(self, rows: Places, sid: NDArray[np.int32], rel: IntColumn, ready: NDArray[np.bool_]) -> Release:
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
            return Release(codes_of(batch, rows[ready]), r_sid, rel[ready] + next_seq[r_sid], none, rows[~ready])
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
        return Release(codes, sids, rels + next_seq[sids], at[goes], keep)

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
