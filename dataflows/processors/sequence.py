"""Sequence: per session, ``ready`` concatenated is the sorted unique input without unexplained holes.

Laws, for every session of a source that numbers its records:

- in = ready + late + duplicates + faults + held, by count, at every moment;
- ``ready`` is strictly increasing in seq, and each number it skips lies in a declared gap;
- the outcome depends on the order of arrival and on ``now_us``, never on the cutting into batches.

A record whose number is expected is released with all held ones that follow it. One that is
ahead is held. One that is behind is *late* if it fills a declared gap, a *bad number* if it is
below a fixed ``start``, a *conflict* if its body differs from the one it repeats (looked up
``conflict_horizon_rows`` back), *too late* if its gap has been forgotten, and a duplicate
otherwise. A gap is declared when the oldest held record of the session has waited
``gap_timeout_s`` or when more than ``held_rows_max`` would be held.

The batch is sorted once by (session, seq). Sessions to which something rare happens in this batch
(a conflict, a late record, an overflow) take the exact path, record by record in the order of
arrival (``sequence_exact``), so that the fast path needs no exceptions (docs/decisions/0004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn, Sessions
from canonical.contracts.fault import FaultCode
from canonical.gather import batch_of, codes_of, gather, row_of
from canonical.policy import SequencePolicy
from canonical.records import RowFault
from dataflows.processors.bodies import body_hashes
from dataflows.processors.gaps import DeclaredGap, Gaps
from dataflows.processors.held import Held
from dataflows.processors.placed_by_kernel import placed_by_kernel
from dataflows.processors.places import Places
from dataflows.processors.placing import Placing
from dataflows.processors.sequence_exact import Arrivals, Placed, run_exact
from dataflows.processors.session_rows import SessionRows
from dataflows.processors.session_table import SessionTable
from dataflows.processors.state import decode_table, encode_table, session_columns, session_rows
from dataflows.processors.texts import from_table, to_table
from dataflows.processors.wraps import unwrapped

KIND: Final = "sequence"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What became of a batch.

    ``ready`` is EVENT[k] ordered by (sid, seq) with columns sid and gaps; ``late`` is EVENT[l] in
    the order of arrival with the same columns; ``faults`` are rows set aside; ``gaps`` were
    declared just now.
    """

    ready: EventBatch = field(default_factory=EventBatch.empty)
    late: EventBatch = field(default_factory=EventBatch.empty)
    faults: list[RowFault] = field(default_factory=list)
    gaps: list[DeclaredGap] = field(default_factory=list)


