"""Runs: consecutive events that will be confirmed together, one record each.

Law: a track has at most one open run a lane, and a run holds what its events amount to and
nothing of the events themselves; memory is O(open runs), plus four bytes a track. A session is a
track, or each of its work centres is one (``tracks``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import QUANTITY_COLUMNS, Column, IntColumn, Vocabulary
from dataflows.processors.texts import text_array, text_codes

RUN_TEXTS: Final = ("order", "operation", "work_center", "material", "lot", "reason", "unit", "shift")
"""Codes of the run's first event; the reason is the one non-empty reason of the run."""

RUN: Final = np.dtype(
    [
        ("sid", np.int32),
        ("track", np.int32),  # what it is found by, while it is open
        ("first_seq", np.int64),
        ("last_seq", np.int64),
        ("gaps", np.int32),  # gaps declared in the session before the run
        *((name, np.int32) for name in RUN_TEXTS),
        ("is_rework", np.bool_),
        ("posting_date", np.int32),  # days since 1970-01-01
        *((name, np.int64) for name in QUANTITY_COLUMNS),
        ("events", np.int64),
        ("first_occurred_us", np.int64),
        ("last_occurred_us", np.int64),
        ("first_offset", np.int64),
        ("last_offset", np.int64),
        ("late", np.bool_),  # of late events
        ("cut", np.int8),  # once closed: why (boundaries.Cut)
    ],
    align=True,
)
RunArray = NDArray[np.void]
"""RUN[k]."""

_NUMBERS: Final = tuple(str(name) for name in RUN.names or () if name not in {*RUN_TEXTS, "sid", "track", "cut"})
NEVER_US: Final = np.iinfo(np.int64).max
"""The arrival at a slot without a run."""
_BLOCK: Final = 1_024
"""Runs taken apart into columns at a time: so few stay in the processor's cache."""
_BYTES: Final = np.dtype((np.void, RUN.itemsize))


def pick(runs: RunArray, rows: NDArray[np.integer] | NDArray[np.bool_]) -> RunArray:
    """Return ``runs[rows]``. Copied as bytes, since numpy copies named fields one by one, 20 times as slowly."""
    return runs.view(_BYTES)[rows].view(RUN)


def place(runs: RunArray, rows: NDArray[np.integer], into: RunArray) -> None:
    """Do ``into[rows] = runs``, as bytes."""
    into.view(_BYTES)[rows] = runs.view(_BYTES)


def concat(parts: Sequence[RunArray]) -> RunArray:
    """Return the runs of all parts, in order, copied as bytes."""
    return np.concatenate([part.view(_BYTES) for part in parts]).view(RUN) if parts else np.zeros(0, RUN)


