"""When readings of counters were taken, of a source that does not number its records but gives them as files land.

Laws: a reading is *stale* if it occurred before the last accepted one of its session and counter. That one had it
included, so a file that lands late does not look like a reset. What a counter made between a stale reading and a
reset is lost, as it is when no reading of that time comes at all. Where times are equal the order of arrival decides.

Where such a source tells local times, the hour in which its clock is set back comes as the earlier of two. A row is
of the later one where its time is behind the newest accepted reading of its session by more than half of what the
clock is set back, the later instant is not, and none of its readings is lower. So it takes a reading at least every
half hour, and a file of the first hour that lands after one of the second stays in the first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, IntColumn


def stale(sid: CodeColumn, occurred_us: IntColumn, last_us: IntColumn) -> NDArray[np.bool_]:
    """Return which readings, each session's together, are older than its last one or than one before them.

    One that is not accepted for another reason counts here as well: its session is gone through one by one.

    Args: sid, occurred_us: READING[n], each session's together. last_us: the last one of each session, by ``sid``.
    """
    old = occurred_us < last_us[sid]
    if ((sid[1:] == sid[:-1]) & (occurred_us[1:] < occurred_us[:-1])).any():
        # Ranks by session and time, so that the highest rank so far is the newest of the own session.
        rank = np.empty(len(sid), np.intp)
        rank[np.lexsort((occurred_us, sid))] = np.arange(len(sid))
        old |= rank < np.maximum.accumulate(rank)
    return old


def second_hour_us(at_us: int, later_us: int, readings: Iterable[int], last: Iterable[int], last_us: IntColumn) -> int:
    """Return how much later a row is than its local time says at first: ``later_us``, or 0.

    Args: readings: those of the row, below 0 where there is none. last, last_us: the last accepted ones of its session
        and when they occurred, in the same order.
    """
    half_us = later_us // 2
    went_back = later_us > 0 and at_us + half_us < last_us.max() <= at_us + later_us + half_us
    lower = any(0 <= reading < before for reading, before in zip(readings, last, strict=True))
    return later_us if went_back and not lower else 0
