"""Held: the records that are ahead of their session, found by session and number.

Law: a record is where its batch left it until it goes, so a step costs as much as the records it brings and
releases, however many wait; only their keys, sixteen bytes each, move. Batches are kept while a third of
their records wait; then those that do are gathered into one.

A key is the session row and the distance of the number from the session's base, its next number when it
last had nothing held. Keys ascend, so a session's records lie together in the order of their numbers. A
distance that a key cannot hold is ``FAR``; such records only keep together with their session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn
from canonical.gather import Codes, batch_of, codes_of, gather, row_of
from dataflows.processors.places import Places, heads_of

_SID_SHIFT: Final = 36
FAR: Final = (1 << _SID_SHIFT) - 1
"""Numbers that are so far from their base, or farther, cannot be told apart by key."""
_SESSIONS_MAX: Final = 1 << 63 - _SID_SHIFT
_BATCHES_MAX: Final = 64
_GONE_MAX: Final = 65_536
"""Records that may be gone from the batches kept, besides twice those that are held."""


_FIRST: Final = np.zeros(1, np.int64)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch of which records wait, without its column ``row``, since the raw batch is gone."""

    events: EventBatch
    body: NDArray[np.uint32]
    arrived_us: IntColumn  # ascends


class Held:
    """HELD[h]: records with body hash and time of arrival; O(records held), and sixteen bytes a session."""

    __slots__ = ("_base", "_batches", "_codes", "_far", "_keys", "counts")

    def __init__(self) -> None:
        self.counts: IntColumn = np.zeros(0, np.int64)  # by session row, as _base
        self._base: IntColumn = np.zeros(0, np.int64)
        self._keys: IntColumn = np.zeros(0, np.int64)
        self._codes: Codes = np.zeros(0, np.int64)  # of each key: where its record is
        self._batches: list[_Kept] = []  # in the order of arrival
        self._far = 0

    def __len__(self) -> int:
        return len(self._keys)

    def grow(self, sessions: int) -> None:
        """Make room for session rows below ``sessions``."""
        known = len(self.counts)
        if sessions > known:
            assert sessions <= _SESSIONS_MAX, "a key has no room for so many sessions"
            room = max(sessions, 2 * known) - known
            self.counts = np.concatenate((self.counts, np.zeros(room, np.int64)))
            self._base = np.concatenate((self._base, np.zeros(room, np.int64)))

    # -- looking -----------------------------------------------------------------------------------

    def keys(self, sid: NDArray[np.int32], seq: IntColumn) -> IntColumn:
        """Return the keys of these numbers, all of sessions with records held."""
        keys: IntColumn = sid.astype(np.int64) << _SID_SHIFT
        keys |= np.minimum(seq - self._base[sid], FAR)
        return keys

    def find(self, keys: IntColumn) -> tuple[Mask, Places]:
        """Return whether there is a record with each key, and where; those of far ones say nothing."""
        at = np.searchsorted(self._keys, keys)
        np.minimum(at, len(self._keys) - 1, out=at)
        return self._keys[at] == keys, at

    def far(self) -> NDArray[np.int32]:
        """Return the sessions with a record that is far."""
        return self.sid(np.flatnonzero(is_far(self._keys))) if self._far else np.empty(0, np.int32)

    def of(self, sids: NDArray[np.integer]) -> Places:
        """Return the places of all records of these sessions, which ascend, in order."""
        begins = np.searchsorted(self._keys, sids.astype(np.int64) << _SID_SHIFT)
        counts = self.counts[sids]
        ends = np.cumsum(counts)
        places: Places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + counts, counts)
        return places

    def arrived_by(self, until_us: int) -> NDArray[np.int32]:
        """Return the session of each record that arrived then or earlier."""
        ends = np.array([np.searchsorted(kept.arrived_us, until_us, "right") for kept in self._batches])
        return self.sid(np.flatnonzero(row_of(self._codes) < ends[batch_of(self._codes)]))

    def oldest_us(self) -> int | None:
        """Return when the record arrived that has waited longest, or None."""
        if not len(self):
            return None
        oldest = self._codes.min()
        return int(self._batches[batch_of(oldest)].arrived_us[row_of(oldest)])

    def sid(self, at: Places) -> NDArray[np.int32]:
        """Return session rows."""
        sids: NDArray[np.int32] = (self._keys[at] >> _SID_SHIFT).astype(np.int32)
        return sids

    def seq(self, at: Places) -> IntColumn:
        """Return numbers, of records that are not far."""
        seqs: IntColumn = (self._keys[at] & FAR) + self._base[self.sid(at)]
        return seqs

    def codes(self, at: Places) -> Codes:
        """Return which rows these records are of ``batches`` and ``bodies``; later ones have higher codes."""
        return self._codes[at]

    @property
    def next_batch(self) -> int:
        """The number of the next batch."""
        return len(self._batches)

    def batches(self) -> dict[int, EventBatch]:
        """Return the batches that hold records, by number."""
        return {number: kept.events for number, kept in enumerate(self._batches)}

    def bodies(self) -> dict[int, NDArray[np.uint32]]:
        """Return the body hashes of the batches."""
        return {number: kept.body for number, kept in enumerate(self._batches)}

    def arrived_us(self, codes: Codes) -> IntColumn:
        """Return when these records arrived."""
        return gather({number: kept.arrived_us for number, kept in enumerate(self._batches)}, codes, np.int64)

    def keys_and_codes(self) -> tuple[IntColumn, Codes]:
        """Return all keys, and where the record of each is."""
        return self._keys, self._codes

    @property
    def bases(self) -> IntColumn:
        """The number of each session that its keys count from."""
        return self._base

    # -- changing ----------------------------------------------------------------------------------

    def remove(self, at: Places) -> None:
        """Let go of the records at these places, which ascend."""
        if not len(at):
            return
        sid = self.sid(at)
        begins = heads_of(sid)
        self.counts[sid[begins]] -= np.diff(begins, append=len(sid))
        if self._far:
            self._far -= int(is_far(self._keys[at]).sum())
        stay = np.ones(len(self._keys), np.bool_)
        stay[at] = False
        self._keys, self._codes = self._keys[stay], self._codes[stay]
        if not len(self._keys):
            self._batches = []

    def insert(self, events: EventBatch, rows: Places, next_seq: IntColumn) -> None:
        """Hold these rows of EVENT[n], which came after all that is held; ``keep`` the batch then.

        Args: next_seq: of every session.
        """
        if not len(rows):
            return
        sid, seq = events["sid"][rows], events["seq"][rows]
        fresh = sid[self.counts[sid] == 0]
        self._base[fresh] = next_seq[fresh]
        np.add.at(self.counts, sid, 1)
        keys = self.keys(sid, seq)
        self._far += int(is_far(keys).sum())
        order = np.argsort(keys, kind="stable")
        self._merge(keys[order], codes_of(self.next_batch, rows[order]))

    def put(self, keys: IntColumn, codes: Codes, far: int) -> None:
        """Hold these in place of what is held; ``far`` of them are newly so. Counts and bases are up to date."""
        self._keys, self._codes = keys, codes
        self._far += far

    def keep(self, events: EventBatch, body: NDArray[np.uint32], arrived_us: IntColumn) -> None:
        """Keep EVENT[n], body and arrived_us, of which records are held under the number of the next batch, if any."""
        number = self.next_batch
        mine = np.flatnonzero(self._codes >= codes_of(number, _FIRST))
        if not len(mine):
            if not len(self):
                self._batches = []
            return
        if 3 * len(mine) < events.n:
            rows = row_of(self._codes[mine])
            by_row = np.argsort(rows)
            rows = rows[by_row]
            events, body, arrived_us = events.take(rows).made(), body[rows], arrived_us[rows]
            self._codes[mine[by_row]] = codes_of(number, np.arange(len(rows)))
        self._batches.append(_Kept(events.without("row"), body, arrived_us))
        kept_n = sum(kept.events.n for kept in self._batches)
        if len(self._batches) > _BATCHES_MAX or kept_n > 3 * len(self) + _GONE_MAX:
            self._gather()

    def _merge(self, keys: IntColumn, codes: Codes) -> None:
        """Add keys, which ascend, with their codes."""
        at = np.searchsorted(self._keys, keys) + np.arange(len(keys))
        old = np.ones(len(self._keys) + len(keys), np.bool_)
        old[at] = False
        all_keys, all_codes = np.empty(len(old), np.int64), np.empty(len(old), np.int64)
        all_keys[at], all_codes[at] = keys, codes
        all_keys[old], all_codes[old] = self._keys, self._codes
        self._keys, self._codes = all_keys, all_codes

    def _gather(self) -> None:
        """Let go of the batches, but for the records that wait."""
        by_age = np.argsort(self._codes)
        codes = self._codes[by_age]
        events = EventBatch.select(self.batches(), codes).made()
        self._batches = [_Kept(events, gather(self.bodies(), codes, np.uint32), self.arrived_us(codes))]
        self._codes[by_age] = np.arange(len(codes))


def is_far(keys: IntColumn) -> Mask:
    """Return which keys are of numbers that a key cannot hold."""
    far: Mask = keys & FAR == FAR
    return far
