"""Laws of ``sequence`` (M08, M09; DESIGN laws 1, 2, 4) against a twin that keeps everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import EventBatch, Sessions, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.policy import SequencePolicy
from dataflows.processors.sequence import Sequence, Sequenced

SECOND = 1_000_000
FAULTS = {FaultCode.CONFLICTING_DUPLICATE: "conflict", FaultCode.BAD_SEQUENCE: "bad", FaultCode.TOO_LATE: "too late"}


@dataclass
class Twin:
    """The rules, told row by row, without bounds on memory."""

    policy: SequencePolicy
    next_seq: dict = field(default_factory=dict)
    bodies: dict = field(default_factory=dict)  # (session, seq) -> body of the accounted record
    holes: set = field(default_factory=set)  # (session, seq) declared missing
    held: dict = field(default_factory=dict)  # session -> {seq: (row, body, arrived)}
    out: list = field(default_factory=list)

    def arrive(self, row: int, key: tuple[str, str], seq: int, body: int, now: int) -> None:
        start = seq if self.policy.start == "any" else self.policy.start
        if key not in self.next_seq:
            self.next_seq[key] = start
            self.holes |= {(key, n) for n in range(start if self.policy.start == "any" else 0)}
        held = self.held.setdefault(key, {})
        if (key, seq) in self.holes:
            self.holes.discard((key, seq))
            self.bodies[key, seq] = body
            self.out.append(("late", key, seq, row))
        elif self.policy.start != "any" and seq < self.policy.start:
            self.out.append(("bad", key, seq, row))
        elif seq < self.next_seq[key]:
            near = seq >= self.next_seq[key] - self.policy.conflict_horizon_rows
            known = self.bodies.get((key, seq), body)
            self.out.append(("conflict" if near and known != body else "duplicate", key, seq, row))
        elif seq in held:
            self.out.append(("duplicate" if held[seq][1] == body else "conflict", key, seq, row))
        else:
            held[seq] = (row, body, now)
            self.release(key)
            if len(held) > self.policy.held_rows_max:
                self.declare(key)

    def release(self, key: tuple[str, str]) -> None:
        held = self.held[key]
        while self.next_seq[key] in held:
            seq = self.next_seq[key]
            row, body, _ = held.pop(seq)
            self.bodies[key, seq] = body
            self.out.append(("ready", key, seq, row))
            self.next_seq[key] += 1

    def declare(self, key: tuple[str, str]) -> None:
        first, last = self.next_seq[key], min(self.held[key]) - 1
        self.holes |= {(key, n) for n in range(first, last + 1)}
        self.out.append(("gap", key, first, last))
        self.next_seq[key] = last + 1
        self.release(key)

    def wake(self, now: int) -> None:
        for key, held in self.held.items():
            while held and min(arrived for _, _, arrived in held.values()) + self.policy.gap_timeout_s * SECOND <= now:
                self.declare(key)


class Machine:
    """The processor under test, restarted on demand, with its outcome told in the twin's words."""

    def __init__(self, policy: SequencePolicy) -> None:
        self.policy = policy
        self.sequence = Sequence(policy, Sessions(Vocabulary()))
        self.out: list = []

    def restart(self, noise: str) -> None:
        vocabulary = Vocabulary()
        vocabulary.code(noise)  # other codes and other session rows than before
        sessions = Sessions(vocabulary)
        self.sequence = Sequence.decode(self.policy, sessions, self.sequence.encode())

    def step(self, rows: list[tuple[int, str, str, int, int]], now: int) -> None:
        vocabulary = self.sequence.sessions.vocabulary
        columns = {
            "offset": np.array([r[0] for r in rows], np.int64),
            "row": np.arange(len(rows), dtype=np.int32),
            "source": vocabulary.codes([r[1] for r in rows]),
            "session": vocabulary.codes([r[2] for r in rows]),
            "seq": np.array([r[3] for r in rows], np.int64),
            "good": np.array([r[4] for r in rows], np.int64),
        }
        offsets = [r[0] for r in rows]
        self.tell(self.sequence.step(EventBatch(len(rows), columns), now), offsets)

    def wake(self, now: int) -> None:
        self.tell(self.sequence.wake(now), [])

    def tell(self, done: Sequenced, offsets: list[int]) -> None:
        sessions = self.sequence.sessions
        texts = sessions.vocabulary.texts
        for kind, batch in (("ready", done.ready), ("late", done.late)):
            order = list(zip(batch["sid"].tolist(), batch["seq"].tolist(), strict=True))
            assert kind == "late" or order == sorted(order), "ready is ordered by (sid, seq)"
            for source, session, seq, offset in zip(
                *(batch[n].tolist() for n in ("source", "session", "seq", "offset")), strict=True
            ):
                self.out.append((kind, (texts[source], texts[session]), seq, offset))
        for fault in done.faults:
            kind = FAULTS[fault.code]
            self.out.append((kind, (fault.source, fault.session), fault.seq, offsets[fault.row]))
        for gap in done.gaps:
            key = (texts[sessions.source[gap.sid]], texts[sessions.session[gap.sid]])
            self.out.append(("gap", key, gap.first, gap.last))

    def totals(self) -> dict[str, int]:
        table = self.sequence.table
        names = ("read", "released", "late", "duplicates", "faults")
        return {name: int(table[name][: table.size].sum()) for name in names} | {
            "held": int(self.sequence.held_rows().sum()) if len(self.sequence.held) else 0
        }


