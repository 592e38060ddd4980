"""Rows join the open runs of a lane on columns, where there is no kernel (``joined_by_kernel``).

Law: what comes of it is what comes of joining row by row, wherever the rows were cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from canonical.columns import QUANTITY_COLUMNS, TYPE_CODE, CodeColumn, EventBatch, IntColumn
from canonical.contracts.event import EventType
from dataflows.processors.boundaries import Boundaries, Cut, LaneRows
from dataflows.processors.places import Places, heads_of
from dataflows.processors.runs import RUN, RUN_TEXTS, RunArray, Runs, concat, pick, place

Attribute = Callable[[IntColumn], tuple[CodeColumn, CodeColumn]]
"""Returns shift (text code) and posting date (days) of each instant."""


def join_rows(
    batch: EventBatch, tracks: CodeColumn, runs: Runs, boundaries: Boundaries, attribute: Attribute, now_us: int
) -> RunArray:
    """Let aggregated rows, those of each of ``tracks`` together, join ``runs``; return those that closed."""
    heads = heads_of(tracks)
    found, opened = runs.take(tracks[heads])
    attributed = attribute(batch["occurred_us"]) if boundaries.needs_shifts() else (None, None)
    rows = LaneRows(batch, heads, heads[found], opened, *attributed)
    cuts = boundaries.find(rows)

    first = np.zeros(len(batch), np.bool_)
    first[heads] = True
    starts = np.flatnonzero(first | (cuts > 0))
    begun = _runs(rows, starts, attribute, keeps_reason=boundaries.keeps_reason())
    begun["track"], begun["late"] = tracks[starts], boundaries.late
    joins = cuts[rows.at] == Cut.NONE
    _prepend(begun, np.searchsorted(starts, rows.at[joins]), pick(opened, joins))

    # A run ends where the next one of its track begins; the last one of a track by its own last row.
    last = np.append(first[starts[1:]], True)
    begun["cut"][:-1] = np.where(last[:-1], Cut.NONE, cuts[starts[1:]])
    ends = np.append(starts[1:], len(batch)) - 1
    begun["cut"][last] = np.where(boundaries.completes(batch, ends[last]), Cut.COMPLETE, Cut.NONE)
    opened["cut"][~joins] = cuts[rows.at[~joins]]
    runs.put(pick(begun, begun["cut"] == Cut.NONE), now_us)
    return concat((pick(opened, ~joins), pick(begun, begun["cut"] != Cut.NONE)))


def _runs(rows: LaneRows, starts: Places, attribute: Attribute, *, keeps_reason: bool) -> RunArray:
    """Return RUN[m]: what the rows from each start to the next amount to."""
    batch, n = rows.batch, len(rows.batch)
    ends = np.append(starts[1:], n) - 1
    runs = np.zeros(len(starts), RUN)
    seq, offset = batch["seq"], batch["offset"]
    runs["sid"], runs["gaps"] = batch["sid"][starts], batch["gaps"][starts]
    runs["first_seq"], runs["last_seq"], runs["events"] = seq[starts], seq[ends], ends - starts + 1
    first_us = runs["first_occurred_us"] = batch.at("occurred_us", starts)
    runs["last_occurred_us"] = batch.at("occurred_us", ends)
    runs["first_offset"] = np.minimum.reduceat(offset, starts)
    runs["last_offset"] = np.maximum.reduceat(offset, starts)
    runs["is_rework"] = batch["type"][starts] == TYPE_CODE[EventType.REWORK]
    if rows.shift is None or rows.posting_date is None:
        runs["shift"], runs["posting_date"] = attribute(first_us)
    else:
        runs["shift"], runs["posting_date"] = rows.shift[starts], rows.posting_date[starts]
    for name in RUN_TEXTS:
        if name in batch and name != "reason":
            runs[name] = batch.at(name, starts)
    if keeps_reason and "reason" in batch:
        # The reasons of a run are empty or equal, and the empty text has code 0.
        runs["reason"] = np.maximum.reduceat(batch["reason"], starts)
    for name in QUANTITY_COLUMNS:
        if name in batch:
            runs[name] = np.add.reduceat(batch[name], starts)
    return runs


def _prepend(runs: RunArray, at: Places, opened: RunArray) -> None:
    """Let the runs at ``at`` continue these open runs; ``opened`` is written over."""
    after = pick(runs, at)
    for name in ("last_seq", "last_occurred_us"):
        opened[name] = after[name]
    for name in ("events", *QUANTITY_COLUMNS):
        opened[name] += after[name]
    np.minimum(opened["first_offset"], after["first_offset"], out=opened["first_offset"])
    for name in ("last_offset", "reason"):
        np.maximum(opened[name], after[name], out=opened[name])
    place(opened, at, runs)
