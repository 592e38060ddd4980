"""The protocol broken on purpose, one way each: what the laws must notice, else they could not fail."""

from contextlib import suppress

import pyarrow as pa

from dataflows.confirmation_stages import Account, Confirm, Count, Order
from dataflows.processors import aggregate, arrival, sequence
from dataflows.processors.state import decode_table, encode_table
from dataflows.proof.faults import Place
from dataflows.proof.stepped_flight import SteppedFlight
from dataflows.proof.stepped_log import Published, SteppedLog
from sinks.commit_log import CommitInDoubt, CommitLogUnavailable, Record
from sinks.streams import CONFIRMATIONS, GAPS


def shown(log, shard, records):
    """Make records visible while the shard stays where it was."""
    snapshot = log.store.snapshots.get(shard)
    log.store.show(Published(shard, snapshot, records, log._around.now_us))


class RecordsFirst(SteppedLog):
    """Records in one transaction, state and position in the next."""

    def _publish(self, shard, position, state, records):
        try:
            self._around.pass_by(Place.STATE)
        except BaseException:
            shown(self, shard, records)
            raise
        super()._publish(shard, position, state, records)


class PositionFirst(SteppedLog):
    """State and position in one transaction, records in the next."""

    def _publish(self, shard, position, state, records):
        try:
            self._around.pass_by(Place.STATE)
        except BaseException:
            super()._publish(shard, position, state, [])
            raise
        super()._publish(shard, position, state, records)


class StateOfTheCommitBefore(SteppedLog):
    """A position that is ahead of the state."""

    def commit(self, shard, position, state, records):  # noqa: ARG002 - that is the mistake
        before = self.store.snapshots.get(shard)
        super().commit(shard, position, before.state if before else {}, records)


class FencedAfterReading(SteppedLog):
    """The last commit is read first; what an older writer commits until the fence is up is not seen."""

    def restore(self, shard):
        self._around.pass_by(Place.RESTORE)
        snapshot = self._read(shard)
        self._around.pass_by(Place.FENCED)
        self._fence(shard)
        self._around.pass_by(Place.RESTORED)
        return snapshot


class FencedOnlyEarly(SteppedLog):
    """The fence is looked at before the commit, and not together with storing it."""

    def _publish(self, shard, position, state, records):
        self._generations[shard] = self.store.generations[shard]
        super()._publish(shard, position, state, records)


class Unfenced(FencedOnlyEarly):
    """Nobody is ever refused."""

    def _check(self, shard):
        pass


class InDoubtTakenForDone(SteppedLog):
    """An answer that is lost counts as a commit."""

    def commit(self, *args):
        with suppress(CommitInDoubt):
            super().commit(*args)


class FailedInFlightForgotten(SteppedLog):
    """A commit that failed on its way counts as one, so that the next is begun."""

    def commit(self, *args):
        with suppress(CommitLogUnavailable):
            super().commit(*args)


class NextBegunBeforeTheLastLanded(SteppedFlight):
    """Two commits of a shard are on their way, and the second can be the first to arrive."""

    def begin(self, shard, commit):
        before = self._commits.pop(shard, None)
        super().begin(shard, commit)
        if before:
            self.land(shard)
            self._commits[shard] = before


class LastLeftBehind(SteppedFlight):
    """Nobody waits for the commit before: the next one takes its place."""

    def begin(self, shard, commit):
        self._commits.pop(shard, None)
        super().begin(shard, commit)


class OneHeldRowDropped(Order):
    """The encoded state lacks the first of the rows that wait."""

    def commit(self, commit):
        state = dict(super().commit(commit))
        if "sequence.held" in state:
            _, held = decode_table(sequence.KIND, (sequence.VERSION,), state["sequence.held"])
            state["sequence.held"] = encode_table(sequence.KIND, sequence.VERSION, held.slice(1))
        return state


class NewestIdentitiesForgotten(Order):
    """The last ten identities are not in the state: the last second's dedup is skipped after a restart."""

    def commit(self, commit):
        state = dict(super().commit(commit))
        if "sequence.known" in state:
            _, known = decode_table(arrival.KIND, (arrival.VERSION,), state["sequence.known"])
            kept = known.slice(0, max(0, known.num_rows - 10))
            state["sequence.known"] = encode_table(arrival.KIND, arrival.VERSION, kept)
        return state


class BodiesForgotten(Order):
    """What recent numbers said is not restored: a conflict after a restart passes as a duplicate."""

    def __init__(self, shard, state):
        super().__init__(shard, state)
        self.sequence.table.recent[:] = 0


class OpenRunsForgotten(Confirm):
    """The runs that are open are not in the state."""

    def commit(self, commit):
        reader = pa.BufferReader(super().commit(commit)["aggregate"])
        _, sessions = decode_table(aggregate.SESSIONS_KIND, (aggregate.VERSION,), reader)
        _, runs = decode_table(aggregate.RUNS_KIND, (aggregate.VERSION,), reader)
        none = encode_table(aggregate.RUNS_KIND, aggregate.VERSION, runs.slice(0, 0))
        return {"aggregate": encode_table(aggregate.SESSIONS_KIND, aggregate.VERSION, sessions) + none}


class ReadingsForgotten(Count):
    """The last readings of the counters are not in the state."""

    def commit(self, commit):
        super().commit(commit)
        return {}


class Repeating(Account):
    """What a commit has written last of a stream is written again after a restart."""

    stream = CONFIRMATIONS

    def __init__(self, shard, state, flow):
        super().__init__(shard, state, flow)
        if "again" in state:
            self.records.append(Record(self.stream, None, state["again"]))

    def commit(self, commit):
        state = dict(super().commit(commit))
        again = [record.value for record in commit.records if record.stream == self.stream]
        return state | ({"again": again[-1]} if again else {})


class GapAgain(Repeating):
    """The same with gaps."""

    stream = GAPS
