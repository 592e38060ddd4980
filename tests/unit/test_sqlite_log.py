"""The SQLite log where it meets the disk: each failure has its own words, and none leaves half a commit."""

import os
import sqlite3
import threading

import pytest

from sinks.commit_log import CommitLogError, CommitLogUnavailable, Record, Snapshot
from sinks.sqlite import SqliteLog, SqliteStreams
from sinks.sqlite_file import SCHEMA_VERSION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


@pytest.fixture
def log(path):
    log = SqliteLog(path, busy_timeout_ms=50)
    log.restore("a")
    log.commit("a", "1", {"x": b"1"}, [Record("s", None, b"1")])
    yield log
    log.close()


def test_commits_are_synced_to_a_write_ahead_log(log):
    assert log._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def locked(_log, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def full(log, _path):
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    log._db.execute(f"PRAGMA max_page_count={pages}")


def read_only(log, _path):
    log._db.execute("PRAGMA query_only=ON")


FAILURES = [
    (locked, "another process holds the file"),
    (full, "the disk is full"),
    (read_only, "cannot be written"),
]


@pytest.mark.parametrize(("failure", "hint"), FAILURES)
def test_an_unavailable_file_says_so_and_keeps_the_commit_before(log, path, failure, hint):
    kept = failure(log, path)
    large = [Record("s", None, os.urandom(100_000))]
    with pytest.raises(CommitLogUnavailable, match=hint) as raised:
        log.commit("a", "2", {"x": b"2"}, large)
    assert raised.value.retryable
    assert str(path) in str(raised.value)
    assert "commit of shard 'a'" in str(raised.value)
    if kept is not None:
        kept.close()
    log._db.execute("PRAGMA max_page_count=1000000")
    log._db.execute("PRAGMA query_only=OFF")
    reader = SqliteStreams(path)
    assert reader.count("s") == 1
    log.commit("a", "2", {}, large)
    assert reader.count("s") == 2
    assert log.restore("a") == Snapshot("2", {"x": b"1"})
    reader.close()


def test_a_commit_waits_for_its_turn(path):
    log = SqliteLog(path, busy_timeout_ms=30_000)
    log.restore("a")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, other.rollback)
    timer.start()
    log.commit("a", "1", {}, [])
    timer.join()
    assert log.restore("a") == Snapshot("1", {})
    log.close()
    other.close()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CommitLogUnavailable, match="check that the folder exists"):
        SqliteLog(tmp_path / "no" / "log.db")


def not_a_database(path):
    path.write_bytes(b"confirmations;2026\n" * 100)


def damaged(path):
    SqliteLog(path).close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)


def newer(path):
    SqliteLog(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customers (name)")
    db.close()


UNUSABLE = [
    (not_a_database, "not a SQLite database"),
    (damaged, "the file is damaged"),
    (newer, "upgrade plantsync"),
    (foreign, "another program's database"),
]


@pytest.mark.parametrize("opened", [SqliteLog, SqliteStreams])
@pytest.mark.parametrize(("spoil", "hint"), UNUSABLE)
def test_a_file_that_is_no_commit_log_is_refused_and_left_alone(path, opened, spoil, hint):
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(CommitLogError, match=hint) as raised:
        opened(path).restore("a")
    assert not raised.value.retryable
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_a_reader_waits_for_the_first_writer(path):
    with pytest.raises(CommitLogUnavailable, match="no such file yet"):
        SqliteStreams(path)
    path.touch()
    with pytest.raises(CommitLogUnavailable, match="just creating"):
        SqliteStreams(path)


def test_a_reader_neither_writes_nor_blocks_nor_waits(log, path):
    reader = SqliteStreams(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM record")
    log._db.execute("BEGIN IMMEDIATE")
    assert [stored.value for stored in reader.read("s", 0, 10)] == [b"1"]
    log._db.execute("ROLLBACK")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM record").fetchall()
    log.commit("a", "2", {}, [Record("s", None, b"2")])
    assert [stored.value for stored in reader.read("s", 1, 10)] == [b"2"]
    other.close()
    reader.close()


def test_threads_that_share_a_log_take_turns(path):
    log = SqliteLog(path)
    shards = ["a", "b", "c"]

    def write(shard):
        log.restore(shard)
        for i in range(30):
            log.commit(shard, str(i), {"x": b"%d" % i}, [Record("s", shard.encode(), b"%d" % i)] * 3)

    threads = [threading.Thread(target=write, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [log.restore(shard) for shard in shards] == [Snapshot("29", {"x": b"29"})] * 3
    reader = SqliteStreams(path)
    rows = reader.read("s", 0, 1000)
    assert [row.offset for row in rows] == list(range(1, 271))
    for shard in shards:
        own = [int(row.value) for row in rows if row.key == shard.encode()]
        assert own == [i for i in range(30) for _ in range(3)]
    reader.close()
    log.close()


def test_logs_that_open_a_new_file_at_once_agree(path):
    problems = []

    def use(shard):
        try:
            log = SqliteLog(path)
            log.restore(shard)
            log.commit(shard, "1", {}, [])
            log.close()
        except CommitLogError as error:
            problems.append(error)

    threads = [threading.Thread(target=use, args=(f"{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    log = SqliteLog(path)
    assert [log.restore(f"{i}") for i in range(8)] == [Snapshot("1", {})] * 8
    log.close()


@pytest.mark.parametrize("headers", [(), (("zstd", b"\xff"),)])
@pytest.mark.parametrize("length", [0, (1 << 16) - 1, 1 << 16, 300_000])
def test_long_values_are_kept_compressed_and_read_as_they_were(log, path, length, headers):
    value = b"0123456789" * (length // 10) + b"x" * (length % 10)
    log.commit("a", "2", {}, [Record("t", b"k", value, headers), Record("t", b"k", b"after", headers)])
    streams = SqliteStreams(path)
    read = streams.read("t", 0, 9)
    streams.close()
    assert [(record.key, record.value, record.headers) for record in read] == [
        (b"k", value, headers),
        (b"k", b"after", headers),
    ]
    ((kept,),) = log._db.execute("SELECT length(value) FROM record WHERE stream = 't' AND offset = 1")
    assert kept == length if length < 1 << 16 else kept < length // 100


def test_a_long_value_that_is_damaged_is_told(log, path):
    log.commit("a", "2", {}, [Record("t", None, b"x" * 100_000)])
    log._db.execute("UPDATE record SET value = X'00' WHERE stream = 't'")
    streams = SqliteStreams(path)
    with pytest.raises(CommitLogError, match="restore it from a backup"):
        streams.read("t", 0, 9)
    streams.close()


def test_a_file_of_schema_1_is_read_and_goes_on_as_one_of_this_release(log, path):
    """Schema 1 kept every value as it is, headers being a list."""
    log._db.execute("INSERT INTO record VALUES ('t', 1, 'a', NULL, ?, '[[\"h\",\"1\"]]')", [b"x" * 100_000])
    log._db.execute("PRAGMA user_version=1")
    log.close()
    streams = SqliteStreams(path)
    old = streams.read("t", 0, 9)
    assert [(record.value, record.headers) for record in old] == [(b"x" * 100_000, (("h", b"1"),))]
    again = SqliteLog(path)
    assert again.restore("a") == Snapshot("1", {"x": b"1"})
    again.commit("a", "2", {}, [Record("t", None, b"y" * 100_000)])
    assert again._db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert [record.value[:1] for record in streams.read("t", 0, 9)] == [b"x", b"y"]
    again.close()
    streams.close()