class Runs:
    """The open runs of one lane of a shard, found by track, with the arrival of their newest event.

    The arrays are public for the kernel (``joined_by_kernel``), which adds and removes runs as ``put`` and ``take`` do.
    """

    __slots__ = ("arrived_us", "free", "free_n", "records", "slots")

    def __init__(self) -> None:
        self.records: RunArray = np.zeros(0, RUN)
        self.arrived_us: IntColumn = np.zeros(0, np.int64)  # by slot, as records; NEVER_US where the slot is free
        self.free: IntColumn = np.zeros(0, np.int64)  # the first free_n are a stack of free slots
        self.free_n = 0
        self.slots: NDArray[np.int32] = np.zeros(0, np.int32)  # by track; -1 where no run is open

    def __len__(self) -> int:
        return len(self.records) - self.free_n

    def take(self, tracks: NDArray[np.integer]) -> tuple[NDArray[np.bool_], RunArray]:
        """Remove the open runs of these tracks: whether each had one, and those runs in that order."""
        known = tracks < len(self.slots)
        slots = np.full(len(tracks), -1, np.int64)
        slots[known] = self.slots[tracks[known]]
        found = slots >= 0
        return found, self._remove(slots[found])

    def take_idle(self, until_us: int) -> RunArray:
        """Remove the runs that nothing has joined since ``until_us``."""
        return self._remove(np.flatnonzero(self.arrived_us <= until_us))

    def put(self, runs: RunArray, arrived_us: int | IntColumn) -> None:
        """Add open runs of tracks that have none."""
        k = len(runs)
        if not k:
            return
        self.grow(k, int(runs["track"].max()) + 1)
        self.free_n -= k
        slots = self.free[self.free_n : self.free_n + k]
        place(runs, slots, self.records)
        self.arrived_us[slots] = arrived_us
        self.slots[runs["track"]] = slots

    def oldest_us(self) -> int | None:
        """Return the arrival at the run that has been silent longest, or None if no run is open."""
        return int(self.arrived_us.min()) if len(self) else None

    def events(self) -> int:
        """Return the number of events in open runs."""
        return int(self.records["events"][self.arrived_us != NEVER_US].sum())

    def add_to(self, sums: Mapping[str, IntColumn]) -> None:
        """Add these fields of the open runs to sums by ``sid``."""
        slots = np.flatnonzero(self.arrived_us != NEVER_US)
        sids = self.records["sid"][slots]
        for name, column in sums.items():
            np.add.at(column, sids, self.records[name][slots])

    def blocks(self) -> Iterator[tuple[RunArray, IntColumn]]:
        """Yield copies of the open runs and the arrival of the newest event of each, ``_BLOCK`` runs at a time."""
        slots = np.flatnonzero(self.arrived_us != NEVER_US)
        for begin in range(0, len(slots), _BLOCK):
            part = slots[begin : begin + _BLOCK]
            yield pick(self.records, part), self.arrived_us[part]

    def grow(self, runs: int, tracks: int) -> None:
        """Make room for ``runs`` more runs and for tracks below ``tracks``."""
        if runs > self.free_n:
            size = len(self.records)
            more = max(runs - self.free_n, size)
            self.records = concat((self.records, np.zeros(more, RUN)))
            self.arrived_us = np.concatenate((self.arrived_us, np.full(more, NEVER_US, np.int64)))
            free = np.zeros(size + more, np.int64)
            free[:more] = np.arange(size, size + more)
            free[more : more + self.free_n] = self.free[: self.free_n]
            self.free = free
            self.free_n += more
        known = len(self.slots)
        if tracks > known:
            self.slots = np.concatenate((self.slots, np.full(max(tracks - known, known), -1, np.int32)))

    def _remove(self, slots: IntColumn) -> RunArray:
        runs = pick(self.records, slots)
        k = len(slots)
        self.free[self.free_n : self.free_n + k] = slots
        self.free_n += k
        self.arrived_us[slots] = NEVER_US
        self.slots[runs["track"]] = -1
        return runs


def runs_table(lanes: Sequence[Runs], sids: IntColumn, vocabulary: Vocabulary) -> pa.Table:
    """Return the open runs of all lanes, a row each; ``session_row`` is the place of their session in ``sids``."""
    n = sum(map(len, lanes))
    columns: dict[str, Column] = {name: np.empty(n, RUN[name]) for name in ("sid", *RUN_TEXTS, *_NUMBERS)}
    all_arrived_us = np.empty(n, np.int64)
    begin = 0
    for runs, arrived_us in chain.from_iterable(lane.blocks() for lane in lanes):
        end = begin + len(runs)
        for name, column in columns.items():
            column[begin:end] = runs[name]
        all_arrived_us[begin:end] = arrived_us
        begin = end
    table = {"session_row": pa.array(np.searchsorted(sids, columns["sid"]).astype(np.int32))}
    table |= {name: text_array(columns[name], vocabulary) for name in RUN_TEXTS}
    table |= {name: pa.array(columns[name]) for name in _NUMBERS}
    return pa.table(table | {"arrived_us": pa.array(all_arrived_us)})


def runs_of(table: pa.Table, sids: NDArray[np.integer], vocabulary: Vocabulary) -> tuple[RunArray, IntColumn]:
    """Return the runs and arrivals of a ``runs_table``, whose sessions are now ``sids``, each its own track."""
    runs = np.zeros(table.num_rows, RUN)
    runs["sid"] = runs["track"] = sids[table.column("session_row").to_numpy()]
    for name in RUN_TEXTS:
        runs[name] = text_codes(table.column(name), vocabulary)
    for name in _NUMBERS:
        runs[name] = table.column(name).to_numpy()
    return runs, table.column("arrived_us").to_numpy()
