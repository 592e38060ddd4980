"""Boundaries: where one run of a session ends and the next begins.

Law: whether a run ends before a row depends on the row and on the run that is open then (its
session's rows so far), so the same boundaries are found however the rows were cut into batches.

A run ends before a row for the first of these reasons that applies (``Cut``, highest first):

- COMPLETE: the row before it reported completion and closed the run at once;
- GAP: a gap was declared between the two; late rows: its number is not the next one;
- KEY: a column of ``split_by`` differs. An empty reason never differs, and a reason differs only
  from another non-empty one in the same run; rework is whether the event's type is rework;
- SHIFT: the shift or the posting date differs, where ``split_by`` names the shift;
- TIME: it lies in another time bucket than the run's first row;
- COUNT: the run is full.

All but the reason and the count compare a row with the row before it, or a session's first row
of the batch with its open run, since all rows of a run agree in what is compared. The reason looks
back to the last row of the run that has one. The count depends on where the run began, so it comes
after the others; runs that both overflow and change their reason are followed change by change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import TYPE_CODE, CodeColumn, Column, EventBatch
from canonical.contracts.event import EventType
from canonical.policy import AggregatePolicy
from dataflows.processors.places import Places
from dataflows.processors.runs import RUN_TEXTS, RunArray


class Cut(IntEnum):
    """Why a run ends before a row, by precedence; IDLE ends it between rows."""

    NONE = 0
    COUNT = 1
    TIME = 2
    SHIFT = 3
    KEY = 4
    GAP = 5
    COMPLETE = 6
    FIRST = 7  # no run was open
    IDLE = 8


@dataclass(frozen=True, slots=True)
class LaneRows:
    """EVENT[n] of one lane, each track's rows together and in order, and the runs open before them.

    ``heads`` are the first rows of the tracks, ``at`` those of tracks with an open run, and
    ``opened`` RUN[len(at)] these runs. ``shift`` (text codes) and ``posting_date`` (days) are None
    where they do not end a run.
    """

    batch: EventBatch
    heads: Places
    at: Places
    opened: RunArray
    shift: CodeColumn | None
    posting_date: CodeColumn | None


class Boundaries:
    """Finds the boundaries that a policy asks for."""

    __slots__ = ("_bucket_us", "_complete_closes", "_count_max", "_late", "_reason", "_rework", "_shift", "_texts")

    def __init__(self, policy: AggregatePolicy, *, late: bool) -> None:
        self._bucket_us = None if policy.bucket_s is None else max(1, round(policy.bucket_s * 1e6))
        self._count_max = policy.count_max
        self._complete_closes = policy.complete_closes
        self._texts: Final = tuple(name for name in policy.split_by if name not in {"reason", "rework", "shift"})
        self._reason = "reason" in policy.split_by
        self._rework = "rework" in policy.split_by
        self._shift = "shift" in policy.split_by
        self._late = late

    @property
    def late(self) -> bool:
        """Whether they are those of late rows."""
        return self._late

    def find(self, rows: LaneRows) -> NDArray[np.int8]:
        """Return Cut[n]: why the open run ends before each row; NONE where the row joins it."""
        batch, head = rows.batch, np.zeros(len(rows.batch), np.bool_)
        head[rows.heads] = True
        cuts = np.zeros(len(batch), np.int8)
        # In ascending order of precedence, so that a higher one overwrites.
        if self._bucket_us is not None:
            bucket, opened = batch["occurred_us"] // self._bucket_us, rows.opened["first_occurred_us"]
            cuts[_changes(rows, bucket, opened // self._bucket_us)] = Cut.TIME
        if rows.shift is not None and rows.posting_date is not None:
            shift = _changes(rows, rows.shift, rows.opened["shift"])
            cuts[shift | _changes(rows, rows.posting_date, rows.opened["posting_date"])] = Cut.SHIFT
        cuts[self._key_changes(rows)] = Cut.KEY
        cuts[self._gaps(rows)] = Cut.GAP
        if self._complete_closes:
            after = np.flatnonzero(batch["type"] == TYPE_CODE[EventType.COMPLETE]) + 1
            after = after[after < len(batch)]
            cuts[after[~head[after]]] = Cut.COMPLETE
        head[rows.at] = False
        cuts[head] = Cut.FIRST
        head[rows.at] = True
        changes = self._reason_changes(rows, cuts, head)
        if self._count_max is not None:
            full = self._count_cuts(rows, cuts, head, changes, self._count_max)
            if len(full):
                cuts[full] = Cut.COUNT
                changes = self._reason_changes(rows, cuts, head)
        cuts[changes] = np.maximum(cuts[changes], Cut.KEY)
        return cuts

    def terms(self) -> dict[str, int]:
        """Return what the policy asks for as the kernel is told it (``struct joining`` of join.c)."""
        split = (*self._texts, "reason") if self._reason else self._texts
        return {
            "split": sum(1 << RUN_TEXTS.index(name) for name in split),
            "split_rework": self._rework,
            "complete": self.completing(),
            "rework": TYPE_CODE[EventType.REWORK],
            "bucket_us": self._bucket_us or 0,
            "count_max": self._count_max or 0,
            "late": self._late,
        }

    def completing(self) -> int:
        """Return the code of the type whose rows close their run, or -1 where none does."""
        return TYPE_CODE[EventType.COMPLETE] if self._complete_closes else -1

    def completes(self, batch: EventBatch, places: Places) -> NDArray[np.bool_]:
        """Return whether the rows at ``places`` close their run themselves."""
        if not self._complete_closes:
            return np.zeros(len(places), np.bool_)
        complete: NDArray[np.bool_] = batch["type"][places] == TYPE_CODE[EventType.COMPLETE]
        return complete

    def keeps_reason(self) -> bool:
        """Return whether runs carry a reason."""
        return self._reason

    def needs_shifts(self) -> bool:
        """Return whether ``find`` must know the shift and the posting date of every row."""
        return self._shift

    def _key_changes(self, rows: LaneRows) -> NDArray[np.bool_]:
        """Return whether an exactly compared column differs from the row before."""
        changed = np.zeros(len(rows.batch), np.bool_)
        for name in self._texts:
            if name in rows.batch:
                changed |= _changes(rows, rows.batch[name], rows.opened[name])
            else:
                changed[rows.at] |= rows.opened[name] != 0
        if self._rework:
            changed |= _changes(rows, rows.batch["type"] == TYPE_CODE[EventType.REWORK], rows.opened["is_rework"])
        return changed

    def _gaps(self, rows: LaneRows) -> NDArray[np.bool_]:
        """Return whether the row does not follow the row before it directly."""
        if not self._late:
            return _changes(rows, rows.batch["gaps"], rows.opened["gaps"])
        # Numbers that follow each other differ from their row numbers by the same amount.
        from_row = rows.batch["seq"] - np.arange(len(rows.batch))
        return _changes(rows, from_row, rows.opened["last_seq"] + 1 - rows.at)

    def _reason_changes(self, rows: LaneRows, cuts: NDArray[np.int8], head: NDArray[np.bool_]) -> Places:
        """Return the rows whose reason differs from that of the run open before them, given these cuts.

        Reasons are put on one line of places: row p at 2p + 1, the reason of the run open before a
        head h at 2h. The run open before a row began at the last cut before it, or is the open run
        if there is no cut since the head. The reason before a row counts if it lies in that run.
        """
        if not self._reason or "reason" not in rows.batch:
            return np.zeros(0, np.intp)
        reason = rows.batch["reason"]
        own = np.flatnonzero(reason)
        inherited = rows.opened["reason"] != 0
        places = np.concatenate((2 * own + 1, 2 * rows.at[inherited]))
        reasons = np.concatenate((reason[own], rows.opened["reason"][inherited]))
        order = np.argsort(places, kind="stable")
        places, reasons = places[order], reasons[order]
        after = np.flatnonzero(places[1:] & 1) + 1
        row = places[after] >> 1
        bounds = np.flatnonzero(head | (cuts > 0))
        bound = bounds[np.searchsorted(bounds, row) - 1]  # the last one below the row; for a head it is not used
        began = np.where(head[row], 2 * row, 2 * bound + (cuts[bound] > 0))
        changes: Places = row[(places[after - 1] >= began) & (reasons[after - 1] != reasons[after])]
        return changes

    def _count_cuts(
        self, rows: LaneRows, cuts: NDArray[np.int8], head: NDArray[np.bool_], changes: Places, count_max: int
    ) -> Places:
        """Return the rows before which a run is full.

        ``changes`` are the reason changes as they would be without these cuts: a stretch between
        two cuts without one fills its runs evenly.
        """
        begins = np.flatnonzero(head | (cuts > 0))
        ends = np.append(begins[1:], len(cuts))
        joined = cuts[rows.at] == Cut.NONE
        stretch_at = np.searchsorted(begins, rows.at[joined])
        events = np.zeros(len(begins), np.int64)
        events[stretch_at] = rows.opened["events"][joined]
        over = events + (ends - begins) > count_max
        mixed = np.zeros(len(begins), np.bool_)
        mixed[np.searchsorted(begins, changes[cuts[changes] == Cut.NONE], "right") - 1] = True
        even = over & ~mixed
        first = begins[even] + np.maximum(count_max - events[even], 0)
        times = (ends[even] - first + count_max - 1) // count_max
        nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        full = [np.repeat(first, times) + nth * count_max]
        if (over & mixed).any():
            reasons = np.zeros(len(begins), np.int64)
            reasons[stretch_at] = rows.opened["reason"][joined]
            column = rows.batch["reason"]
            for i in np.flatnonzero(over & mixed).tolist():
                own = begins[i] + np.flatnonzero(column[begins[i] : ends[i]])
                stretch = int(begins[i]), int(ends[i]), int(events[i]), int(reasons[i])
                cut = _count_cuts_exact(*stretch, own.tolist(), column[own].tolist(), count_max)
                full.append(np.array(cut, np.intp))
        return np.concatenate(full)


def _count_cuts_exact(
    begin: int, end: int, events: int, reason: int, rows: list[int], reasons: list[int], count_max: int
) -> list[int]:
    """Return the count cuts in the stretch [begin, end), whose first row joins a run of ``events`` with ``reason``.

    ``rows`` are the rows with a reason, ``reasons`` theirs. Each cut begins a run without a reason.
    """
    cuts: list[int] = []
    began = begin - events
    for row, own in zip([*rows, end - 1], [*reasons, 0], strict=True):
        while row - began >= count_max:
            began, reason = max(began + count_max, begin), 0
            cuts.append(began)
        if own:
            if reason not in {0, own}:
                began = row
            reason = own
    return cuts


def _changes(rows: LaneRows, column: Column, opened: Column) -> NDArray[np.bool_]:
    """Return whether each row differs from the one before it; heads in ``at`` from their open run."""
    changed = np.zeros(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=changed[1:])
    changed[rows.at] = column[rows.at] != opened
    return changed
