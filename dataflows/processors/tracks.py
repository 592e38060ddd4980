"""Tracks: the work centres of a session, each of which has an open run of its own.

Law: where there is room for all, a session's confirmations are those that its work centres would have if each were a
session; with room for one they are those of a session whose every change of work centre ends its run.

A track stands for a session at a work centre while a run of it is open. Where a row would open one more than
``open_max``, the run that a row of the session joined longest ago ends before it: by KEY, or by GAP where a gap was
declared since it began, as where work centres are not told apart. Sessions in which that may happen go row by row.

Source: docs/decisions/0029.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, EventBatch, IntColumn
from dataflows.processors.boundaries import Cut
from dataflows.processors.places import heads_of
from dataflows.processors.runs import RunArray, Runs

_FREE: Final = -1
_SHIFT: Final = 32
_WORK_CENTER: Final = (1 << _SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Tracked:
    """EVENT[n] with those of a track together, and the track of each.

    ``ended`` are tracks whose run ends when all rows have joined, and ``ended_gaps`` the gaps declared before that.
    """

    batch: EventBatch
    tracks: CodeColumn
    ended: list[int] = field(default_factory=list)
    ended_gaps: list[int] = field(default_factory=list)


class Tracks:
    """The tracks of a lane's open runs. Args: complete: the type that ends a run, or -1 where none does."""

    __slots__ = ("_complete", "_free", "_keys", "_open", "_open_max", "_tracks")

    def __init__(self, open_max: int, complete: int) -> None:
        self._open_max, self._complete = open_max, complete
        self._tracks: dict[int, int] = {}  # by key: session row and code of the work centre
        self._keys: IntColumn = np.zeros(0, np.int64)  # by track; _FREE where it stands for nothing
        self._free: list[int] = []
        self._open: NDArray[np.int32] = np.zeros(0, np.int32)  # how many tracks each session has

    def __len__(self) -> int:
        return len(self._keys)

    def tell(self, batch: EventBatch, runs: Runs) -> Tracked:
        """Return the rows by track. Args: batch: EVENT[n], n > 0, of aggregated rows ordered by (sid, seq)."""
        keys = (batch["sid"].astype(np.int64) << _SHIFT) | batch["work_center"]
        heads = heads_of(keys)
        own, place = np.unique(keys[heads], return_inverse=True)
        found = np.array([self._tracks.get(key, _FREE) for key in own.tolist()], np.int64)
        sids = own >> _SHIFT
        firsts = heads_of(sids)
        grown = int(sids[-1]) + 1 - len(self._open)
        if grown > 0:
            self._open = np.concatenate((self._open, np.zeros(max(grown, len(self._open)), np.int32)))
        fresh = found == _FREE
        crowded = self._open[sids[firsts]] + np.add.reduceat(fresh, firsts, dtype=np.int64) > self._open_max
        alone = fresh & ~np.repeat(crowded, np.diff(firsts, append=len(own)))
        found[alone] = [self._allot(key) for key in own[alone].tolist()]
        tracks = np.repeat(found[place], np.diff(heads, append=len(keys))).astype(np.int32)
        tracked = Tracked(batch, tracks)
        if crowded.any():
            known = np.sort(self._keys)
            for sid in sids[firsts[crowded]].tolist():
                self._follow(tracked, sid, known, runs)
        runs.grow(0, len(self))
        if len(heads) == len(own) and not crowded.any():
            return tracked
        order = np.argsort(tracks, kind="stable")
        return Tracked(batch.take(order), tracks[order], tracked.ended, tracked.ended_gaps)

    def settle(self, told: Tracked, runs: Runs) -> RunArray:
        """Return the runs that end for want of room, after the rows have joined; give up the tracks of all that end."""
        ended = np.array(told.ended, np.int64)
        _, closed = runs.take(ended)
        assert len(closed) == len(ended), "a track that ends has an open run"
        closed["cut"] = np.where(closed["gaps"] == told.ended_gaps, Cut.KEY, Cut.GAP)
        tracks = np.unique(told.tracks)
        self.release(np.concatenate((ended, tracks[runs.slots[tracks] < 0])))
        return closed

    def release(self, tracks: NDArray[np.integer]) -> None:
        """Give up tracks that have no open run any more."""
        for track in np.unique(tracks).tolist():
            key = int(self._keys[track])
            self._keys[track] = _FREE
            self._free.append(track)
            self._open[key >> _SHIFT] -= 1
            if self._tracks.get(key) == track:  # and not one that took its place
                del self._tracks[key]

    def restore(self, runs: RunArray) -> None:
        """Give tracks to open runs that have been decoded."""
        self._open = np.zeros(int(runs["sid"].max(initial=-1)) + 1, np.int32)
        keys = (runs["sid"].astype(np.int64) << _SHIFT) | runs["work_center"]
        runs["track"] = [self._allot(key) for key in keys.tolist()]

    def _allot(self, key: int) -> int:
        if not self._free:
            known = len(self._keys)
            more = max(known, 64)
            self._keys = np.concatenate((self._keys, np.full(more, _FREE, np.int64)))
            self._free.extend(range(known + more - 1, known - 1, -1))
        track = self._tracks[key] = self._free.pop()
        self._keys[track] = key
        self._open[key >> _SHIFT] += 1
        return track

    def _follow(self, told: Tracked, sid: int, known: IntColumn, runs: Runs) -> None:
        """Give tracks to the rows of a session one by one, ending the run of longest ago where there is no room."""
        first, last = np.searchsorted(known, [sid << _SHIFT, (sid + 1) << _SHIFT]).tolist()
        mine = np.array([self._tracks[key] for key in known[first:last].tolist()], np.int64)
        mine = mine[np.argsort(runs.records["last_seq"][runs.slots[mine]])]
        # By work centre, the one that a row joined longest ago first.
        work_centers = (self._keys[mine] & _WORK_CENTER).tolist()
        waiting = dict(zip(work_centers, mine.tolist(), strict=True))
        begin, end = np.searchsorted(told.batch["sid"], [sid, sid + 1]).tolist()
        columns = (told.batch[name][begin:end].tolist() for name in ("work_center", "type", "gaps"))
        for row, (work_center, kind, gaps) in enumerate(zip(*columns, strict=True), begin):
            track = waiting.pop(work_center, _FREE)
            while len(waiting) >= self._open_max:
                told.ended.append(waiting.pop(next(iter(waiting))))
                told.ended_gaps.append(gaps)
            if track == _FREE:
                track = self._allot(sid << _SHIFT | work_center)
            told.tracks[row] = track
            if kind != self._complete:
                waiting[work_center] = track
