"""What every commit log keeps: law 3 of the design (M25), on memory, SQLite and Kafka."""

import itertools
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.commit_log import Record, Snapshot, WriterFenced
from tests.conformance.commit_forever import RECORDS

NASTY = [
    Record("s", b"key", b"value", (("ce_id", b"1"), ("ce_type", b"x"))),
    Record("s", None, b"no key"),
    Record("s", b"", b"empty key"),
    Record("s", b"empty value", b""),
    Record(
        "s", b"\xff\x00\xfe", bytes(range(256)), (("bytes", bytes(range(256))), ("empty", b""), ("ä €", b"\xc3\xa4"))
    ),
    Record("s", b"headers", b"v", (("same", b"2"), ("same", b"1"), ("same", b"2"))),
    Record("s", b"large", bytes(1_000_000)),
]


class Breaking(list):
    """Records of which the last cannot be had: the commit fails when some are already written."""

    def __iter__(self):
        yield from super().__iter__()
        raise OSError("the source of the records is gone")


def values(place, stream):
    return [stored.value for stored in place.read(stream)]


def test_a_new_shard_has_no_snapshot(log_place):
    assert log_place.open().restore("a") is None


def test_a_restart_returns_the_last_commit(log_place):
    log = log_place.open()
    log.restore("a")
    log.commit("a", "p1", {"x": b"1", "y": b"\xff\x00"}, [])
    log.commit("a", "p2", {"x": b"2", "y": b"\x00"}, [Record("s", b"k", b"v")])
    assert log_place.open().restore("a") == Snapshot("p2", {"x": b"2", "y": b"\x00"})


def test_parts_not_named_stay_and_empty_parts_go(log_place):
    log = log_place.open()
    log.restore("a")
    log.commit("a", "1", {"x": b"1", "y": b"2", "": b"nameless", 'ä"]': b"3"}, [])
    log.commit("a", "2", {"y": b"", "never": b""}, [])
    assert log.restore("a") == Snapshot("2", {"x": b"1", "": b"nameless", 'ä"]': b"3"})
    log.commit("a", "3", {"y": b"4"}, [])
    assert log_place.open().restore("a") == Snapshot("3", {"x": b"1", "y": b"4", "": b"nameless", 'ä"]': b"3"})


def test_a_commit_of_nothing_but_a_position(log_place):
    log = log_place.open()
    log.restore("a")
    log.commit("a", "p", {}, [])
    assert log_place.open().restore("a") == Snapshot("p", {})


def test_records_come_back_in_order_and_to_the_byte(log_place):
    log = log_place.open()
    log.restore("a")
    log.commit("a", "1", {}, NASTY)
    log.commit("a", "2", {}, [Record("other", None, b"x"), NASTY[0]])
    stored = log_place.read("s")
    assert [(r.key, r.value, r.headers) for r in stored] == [(r.key, r.value, r.headers) for r in [*NASTY, NASTY[0]]]
    offsets = [r.offset for r in stored]
    assert offsets == sorted(set(offsets))
    assert values(log_place, "other") == [b"x"]


def test_a_failing_commit_leaves_nothing_and_the_next_one_works(log_place):
    log = log_place.open()
    log.restore("a")
    log.commit("a", "1", {"x": b"1"}, [Record("s", b"k", b"1")])
    with pytest.raises(OSError, match="is gone"):
        log.commit("a", "2", {"x": b"2"}, Breaking([Record("s", b"k", b"broken")] * 10))
    assert values(log_place, "s") == [b"1"]
    log.commit("a", "3", {"y": b"3"}, [Record("s", b"k", b"3")])
    assert log_place.open().restore("a") == Snapshot("3", {"x": b"1", "y": b"3"})
    assert values(log_place, "s") == [b"1", b"3"]


