"""The spool: nothing unread is removed, nothing beyond its room taken, peers hear of what is durable (M41, law 7)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from canonical.records import NO_RECORDS, RawRecords
from dataflows import spool as module
from dataflows.spool import Roomy, Spool, refused_beside, shard_of
from sinks.commit_log import CommitLogUnavailable, Record, WriterFenced
from sinks.sqlite import SqliteLog, SqliteStreams

SHARD = shard_of("m")


class Peer:
    """Takes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.polls = 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None: ...

    def poll(self) -> RawRecords:
        self.polls += 1
        return NO_RECORDS

    def position(self) -> str:
        return ""

    def state(self) -> Mapping[str, bytes]:
        return {}

    def at_end(self) -> bool:
        return True

    def behind(self) -> int:
        return 0

    def committed(self, position: str) -> None:
        self.told.append(position)

    def close(self) -> None: ...


@pytest.fixture
def world(tmp_path):
    path = tmp_path / "spool.db"
    log, read, peer = SqliteLog(path), {}, Peer()
    spool = Spool(log, SqliteStreams(path), {SHARD: peer}, lambda: read, room_max=10, keep=3)
    assert spool.restore(SHARD) is None
    yield spool, SqliteStreams(path), read, peer
    spool.close()


def records(count: int) -> list[Record]:
    return [Record(SHARD, None, b"%d" % number) for number in range(count)]


def test_a_peer_is_told_what_is_stored_and_nothing_else(world, tmp_path):
    spool, streams, _, peer = world
    spool.commit(SHARD, "1", {}, records(2))
    assert (peer.told, streams.end(SHARD)) == (["1"], 2)
    other = SqliteLog(tmp_path / "spool.db")
    other.restore(SHARD)
    with pytest.raises(WriterFenced):
        spool.commit(SHARD, "2", {}, records(1))
    other.close()
    assert (peer.told, streams.end(SHARD)) == (["1"], 2)


def test_only_what_was_read_is_removed_and_the_last_are_kept(world):
    spool, streams, read, _ = world
    spool.commit(SHARD, "1", {}, records(8))
    read[SHARD] = 4
    spool.tidy(0)
    assert [stored.offset for stored in streams.read(SHARD, 0, 99)] == [5, 6, 7, 8]
    read[SHARD] = 8
    spool.tidy(module.TIDY_US - 1)
    assert streams.count(SHARD) == 4, "not yet time"
    spool.tidy(module.TIDY_US)
    assert [stored.offset for stored in streams.read(SHARD, 0, 99)] == [6, 7, 8]
    spool.commit(SHARD, "2", {}, records(1))
    assert [stored.offset for stored in streams.read(SHARD, 0, 99)] == [6, 7, 8, 9]


def test_what_was_refused_is_removed_when_it_was_read_or_is_too_much(world, monkeypatch):
    spool, streams, read, _ = world
    refused = refused_beside(SHARD)
    spool.commit(SHARD, "1", {}, [*records(1), *(Record(refused, None, b"%d" % number) for number in range(8))])
    spool.tidy(0)
    assert streams.count(refused) == 8, "nobody has read it"
    read[refused] = 8
    spool.tidy(module.TIDY_US)
    assert [stored.offset for stored in streams.read(refused, 0, 99)] == [6, 7, 8]
    monkeypatch.setattr(module, "REFUSED_UNREAD_MAX", 2)
    spool.tidy(2 * module.TIDY_US)
    assert [stored.offset for stored in streams.read(refused, 0, 99)] == [7, 8]
    assert spool.room(SHARD) == 9


def test_offsets_go_on_when_all_was_read_and_nothing_is_to_be_kept(world):
    spool, streams, read, _ = world
    spool._keep = 0
    spool.commit(SHARD, "1", {}, records(5))
    read[SHARD] = 5
    spool.tidy(0)
    spool.commit(SHARD, "2", {}, records(1))
    assert [stored.offset for stored in streams.read(SHARD, 0, 99)] == [5, 6]


def test_removal_in_parts_removes_all(world, monkeypatch):
    spool, streams, read, _ = world
    monkeypatch.setattr("sinks.sqlite._REMOVED_AT_ONCE", 3)
    spool.commit(SHARD, "1", {}, records(20))
    read[SHARD] = 20
    spool.tidy(0)
    assert [stored.offset for stored in streams.read(SHARD, 0, 99)] == [18, 19, 20]


def test_a_full_spool_takes_nothing_until_something_was_read(world):
    spool, _, read, peer = world
    reader = Roomy(peer, lambda: spool.room(SHARD))
    spool.commit(SHARD, "1", {}, records(10))
    reader.poll()
    assert peer.polls == 0
    read[SHARD] = 6
    spool.tidy(0)
    reader.poll()
    assert (peer.polls, spool.room(SHARD)) == (1, 6)


def test_the_room_is_that_of_the_file_after_a_restart(world, tmp_path):
    spool, *_ = world
    spool.commit(SHARD, "1", {}, records(7))
    path = tmp_path / "spool.db"
    again = Spool(SqliteLog(path), SqliteStreams(path), {}, dict, room_max=10, keep=3)
    assert again.restore(SHARD).position == "1"
    assert again.room(SHARD) == 3
    again.close()


def test_while_it_is_not_known_what_was_read_nothing_is_removed(world, caplog):
    spool, streams, _, _ = world
    spool.commit(SHARD, "1", {}, records(8))

    def away() -> Mapping[str, int]:
        raise CommitLogUnavailable("the broker is away")

    spool._read = away
    with caplog.at_level("INFO"):
        spool.tidy(0)
    assert streams.count(SHARD) == 8
    assert "the broker is away" in caplog.text