def by_kind(out: list) -> dict[str, list]:
    told: dict[str, list] = {}
    for kind, *rest in out:
        told.setdefault(kind, []).append(tuple(rest))
    told.pop("duplicate", None)
    return {kind: sorted(rows) for kind, rows in told.items()}


ROW = st.tuples(
    st.sampled_from(["m1", "m2", "m3"]),
    st.sampled_from(["", "s2"]),
    st.integers(0, 25),
    st.sampled_from([7, 7, 7, 7, 8]),
)
INPUT = st.lists(
    st.tuples(st.lists(ROW, max_size=30), st.integers(0, 3), st.booleans()),
    max_size=8,
)
POLICY = st.builds(
    SequencePolicy,
    start=st.sampled_from([0, "any", 3]),
    gap_timeout_s=st.sampled_from([2.0, 1000.0]),
    held_rows_max=st.sampled_from([1, 3, 1000]),
    conflict_horizon_rows=st.sampled_from([4, 16]),
)


def run(policy: SequencePolicy, batches: list, *, whole: bool, restart: bool) -> tuple[Machine, Twin]:
    machine, twin = Machine(policy), Twin(policy)
    now = offset = 0
    for rows, wait, again in batches:
        now += wait * SECOND
        machine.wake(now)
        twin.wake(now)
        told = [(offset + i, *row) for i, row in enumerate(rows)]
        offset += len(rows)
        for cut in [told] if whole else [[row] for row in told]:
            if cut:
                machine.step(cut, now)
        for i, source, session, seq, body in told:
            twin.arrive(i, (source, session), seq, body, now)
        if restart and again:
            machine.restart(f"noise {now}")
    return machine, twin


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "row by row"])
@pytest.mark.parametrize("restart", [True, False], ids=["restarted", "running"])
@given(policy=POLICY, batches=INPUT)
def test_agrees_with_the_twin(policy: SequencePolicy, batches: list, whole: bool, restart: bool) -> None:
    machine, twin = run(policy, batches, whole=whole, restart=restart)
    assert by_kind(machine.out) == by_kind(twin.out)
    totals = machine.totals()
    assert totals["read"] == sum(len(rows) for rows, _, _ in batches)
    assert totals["read"] == sum(totals[n] for n in ("released", "late", "duplicates", "faults", "held"))
    assert totals["duplicates"] == sum(kind == "duplicate" for kind, *_ in twin.out)
    for name, kinds in (("released", {"ready"}), ("late", {"late"}), ("faults", {"conflict", "bad"})):
        assert totals[name] == sum(kind in kinds for kind, *_ in machine.out)


@given(st.permutations(range(40)), st.integers(0, 39))
def test_any_permutation_within_the_bound_gives_the_same_sequence(order: list[int], cut: int) -> None:
    machine = Machine(SequencePolicy())
    rows = [(i, "m", "", seq, 1) for i, seq in enumerate(order)]
    machine.step(rows[:cut], 0)
    machine.step(rows[cut:], 0)
    assert [seq for kind, _, seq, _ in machine.out if kind == "ready"] == list(range(40))