def test_a_replaced_writer_cannot_commit(log_place):
    old, new = log_place.open(), log_place.open()
    old.restore("a")
    old.commit("a", "1", {"x": b"1"}, [Record("s", None, b"1")])
    assert new.restore("a") == Snapshot("1", {"x": b"1"})
    for _ in range(2):
        with pytest.raises(WriterFenced, match="'a'"):
            old.commit("a", "2", {"x": b"old"}, [Record("s", None, b"old")])
    new.commit("a", "2", {"x": b"2"}, [Record("s", None, b"2")])
    with pytest.raises(WriterFenced):
        old.commit("a", "3", {"x": b"old"}, [Record("s", None, b"old")])
    assert values(log_place, "s") == [b"1", b"2"]
    # Restoring makes it the writer again, and fences the other.
    assert old.restore("a") == Snapshot("2", {"x": b"2"})
    old.commit("a", "3", {}, [Record("s", None, b"3")])
    with pytest.raises(WriterFenced):
        new.commit("a", "4", {}, [])
    assert values(log_place, "s") == [b"1", b"2", b"3"]


def test_looking_at_a_shard_fences_nobody(log_place):
    log = log_place.open()
    log.restore("a")
    log.restore("b")
    assert log_place.look("a") is None
    log.commit("a", "1", {"x": b"1", "y": b"2"}, [])
    assert log_place.look("a") == Snapshot("1", {"x": b"1", "y": b"2"})
    log.commit("a", "2", {"x": b"", "y": b""}, [])
    assert log_place.look("a") == Snapshot("2", {})
    assert log_place.look("b") is None
    log.commit("b", "1", {}, [])


def test_a_fence_stops_only_its_shard(log_place):
    old, new = log_place.open(), log_place.open()
    for shard in ("a", "b", "a b"):
        old.restore(shard)
    new.restore("a")
    old.commit("b", "b1", {}, [])
    old.commit("a b", "ab1", {}, [])
    with pytest.raises(WriterFenced):
        old.commit("a", "a1", {}, [])


def test_shards_do_not_touch_each_other(log_place):
    names = ["", "a", "a0", 'a"', "plant/a[0]", "ä"]
    logs = {shard: log_place.open() for shard in names}
    for shard, log in logs.items():
        assert log.restore(shard) is None
    for i in range(3):
        for shard, log in logs.items():
            log.commit(shard, f"{shard}{i}", {"x": f"{shard}{i}".encode()}, [Record("s", None, f"{shard}{i}".encode())])
    one = log_place.open()
    for shard in names:
        assert one.restore(shard) == Snapshot(f"{shard}2", {"x": f"{shard}2".encode()})
    assert values(log_place, "s") == [f"{shard}{i}".encode() for i in range(3) for shard in names]


def test_a_large_state_grows_and_shrinks(log_place):
    log = log_place.open()
    log.restore("a")
    for size in (5_000_000, 10, 1_800_000, 900_000, 900_001):
        state = {"large": random.Random(size).randbytes(size), "small": b"%d" % size}
        log.commit("a", str(size), state, [])
        assert log_place.open().restore("a") == Snapshot(str(size), state)
        log.restore("a")


def test_many_commits(log_place):
    log = log_place.open()
    log.restore("a")
    for i in range(200):
        log.commit("a", str(i), {f"part{i % 7}": b"%d" % i}, [Record("s", b"k", b"%d" % i)])
    assert log_place.open().restore("a") == Snapshot("199", {f"part{i % 7}": b"%d" % i for i in range(193, 200)})
    assert values(log_place, "s") == [b"%d" % i for i in range(200)]


def test_a_commit_needs_a_restore(log_place):
    with pytest.raises(AssertionError, match="restore shard 'a'"):
        log_place.open().commit("a", "1", {}, [])


WRITERS = st.integers(0, 1)
SHARDS = st.sampled_from(["a", "b"])
STATES = st.dictionaries(st.sampled_from(["x", "y"]), st.binary(max_size=3), max_size=2)
ROWS = st.lists(st.tuples(st.none() | st.binary(max_size=2), st.binary(max_size=3)), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("restore"), WRITERS, SHARDS),
    st.tuples(st.just("commit"), WRITERS, SHARDS, STATES, ROWS),
    st.tuples(st.just("break"), WRITERS, SHARDS, STATES, ROWS),
)


