"""Rows put in their places by a compiled kernel (``canonical/decoders/place.c``), in one pass over the batch.

Law: what comes of it is what ``Placing.placed`` would make of it, and of ``Held.remove`` and ``Held.insert`` after it.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.kernel import INT64, POINTER, address, function
from dataflows.processors.placing import Placing
from dataflows.processors.release import Mask, Release

_NONE: Final = np.empty(0, np.intp)


class _Job(ctypes.Structure):
    """``struct placing`` of place.c, member by member."""

    _fields_ = (
        *((name, INT64) for name in ("rows", "sessions", "horizon", "held_rows_max")),
        *((name, POINTER) for name in ("sid", "seq", "body")),
        *((name, POINTER) for name in ("next_seq", "start_seq", "forgotten_below", "gaps_top")),
        *((name, POINTER) for name in ("duplicates", "released", "recent", "rare")),
        *((name, INT64) for name in ("held", "batches")),
        *((name, POINTER) for name in ("keys", "codes", "bodies", "lengths", "counts", "base")),
        *((name, POINTER) for name in ("begin", "met", "order", "items", "merged")),
        *((name, POINTER) for name in ("out_code", "out_seq", "new_key", "new_code", "out_sid")),
        *((name, INT64) for name in ("out", "kept", "far")),
    )


_PLACE: Final = function("place_rows", (ctypes.POINTER(_Job),), {"placing_bytes": _Job})


def placed_by_kernel(
    placing: Placing, sid: NDArray[np.int32], seq: IntColumn, body: NDArray[np.uint32], rare: Mask
) -> Release | None:
    """Return what is released of the sessions that are not rare, and hold what waits; None where there is no kernel.

    Sessions that are found to be rare are marked; nothing of them is touched.
    """
    if _PLACE is None or not len(sid):
        return None
    table, held = placing.table, placing.held
    rows, sessions = len(sid), table.size
    sid, seq = np.ascontiguousarray(sid, np.int32), np.ascontiguousarray(seq, np.int64)
    keys, codes = held.keys_and_codes()
    bodies = [*held.bodies().values(), body]
    where = np.array([(address(hashes), len(hashes)) for hashes in bodies], np.int64).T.copy()
    room = rows + len(keys)
    out = np.empty((4, room), np.int64)
    out_sid = np.empty(room, np.int32)
    items = np.empty((3, rows, 2), np.int64)
    begin, met = np.zeros(sessions + 1, np.int64), np.empty(rows, np.int64)
    gaps_top = np.ascontiguousarray(placing.gaps.top(sessions)) if placing.gaps else None
    job = _Job(
        rows=rows,
        sessions=sessions,
        horizon=table.horizon,
        held_rows_max=placing.policy.held_rows_max,
        **{name: address(array) for name, array in (("sid", sid), ("seq", seq), ("body", body))},
        **{name: address(table[name]) for name in ("next_seq", "start_seq", "forgotten_below")},
        gaps_top=None if gaps_top is None else address(gaps_top),
        **{name: address(table[name]) for name in ("duplicates", "released")},
        recent=address(table.recent),
        rare=address(rare),
        held=len(keys),
        batches=len(bodies),
        keys=address(keys),
        codes=address(codes),
        bodies=address(where[0]),
        lengths=address(where[1]),
        counts=address(held.counts),
        base=address(held.bases),
        begin=address(begin),
        met=address(met),
        **{name: address(part) for name, part in zip(("order", "items", "merged"), items, strict=True)},
        **{name: address(row) for name, row in zip(("out_code", "out_seq", "new_key", "new_code"), out, strict=True)},
        out_sid=address(out_sid),
    )
    done = _PLACE(ctypes.byref(job))
    assert done == 0, "a session or a held record lies outside of what there is"
    held.put(out[2, : job.kept].copy(), out[3, : job.kept].copy(), job.far)
    return Release(out[0, : job.out], out_sid[: job.out], out[1, : job.out], _NONE, _NONE)