@given(st.integers(0, 255), st.integers(0, 900), st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_numbers_go_on_where_the_modulus_wraps(first: int, count: int, seed: int, chunk: int) -> None:
    """Sparkplug: 255 is followed by 0 (M09)."""
    true = np.argsort(np.arange(count) + np.random.default_rng(seed).integers(-20, 20, count), kind="stable").tolist()
    machine = Machine(SequencePolicy(start="any", modulus=256, gap_timeout_s=1, held_rows_max=1000))
    rows = [(i, "m", "", (first + n) % 256, 1) for i, n in enumerate(true)]
    for at in range(0, len(rows), chunk):
        machine.step(rows[at : at + chunk], 0)
    assert machine.totals()["duplicates"] == machine.totals()["held"] == 0
    told = [offset for kind, _, _, offset in machine.out if kind == "ready"]
    seqs = [seq for kind, _, seq, _ in machine.out if kind == "ready"]
    assert seqs == list(range(seqs[0] if seqs else 0, seqs[-1] + 1 if seqs else 0))
    assert [true[i] for i in told] == list(range(true[0] if true else 0, count))
    assert sorted(true[i] for kind, _, _, i in machine.out if kind == "late") == list(range(true[0] if true else 0))


def test_a_forgotten_gap_makes_late_records_too_late_and_never_duplicates() -> None:
    policy = SequencePolicy(gap_timeout_s=1, gaps_max=1, conflict_horizon_rows=1)
    sequence = Sequence(policy, Sessions(Vocabulary()))

    def step(seqs: list[int], now: int) -> Sequenced:
        n = len(seqs)
        vocabulary = sequence.sessions.vocabulary
        columns = {"seq": np.array(seqs, np.int64), "source": vocabulary.codes(["m"] * n)}
        return sequence.step(EventBatch(n, columns), now)

    step([0, 5, 9], 0)
    declared = sequence.wake(10 * SECOND).gaps
    assert [(g.first, g.last) for g in declared] == [(1, 4), (6, 8)]
    done = step([2, 7, 0], 10 * SECOND)
    assert done.late["seq"].tolist() == [7]
    assert sorted((f.code, f.seq) for f in done.faults) == [(FaultCode.TOO_LATE, 0), (FaultCode.TOO_LATE, 2)]


def test_one_session_too_many_is_a_fault() -> None:
    sequence = Sequence(SequencePolicy(sessions_max=2), Sessions(Vocabulary()))
    vocabulary = sequence.sessions.vocabulary
    columns = {"seq": np.zeros(4, np.int64), "source": vocabulary.codes(["a", "b", "c", "a"])}
    done = sequence.step(EventBatch(4, columns), 0)
    assert [f.code for f in done.faults] == [FaultCode.SESSIONS_EXHAUSTED]
    assert done.ready.n == 2


@given(st.integers(0, 900), st.integers(0, 2**32 - 1), st.integers(1, 50), st.sampled_from([0, 7]))
def test_a_fixed_start_counts_on_from_there_through_the_wraps(count: int, seed: int, chunk: int, start: int) -> None:
    order = np.argsort(np.arange(count) + np.random.default_rng(seed).integers(-20, 20, count), kind="stable").tolist()
    machine = Machine(SequencePolicy(start=start, modulus=256, gap_timeout_s=1, held_rows_max=1000))
    rows = [(i, "m", "", (start + n) % 256, 1) for i, n in enumerate(order)]
    for at in range(0, len(rows), chunk):
        machine.step(rows[at : at + chunk], 0)
    assert [seq for kind, _, seq, _ in machine.out if kind == "ready"] == list(range(start, start + count))
    assert machine.totals()["released"] == count


FAR_ROW = st.tuples(
    st.sampled_from(["m1", "m2"]),
    st.just(""),
    st.sampled_from([*range(7), 2**36 - 1, 2**36, 2**36 + 1, 2**40]),
    st.sampled_from([7, 7, 7, 8]),
)


@given(batches=st.lists(st.tuples(st.lists(FAR_ROW, max_size=12), st.just(0), st.booleans()), max_size=6))
def test_numbers_far_ahead_are_told_apart(batches: list) -> None:
    """A key of a held record has no room for them (``held.FAR``)."""
    machine, twin = run(SequencePolicy(gap_timeout_s=1000), batches, whole=True, restart=True)
    assert by_kind(machine.out) == by_kind(twin.out)
    totals = machine.totals()
    assert totals["read"] == sum(totals[n] for n in ("released", "late", "duplicates", "faults", "held"))
    assert totals["held"] == sum(map(len, twin.held.values()))


@given(policy=POLICY, batches=INPUT)
def test_held_records_outlive_their_batches(policy: SequencePolicy, batches: list) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataflows.processors.held._BATCHES_MAX", 1)
        patch.setattr("dataflows.processors.held._GONE_MAX", 0)
        machine, twin = run(policy, batches, whole=True, restart=False)
    assert by_kind(machine.out) == by_kind(twin.out)


def test_when_a_record_has_waited_too_long_is_known_whatever_came_and_went_meanwhile() -> None:
    sequence = Sequence(SequencePolicy(gap_timeout_s=10), Sessions(Vocabulary()))
    vocabulary = sequence.sessions.vocabulary

    def step(source: str, seq: int, now: int) -> None:
        columns = {"seq": np.array([seq]), "source": vocabulary.codes([source])}
        sequence.step(EventBatch(1, columns), now)

    due = []
    for now, (source, seq) in enumerate([("a", 1), ("b", 1), ("c", 5), ("a", 0), ("c", 3), ("b", 0)]):
        step(source, seq, now)
        due.append(sequence.due_us())
    assert due == [10 * SECOND + oldest for oldest in (0, 0, 0, 1, 1, 2)]
