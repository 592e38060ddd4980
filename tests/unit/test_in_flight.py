"""Commits on their way: the flow works on, nothing overtakes, and what fails is told (M25; DESIGN law 3)."""

from threading import Event, current_thread

import pytest

from dataflows.guard import Failure, GuardedLog
from dataflows.in_flight import CommitsInFlight, at_once
from dataflows.progress import Progress
from sinks.commit_log import CommitInDoubt, Record
from sinks.memory import MemoryLog

PATIENCE_S = 10


class Gate:
    """Commits that each wait to be let through, and note that they were stored."""

    def __init__(self):
        self.begun, self.stored, self.open = [], [], {}

    def commit(self, name, error=None):
        self.open[name] = Event()

        def store():
            self.begun.append(name)
            assert self.open[name].wait(PATIENCE_S)
            if error is not None:
                raise error
            self.stored.append(name)

        return store

    def let(self, *names):
        for name in names:
            self.open[name].set()


def test_the_flow_works_on_while_a_commit_is_on_its_way():
    gate, stop = Gate(), Event()
    with CommitsInFlight(stop) as flight:
        flight.begin("a", gate.commit("a1"))
        flight.begin("b", gate.commit("b1"))
        assert gate.stored == []
        gate.let("a1", "b1")
        flight.settle()
        assert gate.stored == ["a1", "b1"]
    assert not stop.is_set()


def test_a_commit_waits_for_the_one_before_it():
    gate, seen = Gate(), []
    with CommitsInFlight(Event()) as flight:
        flight.begin("a", gate.commit("a1"))
        gate.let("a1")
        flight.begin("a", lambda: seen.append((list(gate.stored), current_thread().name)))
    ((stored, thread),) = seen
    assert stored == ["a1"]
    assert thread.startswith("commit")


def test_leaving_waits_for_what_is_on_its_way():
    gate = Gate()
    with CommitsInFlight(Event()) as flight:
        flight.begin("a", gate.commit("a1"))
        gate.let("a1")
    assert gate.stored == ["a1"]


@pytest.mark.parametrize("how", ["next", "settle", "leave"])
def test_a_failure_stops_the_flow_at_once_and_is_told_before_anything_else_is_begun(how):
    gate, stop, error = Gate(), Event(), CommitInDoubt("the answer was lost")

    def fly():
        with CommitsInFlight(stop) as flight:
            flight.begin("a", gate.commit("a1", error))
            gate.let("a1")
            assert stop.wait(PATIENCE_S)  # whether or not the flow has anything more to commit
            if how == "next":
                flight.begin("a", gate.commit("a2"))
            elif how == "settle":
                flight.settle()

    with pytest.raises(CommitInDoubt) as told:
        fly()
    assert told.value is error
    assert gate.begun == ["a1"]


def test_a_flow_that_fails_otherwise_leaves_what_was_not_begun():
    gate = Gate()

    def fly():
        with CommitsInFlight(Event()) as flight:
            flight.begin("a", gate.commit("a1"))
            flight.begin("b", gate.commit("b1"))
            gate.let("a1", "b1")
            raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        fly()
    assert gate.stored in ([], ["a1"], ["a1", "b1"])
    assert gate.begun == gate.stored, "nothing is under way any more"


class Doubtful(MemoryLog):
    """Does not know what became of the second commit."""

    commits = 0

    def commit(self, *args):
        self.commits += 1
        if self.commits == 2:
            raise CommitInDoubt("the answer was lost")
        super().commit(*args)


def test_nothing_is_committed_after_a_failure_of_any_shard():
    stop, log, progress = Event(), Doubtful(), Progress()
    failure = Failure(stop)
    guarded = GuardedLog(log, failure, progress, lambda: 7)
    for shard in ("a", "b"):
        guarded.restore(shard)
    with CommitsInFlight(stop) as flight:
        for number in range(3):
            for shard in ("a", "b"):
                record = Record("s", None, b"%d" % number)
                flight.begin(shard, lambda s=shard, n=number, r=record: guarded.commit(s, str(n), {}, [r]))
    assert isinstance(failure.error, CommitInDoubt)
    assert stop.is_set()
    assert {shard: snapshot.position for shard, snapshot in log.store.snapshots.items()} == {"a": "0"}
    assert (progress.commits, progress.written["s"]) == (1, 1)


def test_a_failure_that_comes_second_is_not_the_one_that_is_told():
    failure = Failure(Event())

    def first_told(second):
        def fail():
            if second:
                first_told(second=False)  # as when another thread fails while this one is at work
            raise CommitInDoubt("second" if second else "first")

        failure.guarded(fail, None)()

    first_told(second=True)
    assert str(failure.error) == "first"


def test_at_once_is_at_once():
    stored = []
    at_once("a", lambda: stored.append(1))
    assert stored == [1]
