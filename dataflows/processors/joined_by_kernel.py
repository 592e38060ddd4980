"""Rows join the open runs of a lane by a compiled kernel (``canonical/decoders/join.c``), in one pass.

Law: what comes of it is what ``Aggregate`` makes of the same rows without a kernel. Columns are read where they lie, in
the batches that the rows are of, and none is made for it; a column of zeros is not read at all.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import QUANTITY_COLUMNS, CodeColumn, EventBatch, IntColumn
from canonical.kernel import INT64, POINTER, constant, function
from dataflows.processors.places import Places
from dataflows.processors.runs import NEVER_US, RUN, RUN_TEXTS, RunArray, Runs, concat

UNDATED: Final = np.iinfo(np.int32).min
"""The posting date of a run that has begun and is still to be given its shift and its date."""

_ALWAYS: Final = ("type", "occurred_us", "offset")
_READ: Final = (*_ALWAYS, *(name for name in RUN_TEXTS if name != "shift"), *QUANTITY_COLUMNS)
"""The columns of rows as the kernel takes them, in its order."""
_UNSOUND: Final = "a row is none of its batch, or of no session or type"
_READ_MAX: Final = 8
"""Rows of the batches for each row of theirs, at most, where they are read from front to back."""
_ROOM: Final = 4_096
"""Closed runs taken from the kernel at a time, at most."""


class _Column(ctypes.Structure):
    """``struct column`` of join.c, member by member."""

    _fields_ = (("parts", POINTER), ("own", INT64))


class _Job(ctypes.Structure):
    """``struct joining`` of join.c, member by member."""

    _fields_ = (
        *((name, INT64) for name in ("rows", "batches", "sessions", "tracks")),
        *((name, POINTER) for name in ("codes", "lengths", "before", "sid", "track")),
        *((name, POINTER) for name in ("gaps", "seq", "shift", "posting_date")),
        ("columns", _Column * len(_READ)),
        ("routes", POINTER),
        *((name, INT64) for name in ("is_sound", "one_type")),
        *((name, INT64) for name in ("split", "split_rework", "complete", "rework", "bucket_us", "count_max", "late")),
        *((name, INT64) for name in ("now_us", "undated")),
        *((name, POINTER) for name in ("totals", "records", "arrived_us", "free")),
        *((name, INT64) for name in ("free_n", "never_us")),
        *((name, POINTER) for name in ("slots", "kept", "passed")),
        ("passed_n", INT64),
        ("closed", POINTER),
        *((name, INT64) for name in ("room", "closed_n")),
        ("began", POINTER),
        ("began_n", INT64),
        ("tallies", POINTER),
        *((name, INT64) for name in ("tallies_room", "guesses_n", "guess", "row")),
        *((name, POINTER) for name in ("marks", "may", "reads", "reads_n")),
    )


Shifts = tuple[CodeColumn, CodeColumn] | None
_TALLY_BYTES: Final = constant("tally_bytes")
_RUN: type[ctypes.Structure] = np.ctypeslib.as_ctypes_type(RUN)  # type: ignore[arg-type,assignment] # not in its stub
_LAYOUTS: Final[Mapping[str, type[ctypes.Structure]]] = {"joining_bytes": _Job, "run_bytes": _RUN}
_ROUTE: Final = function("route_rows", (ctypes.POINTER(_Job),), _LAYOUTS)
_JOIN: Final = function("join_rows", (ctypes.POINTER(_Job),), _LAYOUTS)


def is_compiled() -> bool:
    """Return whether there is a kernel."""
    return _ROUTE is not None and _JOIN is not None


class Rows:
    """EVENT[n], n > 0, as the kernel takes them: each session's rows together, or each track's where there are tracks.

    Args: routes: int8[256], the route of each event type, negative where there is none.
          totals: int64[t, s] by session row: of each route, then of each quantity that is summed. They are added to.
          tracks: int32[n] below tracks_n, by which open runs are found; by session where there are none.
    """

    __slots__ = ("_batch", "_job", "_lengths", "_n", "_read")

    def __init__(
        self,
        batch: EventBatch,
        routes: NDArray[np.int8],
        totals: IntColumn,
        tracks: CodeColumn | None = None,
        tracks_n: int = 0,
    ) -> None:
        self._batch, self._n = batch, len(batch)
        self._read: list[NDArray[Any]] = []  # what the job points to must live as long
        self._job = job = _Job(rows=len(batch), sessions=totals.shape[1])
        job.routes, job.totals = self._at(routes), self._at(totals)
        job.sid, job.gaps, job.seq = (batch.address(name) for name in ("sid", "gaps", "seq"))
        job.track, job.tracks = (job.sid, job.sessions) if tracks is None else (self._at(tracks), tracks_n)
        batches, codes = batch.origin or ({}, None)
        job.batches = count = max(batches, default=0) + 1
        table = np.zeros((len(_READ) + 2, count), np.int64)
        lengths, before = table[-2:]
        for number, source in batches.items():
            lengths[number] = len(source)
        np.cumsum(lengths[:-1], out=before[1:])
        self._lengths = int(before[-1] + lengths[-1])
        rows: list[list[int]] = []
        first, size = self._at(table), table.strides[0]
        for place, name in enumerate(_READ):
            parts, column = [0] * count, job.columns[place]
            if name in batch or name in _ALWAYS:
                column.parts = first + place * size
                if batch.is_made(name):
                    column.own, parts[0] = True, batch.address(name)
                else:
                    for number, source in batches.items():
                        parts[number] = source.address(name)
            rows.append(parts)
        table[: len(_READ)] = rows
        job.lengths, job.before = first + len(_READ) * size, first + (len(_READ) + 1) * size
        if codes is not None:
            job.codes = self._at(codes)

    def route(self) -> tuple[Places, Places]:
        """Count the rows by route; return which are aggregated, and which operational, ascending."""
        kept, passed = np.empty((2, self._n), np.int64)
        self._job.kept, self._job.passed = self._at(kept), self._at(passed)
        count = _ROUTE(ctypes.byref(self._job))
        assert count >= 0, _UNSOUND
        if count == self._n:
            return np.arange(count), passed[:0]
        return kept[:count], passed[: self._job.passed_n]

    def join(self, runs: Runs, terms: Mapping[str, int], shifts: Shifts, now_us: int) -> tuple[RunArray, Places]:
        """Let the rows, all of them aggregated, join ``runs``; return the runs that closed, and the slots of new ones.

        Args: terms: where runs end (``Boundaries.terms``). shifts: shift and posting date of each row, None where they
              end no run; then runs that begin are ``UNDATED``. Of the slots, some may be free again.
        """
        job, n = self._job, self._n
        for name, value in terms.items():
            setattr(job, name, value)
        if shifts is not None:
            job.shift, job.posting_date = map(self._at, shifts)
        job.now_us, job.undated, job.never_us = now_us, UNDATED, NEVER_US
        job.room, job.tallies_room = min(n, _ROOM) + 2, n // 2 + 2
        closed, began = np.empty(job.room, RUN), np.empty(n, np.int64)
        tallies, marks = np.empty(job.tallies_room * _TALLY_BYTES, np.uint8), np.empty(n, np.uint8)
        job.closed, job.began, job.tallies, job.marks = map(self._at, (closed, began, tallies, marks))
        if self._lengths <= _READ_MAX * n:
            may, reads = np.empty(self._lengths, np.int32), np.empty(n, np.int32)
            job.may, job.reads, job.reads_n = map(self._at, (may, reads, np.empty(job.batches, np.int64)))
        parts, done = [], 0
        while not done:
            runs.grow(1, job.tracks)
            for name in ("records", "arrived_us", "free", "slots"):
                setattr(job, name, self._at(getattr(runs, name)))
            job.free_n, job.closed_n = runs.free_n, 0
            done = _JOIN(ctypes.byref(job))
            assert done >= 0, _UNSOUND
            runs.free_n = job.free_n
            parts.append(concat([closed[: job.closed_n]]))  # a copy
        return concat(parts), began[: job.began_n]

    def _at(self, array: NDArray[Any]) -> int:
        """Return where the first item is, by the way that is fastest for the array's type."""
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        self._read.append(array)
        at: int = array.ctypes.data if array.dtype.names else array.__array_interface__["data"][0]
        return at