class Model:
    """The law, written down naively: who holds a shard, what its last commit was, what is readable."""

    def __init__(self):
        self.holders, self.snapshots, self.values = {}, {}, []

    def commit(self, shard, position, state, records):
        before = self.snapshots[shard].state if shard in self.snapshots else {}
        self.snapshots[shard] = Snapshot(position, {part: value for part, value in (before | state).items() if value})
        self.values += [record.value for record in records]


def test_any_history_is_what_the_law_says(log_place):
    fresh = itertools.count()

    @settings(
        max_examples=log_place.examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        database=None,
    )
    @given(st.lists(STEPS, max_size=12))
    def check(steps):
        run_history(log_place, f"{next(fresh)}-", steps)

    check()


def run_history(place, prefix, steps):
    logs, model, restored = [place.open(), place.open()], Model(), set()
    stream = f"{prefix}s"
    for number, (kind, writer, name, *rest) in enumerate(steps):
        log, shard, position = logs[writer], prefix + name, str(number)
        if kind == "restore" or (writer, shard) not in restored:
            assert log.restore(shard) == model.snapshots.get(shard)
            model.holders[shard] = writer
            restored.add((writer, shard))
        if kind == "restore":
            continue
        state, records = rest[0], [Record(stream, key, value) for key, value in rest[1]]
        if kind == "break":
            with pytest.raises((OSError, WriterFenced)):
                log.commit(shard, position, state, Breaking(records))
        elif model.holders[shard] == writer:
            log.commit(shard, position, state, records)
            model.commit(shard, position, state, records)
        else:
            with pytest.raises(WriterFenced):
                log.commit(shard, position, state, records)
    assert values(place, stream) == model.values
    for name in ("a", "b"):
        assert place.open().restore(prefix + name) == model.snapshots.get(prefix + name)


def started(place, shard, *commits):
    command = [sys.executable, "-m", "tests.conformance.commit_forever", *place.address, shard, *commits]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def committed(place, shard):
    """Number of commits; position, state and records must agree on it."""
    snapshot = place.open().restore(shard)
    count = 0 if snapshot is None else int(snapshot.position) + 1
    if snapshot is not None:
        last = snapshot.position.encode()
        assert snapshot.state == {"n": last, "ballast": last * 20_000}
    assert values(place, shard) == [b"%d" % i for i in range(count) for _ in range(RECORDS)]
    return count


def test_a_writer_killed_at_any_instant_leaves_whole_commits(durable_place):
    chance = random.Random(7)
    counts = [0]
    for _ in range(5):
        process = started(durable_place, "a")
        time.sleep(0.05 + 0.2 * chance.random())
        killed(process)
        counts.append(committed(durable_place, "a"))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_a_killed_writer_does_not_hold_up_its_neighbours(durable_place):
    neighbour, victim = started(durable_place, "b", "40"), started(durable_place, "a")
    time.sleep(0.15)
    killed(victim)
    assert neighbour.wait(timeout=60) == 0
    neighbour.stdout.close()
    assert committed(durable_place, "b") == 40
    committed(durable_place, "a")


def test_streams_are_read_in_pieces(embedded_place):
    log = embedded_place.open()
    log.restore("a")
    reader = embedded_place.reader()
    assert (reader.streams(), reader.end("s"), reader.count("s"), reader.read("s", 0, 10)) == ([], 0, 0, [])
    for i in range(10):
        log.commit("a", str(i), {}, [Record("s", None, b"%d" % i), Record("t", None, b"")])
    assert reader.streams() == ["s", "t"]
    assert (reader.end("s"), reader.count("s")) == (10, 10)
    assert [stored.offset for stored in reader.read("s", 0, 100)] == list(range(1, 11))
    assert [stored.value for stored in reader.read("s", 4, 3)] == [b"4", b"5", b"6"]
    assert reader.read("s", 10, 5) == []
    reader.close()
