"""Wraps: the numbers of a source whose numbers begin anew at a modulus, as numbers that go on (M09).

Law: the outcome depends on the order of arrival within each session, never on the cutting into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn
from canonical.policy import SequencePolicy
from dataflows.processors.session_table import SessionTable


def unwrapped(policy: SequencePolicy, table: SessionTable, sid: NDArray[np.int32], batch: EventBatch) -> IntColumn:
    """Return numbers that go on where the modulus wraps.

    Each is the nearest continuation of the one that arrived before it in its session, so a
    record may be displaced by less than half the modulus.
    """
    modulus, start = policy.modulus, policy.start
    assert modulus is not None
    raw = batch["seq"].astype(np.int64) % modulus
    order = np.argsort(sid, kind="stable")
    s, r = sid[order], raw[order]
    opens = np.r_[True, s[1:] != s[:-1]]
    last = table["unwrapped"][s]
    # A session that may begin anywhere begins one cycle up, so that what is displaced before it is not negative.
    begin = r + modulus if start == "any" else start
    before = np.where(opens, np.where(last >= 0, last, begin), np.r_[0, r[:-1]])
    move = (r - before + modulus // 2) % modulus - modulus // 2
    opening = np.maximum.accumulate(np.where(opens, np.arange(len(s)), 0))
    moved = np.cumsum(move)
    unwrapped_seq = before[opening] + moved - (moved - move)[opening]
    out = np.empty(len(raw), np.int64)
    closes = np.flatnonzero(np.r_[s[1:] != s[:-1], True])
    reached = unwrapped_seq[closes]
    lows = np.unique(np.searchsorted(closes, np.flatnonzero(unwrapped_seq < 0)))
    for run in lows.tolist():
        first = int(closes[run - 1]) + 1 if run else 0
        mine = slice(first, int(closes[run]) + 1)
        unwrapped_seq[mine], reached[run] = _from_the_beginning(modulus, start, r[mine].tolist(), int(before[first]))
    out[order] = unwrapped_seq
    table["unwrapped"][s[closes]] = reached
    return out


def _from_the_beginning(modulus: int, start: int | str, raw: list[int], at: int) -> tuple[list[int], int]:
    """Unwrap the numbers of one session where some lead below 0; return them, and where the session has got to.

    A session that may begin anywhere takes such a number a cycle up. One with a fixed start does not follow it,
    and refuses it.
    """
    unwrapped_seq = []
    for number in raw:
        to = at + (number - at + modulus // 2) % modulus - modulus // 2
        if to < 0 and start == "any":
            to += modulus
        unwrapped_seq.append(to)
        at = to if to >= 0 else at
    return unwrapped_seq, at
