"""The postings flow on the real graph: a crash at any commit and a restart give what no crash gives (M25, DESIGN 3)."""

from __future__ import annotations

from threading import Event as Flag

import orjson
import pytest
from bytewax.errors import BytewaxRuntimeError
from bytewax.testing import run_main

from canonical.contracts import BusinessException, Event, Posting
from dataflows.intake import Intake, Room
from dataflows.postings import SHARD, postings
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.presence import AttributionPolicy
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.sources.log_stream import LogStream
from dataflows.sources.shard_source import Pace, ShardInput
from sinks import dead_letters
from sinks.commit_log import Record
from sinks.memory import MemoryLog, MemoryStore
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.postings_world import NOW_US, action, confirmation, material, order, references, word

POLICY = PostingPolicy(patience_us=0, attribution=AttributionPolicy(frozenset({"A"}), settle_us=0))


class Crash(Exception):
    """The process is gone."""


class CrashingLog(MemoryLog):
    """Fails at the n-th commit, when it has not stored it yet or when it has."""

    def __init__(self, store, at, *, stored):
        super().__init__(store)
        self.left, self.stored = at, stored

    def commit(self, shard, position, state, records):
        self.left -= 1
        if self.left or self.stored:
            super().commit(shard, position, state, records)
        if not self.left:
            raise Crash


class Slowly(LogStream):
    """One record at a time, so that there are many commits."""

    def poll(self):
        raw = super().poll()
        if len(raw) > 1:
            self._after = int(raw.offsets[0])
            raw = type(raw).from_values([raw.value(0)], raw.offsets[:1], raw.topic, 0, raw.keys[:1], raw.headers[:1])
        return raw


def values(*models):
    return [model.model_dump_json().encode() for model in models]


@pytest.fixture
def inputs(tmp_path):
    """Write reference data into a folder, and return what is in the streams."""
    folder = tmp_path / "reference" / "north"
    folder.mkdir(parents=True)
    told = [*references(), material(inspected=True, changed_us=2), order("4712", "created")]
    told.append(order(counting_sources=("machine-0010", "machine-0020", "counter"), changed_us=3))
    (folder / "all.ndjson").write_bytes(b"\n".join([*values(*told), b"{not json", b'{"kind":"order"}']) + b"\n")
    confirmations = [confirmation(n, good=4_000) for n in range(4)]
    confirmations += [confirmation(n, "0020") for n in range(4)]
    confirmations += [confirmation(9, order="4712"), confirmation(0, good=3_000, revision=1)]
    # What a terminal counts, too, is not posted; a machine knows no order, before and after one is at its work centre.
    confirmations.append(confirmation(0, source="terminal"))
    began = {"occurred_us": NOW_US - 99, "order": "4711", "operation": "0010", "work_center": "W1", "seq": 1}
    start = Event(plant="A", source="mes", type="start", **began)
    nameless = {"order": "", "work_center": "W1", "first_occurred_us": NOW_US - 200}
    confirmations += [confirmation(0, "", source="counter", order="", work_center="W1")]
    confirmations += [confirmation(1, "", source="counter", **nameless)]
    return tmp_path / "reference", {
        "confirmations": [*values(*confirmations), b'{"posting_id": 7}', b"\xff"],
        "events": [*values(start, word()), b"[]"],
        "actions": [*values(action("reverse", posting_id="nothing")), b"{}"],
    }


def fill(log, streams):
    log.restore("inputs")
    log.commit("inputs", "", {}, [Record(name, b"k", value) for name, all_ in streams.items() for value in all_])


def run(log, opening, folder, policy=POLICY):
    room = Room(policy.waiting_max)

    def opened():
        config = FolderConfig(folder / "north", by_content=True, settle_us=0)
        readers = {name: Slowly(opening(), name) for name in ("confirmations", "events", "actions")}
        return Intake({**readers, "reference/north": LandedFiles(config, lambda: 2**60)}, room)

    pace = Pace(commit_interval_us=0, until_end=True)
    run_main(postings({SHARD: ShardInput(opened)}, policy, log, pace, lambda: NOW_US, Flag(), room, {}))


def told(streams):
    """Return everything that was committed, but the instants at which it was."""
    read = {name: streams.read(name, 0, 10**6) for name in ("postings-north", "exceptions", "dead-letters")}
    return {name: [(stored.key, stored.value) for stored in stored_] for name, stored_ in read.items()}


