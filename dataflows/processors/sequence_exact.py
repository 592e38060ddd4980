"""The exact path of ``sequence``: one record after the other, in the order of arrival.

It is the plain statement of the rules in ``sequence`` and serves the sessions to which something
rare happens; the fast path gives the same outcome for all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.policy import SequencePolicy
from dataflows.processors.gaps import DeclaredGap, Gaps
from dataflows.processors.session_table import SessionTable


@dataclass(frozen=True, slots=True)
class Arrivals:
    """ROW[m] in the order of arrival, those held from before first; ``row`` is the caller's index."""

    row: NDArray[np.intp]
    sid: NDArray[np.int32]
    seq: IntColumn
    body: NDArray[np.uint32]
    arrived_us: IntColumn


@dataclass(slots=True)
class Exact:
    """Rows by outcome; ``ready`` is in order of number within each session."""

    ready: list[int] = field(default_factory=list)
    ready_gaps: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    faults: list[tuple[int, FaultCode]] = field(default_factory=list)
    gaps: list[DeclaredGap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows by outcome as index arrays, ready for ``take``."""

    ready: NDArray[np.intp]
    ready_gaps: NDArray[np.int32]
    late: NDArray[np.intp]
    held: NDArray[np.intp]
    faults: list[tuple[int, FaultCode]]
    gaps: list[DeclaredGap]


def run_exact(
    policy: SequencePolicy, table: SessionTable, gaps: Gaps, arrivals: Arrivals, now_us: int | None
) -> Placed:
    """Place every row; with ``now_us`` also declare the gaps whose wait is over by then."""
    out = Exact()
    timeout_us = round(policy.gap_timeout_s * 1_000_000)
    by_session = np.argsort(arrivals.sid, kind="stable")
    sids = arrivals.sid[by_session]
    for part in np.split(by_session, np.flatnonzero(sids[1:] != sids[:-1]) + 1):
        session = _Session(int(arrivals.sid[part[0]]), table, gaps, out, first_is_fixed=policy.start != "any")
        rows = zip(*(column[part].tolist() for column in (arrivals.row, arrivals.seq, arrivals.body)), strict=True)
        for row, seq, body in rows:
            session.arrive(row, seq, body, policy.held_rows_max)
        if now_us is not None:
            waiting_since = dict(zip(arrivals.row[part].tolist(), arrivals.arrived_us[part].tolist(), strict=True))
            session.expire(waiting_since, now_us - timeout_us)
        session.close()
    index = np.intp
    return Placed(
        np.array(out.ready, index),
        np.array(out.ready_gaps, np.int32),
        np.sort(np.array(out.late, index)),
        np.array(out.held, index),
        sorted(out.faults),
        out.gaps,
    )


class _Session:
    """One session while its rows arrive."""

    def __init__(self, sid: int, table: SessionTable, gaps: Gaps, out: Exact, *, first_is_fixed: bool) -> None:
        self.sid, self.table, self.gaps, self.out = sid, table, gaps, out
        self.first_is_fixed = first_is_fixed
        self.next_seq = int(table["next_seq"][sid])
        self.waiting: dict[int, tuple[int, int]] = {}
        self.ahead: list[int] = []

    def arrive(self, row: int, seq: int, body: int, held_rows_max: int) -> None:
        if seq < self.next_seq:
            self._behind(row, seq, body)
        elif seq in self.waiting:
            self._repeat(row, body, self.waiting[seq][1])
        else:
            self.waiting[seq] = (row, body)
            heappush(self.ahead, seq)
            self._release()
            if len(self.waiting) > held_rows_max:
                self._declare()

    def expire(self, waiting_since: dict[int, int], limit_us: int) -> None:
        while any(waiting_since[row] <= limit_us for row, _ in self.waiting.values()):
            self._declare()

    def close(self) -> None:
        self.table["next_seq"][self.sid] = self.next_seq
        self.table.changed[self.sid] = True
        self.out.held += [row for row, _ in self.waiting.values()]

    def _release(self) -> None:
        place = self.table.horizon - 1
        declared = int(self.table["gaps"][self.sid])
        while self.next_seq in self.waiting:
            row, body = self.waiting.pop(self.next_seq)
            heappop(self.ahead)
            self.out.ready.append(row)
            self.out.ready_gaps.append(declared)
            self.table.recent[self.sid, self.next_seq & place] = body
            self.table["released"][self.sid] += 1
            self.next_seq += 1

    def _declare(self) -> None:
        first, last = self.next_seq, self.ahead[0] - 1
        horizon = self.table.horizon
        for seq in range(max(first, last + 1 - horizon), last + 1):
            self.table.recent[self.sid, seq & (horizon - 1)] = 0
        self.out.gaps.append(DeclaredGap(self.sid, first, last))
        self.gaps.add(self.sid, first, last, self.table["forgotten_below"])
        self.table["gaps"][self.sid] += 1
        self.table["missing"][self.sid] += last - first + 1
        self.next_seq = last + 1
        self._release()

    def _behind(self, row: int, seq: int, body: int) -> None:
        table, sid = self.table, self.sid
        if self.gaps.fill(sid, seq, table["forgotten_below"]):
            self.out.late.append(row)
            table["late"][sid] += 1
            if seq >= table["start_seq"][sid]:
                table["missing"][sid] -= 1
            if seq >= self.next_seq - table.horizon:
                table.recent[sid, seq & (table.horizon - 1)] = body
            return
        if self.first_is_fixed and seq < table["start_seq"][sid]:
            self._set_aside(row, FaultCode.BAD_SEQUENCE)
            return
        known = 0
        if seq >= self.next_seq - table.horizon:
            known = int(table.recent[sid, seq & (table.horizon - 1)])
        if known:
            self._repeat(row, body, known)
        elif seq < table["forgotten_below"][sid]:
            self._set_aside(row, FaultCode.TOO_LATE)
        else:
            table["duplicates"][sid] += 1

    def _repeat(self, row: int, body: int, known: int) -> None:
        if body == known:
            self.table["duplicates"][self.sid] += 1
        else:
            self._set_aside(row, FaultCode.CONFLICTING_DUPLICATE)

    def _set_aside(self, row: int, code: FaultCode) -> None:
        self.out.faults.append((row, code))
        self.table["faults"][self.sid] += 1