class Sequence:
    """Puts numbered records in order.

    State:   O(sessions + held records + gaps remembered); bounds are fields of the policy.
    Source:  DESIGN laws 1, 2, 4; M08, M09; Sparkplug B 3.0 section 6.4 for modulus and sessions.
    """

    def __init__(self, policy: SequencePolicy, sessions: Sessions) -> None:
        assert policy.mode == "number"
        self.policy = policy
        self.sessions = sessions
        # A power of two, so that the place of a number is a mask away.
        self.table = SessionTable(sessions, 1 << (policy.conflict_horizon_rows - 1).bit_length())
        self.rows = SessionRows(self.table, policy.sessions_max)
        self.gaps = Gaps(policy.gaps_max)
        self.held = Held()
        self._timeout_us = round(policy.gap_timeout_s * 1_000_000)

    # -- steps ---------------------------------------------------------------------------------

    def step(self, batch: EventBatch, now_us: int) -> Sequenced:
        """Take EVENT[n] in the order of arrival; ``now_us`` never decreases."""
        if not batch.n:
            return Sequenced()
        sid, batch, faults = self.rows.of(batch)
        if not batch.n:
            return Sequenced(faults=faults)
        table = self.table
        table.add("read", sid)
        seq = (
            unwrapped(self.policy, table, sid, batch)
            if self.policy.modulus
            else batch["seq"].astype(np.int64, copy=False)
        )
        self._start(sid, seq)
        batch = batch.with_columns({"sid": sid, "seq": seq})
        return self._place(batch, body_hashes(batch, self.sessions.vocabulary), now_us, faults)

    def wake(self, now_us: int) -> Sequenced:
        """Declare the gaps whose wait is over and release what follows them."""
        due = self.due_us()
        if due is None or due > now_us:
            return Sequenced()
        waited = self.held.arrived_by(now_us - self._timeout_us)
        nothing = EventBatch(0, {"sid": np.empty(0, np.int32), "seq": np.empty(0, np.int64)})
        return self._place(nothing, np.empty(0, np.uint32), now_us, [], waited)

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do, or None."""
        oldest_us = self.held.oldest_us()
        return None if oldest_us is None else oldest_us + self._timeout_us

    def held_rows(self) -> IntColumn:
        """Return the number of held records per session."""
        self.held.grow(self.table.size)
        return self.held.counts[: self.table.size].copy()

    # -- the fast path ---------------------------------------------------------------------------

    def _place(
        self,
        batch: EventBatch,
        body: NDArray[np.uint32],
        now_us: int,
        faults: list[RowFault],
        waited: NDArray[np.int32] | None = None,
    ) -> Sequenced:
        """Decide on each row of the batch and on what is held of its session; exactly once per call.

        Args: waited: sessions of which a record has waited too long; their gaps are declared.
        """
        table, held = self.table, self.held
        held.grow(table.size)
        sid: NDArray[np.int32] = batch["sid"]
        rare = np.zeros(table.size, np.bool_)
        if waited is not None:
            rare[waited] = True
        rare[held.far()] = True  # A number may have the key of another one that is held.
        number = held.next_batch
        batches = {**held.batches(), number: batch}
        bodies = {**held.bodies(), number: body}
        placing = Placing(self.policy, table, self.gaps, held)
        go = placed_by_kernel(placing, sid, batch["seq"], body, rare)
        if go is None:
            go = placing.placed(sid, batch["seq"], body, rare)
        ready = EventBatch.select(batches, go.codes).with_columns(
            {"sid": go.sid, "seq": go.seq, "gaps": table["gaps"][go.sid].astype(np.int32)}
        )
        exact_sids = np.flatnonzero(rare)
        if not len(exact_sids):
            self._hold(batch, body, now_us, go.gone, go.keep)
            return Sequenced(ready, faults=faults)

        mine, of_held = np.flatnonzero(rare[sid]), held.of(exact_sids)
        codes = held.codes(of_held)
        rows = np.concatenate((codes, codes_of(number, mine)))
        concerned = EventBatch.select(batches, rows)
        arrivals = Arrivals(
            rows,
            concerned["sid"],
            concerned["seq"],
            gather(bodies, rows, np.uint32),
            np.concatenate((held.arrived_us(codes), np.full(len(mine), now_us, np.int64))),
        )
        exact = run_exact(self.policy, table, self.gaps, arrivals, None if waited is None else now_us)
        gone = np.sort(np.concatenate((go.gone, of_held[~np.isin(codes, exact.held)])))
        keep = np.concatenate((go.keep, row_of(exact.held[batch_of(exact.held) == number])))
        self._hold(batch, body, now_us, gone, keep)
        return self._with_exact(ready, batches, exact, faults)

    def _with_exact(
        self, ready: EventBatch, batches: Mapping[int, EventBatch], exact: Placed, faults: list[RowFault]
    ) -> Sequenced:
        """Add to what is ready what came of the exact path."""
        exactly = EventBatch.select(batches, exact.ready).with_columns({"gaps": exact.ready_gaps})
        ready = EventBatch.concat([ready, exactly])
        late = EventBatch.empty()
        if len(exact.late):
            late = EventBatch.select(batches, exact.late)
            late = late.with_columns({"gaps": self.table["gaps"][late["sid"]].astype(np.int32)})
        refused = EventBatch.select(batches, np.array([at for at, _ in exact.faults], np.int64))
        faults = faults + [self._fault(refused, row, code) for row, (_, code) in enumerate(exact.faults)]
        return Sequenced(ready.take(np.argsort(ready["sid"], kind="stable")), late, faults, exact.gaps)

    def _hold(self, batch: EventBatch, body: NDArray[np.uint32], now_us: int, gone: Places, keep: Places) -> None:
        """Let held records at these places go, and hold these rows of the batch."""
        self.held.remove(gone)
        self.held.insert(batch, keep, self.table["next_seq"])
        self.held.keep(batch, body, np.full(batch.n, now_us, np.int64))

    # -- sessions and numbers ----------------------------------------------------------------------

    def _start(self, sid: NDArray[np.int32], seq: IntColumn) -> None:
        """Give new sessions their first expected number."""
        new = self.rows.take_new()
        if not new:
            return
        table = self.table
        if self.policy.start == "any":
            fresh, where = np.unique(sid, return_index=True)
            first = dict(zip(fresh.tolist(), seq[where].tolist(), strict=True))
            starts = [first[s] for s in new]
            for s, start in zip(new, starts, strict=True):
                if start > 0:
                    self.gaps.add(s, 0, start - 1, table["forgotten_below"])
        else:
            starts = [self.policy.start] * len(new)
        table["next_seq"][new] = starts
        table["start_seq"][new] = starts

    def _fault(self, batch: EventBatch, row: int, code: FaultCode) -> RowFault:
        texts = self.sessions.vocabulary.texts
        seq = int(batch["seq"][row])
        if seq < 0:  # below a fixed start; the plant's own number is meant
            assert self.policy.modulus is not None, "only a number that was unwrapped is negative"
            seq %= self.policy.modulus
        detail = {
            FaultCode.CONFLICTING_DUPLICATE: f"number {seq} was already received with another body",
            FaultCode.BAD_SEQUENCE: f"number {seq} is below the first of a session (sequencing.start)",
            FaultCode.TOO_LATE: f"number {seq} may fill a gap that is no longer remembered (gaps_max)",
        }[code]
        return RowFault(
            int(batch["row"][row]),
            code,
            detail,
            source=texts[batch["source"][row]],
            session=texts[batch["session"][row]],
            seq=seq,
            offset=int(batch["offset"][row]),
            plant=texts[batch["plant"][row]],
        )

    # -- state ---------------------------------------------------------------------------------------

    def encode(self) -> dict[str, bytes]:
        """Return the state in parts; texts in place of codes."""
        vocabulary = self.sessions.vocabulary
        codes = np.sort(self.held.codes(np.arange(len(self.held))))
        events = EventBatch.select(self.held.batches(), codes)
        names = session_columns(events["sid"], self.sessions)
        held = to_table(events, vocabulary)
        held = held.drop_columns([name for name in names if name in held.column_names])
        for name, column in names.items():
            held = held.append_column(name, column)
        held = held.append_column("body", pa.array(gather(self.held.bodies(), codes, np.uint32)))
        held = held.append_column("arrived_us", pa.array(self.held.arrived_us(codes)))
        return {
            "sequence.sessions": encode_table(KIND, VERSION, self.table.to_table()),
            "sequence.held": encode_table(KIND, VERSION, held),
            "sequence.gaps": encode_table(KIND, VERSION, self.gaps.to_table(self.sessions)),
        }

    @classmethod
    def decode(cls, policy: SequencePolicy, sessions: Sessions, state: Mapping[str, bytes]) -> Sequence:
        """Return the sequence that ``encode`` described, in the codes of ``sessions``.

        Raises: StateVersionUnknown.
        """
        out = cls(policy, sessions)
        _, table = decode_table(KIND, (VERSION,), state["sequence.sessions"])
        out.table = SessionTable.from_table(table, sessions, out.table.horizon)
        out.rows = SessionRows(out.table, policy.sessions_max)
        out.rows.refresh()
        _, held = decode_table(KIND, (VERSION,), state["sequence.held"])
        if held.num_rows:
            events = from_table(held, sessions.vocabulary)
            events = events.with_columns({"sid": session_rows(held, sessions)})
            out.held.grow(out.table.size)
            body, arrived_us = (held.column(name).to_numpy() for name in ("body", "arrived_us"))
            by_age = np.argsort(arrived_us, kind="stable")  # earlier releases wrote them by session
            events = events.take(by_age).made()
            out.held.insert(events, np.arange(events.n), out.table["next_seq"])
            out.held.keep(events, body[by_age], arrived_us[by_age])
        _, gaps = decode_table(KIND, (VERSION,), state["sequence.gaps"])
        out.gaps = Gaps.from_table(gaps, sessions, policy.gaps_max)
        return out