def test_a_crash_at_any_commit_loses_nothing_and_posts_nothing_twice(inputs):
    folder, streams = inputs
    calm = MemoryStore()
    fill(MemoryLog(calm), streams)
    counted = CrashingLog(calm, -1, stored=True)
    run(counted, lambda: calm, folder)
    expected, commits = told(calm), -1 - counted.left
    assert commits > 10
    made = [orjson.loads(value) for _, value in expected["postings-north"]]
    assert [posting["kind"] for posting in made].count("reversal") == 1
    assert [posting["order"] for posting in made if len(posting["causes"]) > 1] == ["4711"]
    states = [orjson.loads(stored.value)["state"] for stored in calm.read("unposted", 0, 10**6)]
    assert states.count("not-counted") == 1
    assert "NO_ORDER_ACTIVE" in {orjson.loads(value)["code"] for _, value in expected["exceptions"]}

    for at in range(1, commits + 1):
        for stored in (False, True):
            store = MemoryStore()
            fill(MemoryLog(store), streams)
            with pytest.raises((Crash, BytewaxRuntimeError)):
                run(CrashingLog(store, at, stored=stored), lambda store=store: store, folder)
            run(MemoryLog(store), lambda store=store: store, folder)
            assert told(store) == expected, (at, stored)
            assert store.snapshots[SHARD].state == calm.snapshots[SHARD].state


def test_what_cannot_be_read_becomes_dead_letters_and_stops_nothing(inputs, tmp_path):
    folder, streams = inputs
    log = SqliteLog(tmp_path / "log.db")
    fill(log, streams)
    for _ in range(2):
        run(log, lambda: SqliteStreams(tmp_path / "log.db"), folder)
    reader = SqliteStreams(tmp_path / "log.db")

    letters = [dead_letters.parse(stored) for stored in reader.read("dead-letters", 0, 100)]
    assert {(letter.topic, letter.fault.code.value) for letter in letters} == {
        ("north/all.ndjson", "MALFORMED"),
        ("north/all.ndjson", "MISSING_FIELD"),
        ("confirmations", "MISSING_FIELD"),
        ("confirmations", "MALFORMED"),
        ("events", "WRONG_TYPE"),
        ("actions", "MISSING_FIELD"),
    }
    assert len(letters) == 6
    made = [Posting.model_validate_json(stored.value) for stored in reader.read("postings-north", 0, 100)]
    assert [posting.number for posting in made] == list(range(len(made)))
    assert {stored.key for stored in reader.read("postings-north", 0, 100)} == {b"A/4711"}
    exceptions = [BusinessException.model_validate_json(stored.value) for stored in reader.read("exceptions", 0, 100)]
    assert "POSTING_UNKNOWN" in {each.code for each in exceptions}
    reader.close()
    log.close()


def test_what_may_not_even_wait_is_read_later_and_nothing_of_it_is_lost(inputs):
    """At ``waiting_max`` confirmations rest; what lets them go on is read, in a run of its own too (DESIGN law 7)."""
    folder, streams = inputs
    streams = {"confirmations": values(*(confirmation(n) for n in range(20))), "events": values(word())}
    known = folder / "north" / "all.ndjson"
    known.write_bytes(b"\n".join(values(*references()[1:])) + b"\n")  # All but the order.
    store = MemoryStore()
    fill(MemoryLog(store), streams)
    policy = PostingPolicy(waiting_max=4, patience_us=0)
    for _ in range(3):
        run(MemoryLog(store), lambda: store, folder, policy)
    waiting = [name for name, part in store.snapshots[SHARD].state.items() if name.startswith("case:") and part]
    assert 4 <= len(waiting) <= 6, "what the reader had given already waits, too"
    (bound,) = {orjson.loads(r.value)["item"] for r in store.read("exceptions", 0, 100)} - {""}
    assert bound == "waiting_max"
    place = orjson.loads(store.snapshots[SHARD].position)["places"]["confirmations"]
    assert orjson.loads(place)["offset"] == len(waiting), "the others have not been read"

    (folder / "north" / "order.ndjson").write_bytes(values(order())[0] + b"\n")
    run(MemoryLog(store), lambda: store, folder, policy)
    assert len(store.read("postings-north", 0, 100)) == 20
    assert store.read("dead-letters", 0, 100) == []
    assert orjson.loads(store.read("exceptions", 0, 100)[-1].value)["resolution"] == "revalidated"
