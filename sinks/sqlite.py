"""The commit log in one SQLite file: the embedded default.

Law: a commit is one SQLite transaction, durable when the call returns (WAL, ``synchronous=FULL``:
the log is synced at every commit). The fence is a generation number per shard: ``restore`` raises
it, ``commit`` compares it inside its own transaction. Any number of processes may write different
shards of one file; SQLite lets them in one at a time, and each waits ``busy_timeout_ms`` for its
turn. Readers never wait for writers, nor writers for readers.

A value of ``_LONG_BYTES`` or more, such as the ledger's lines of thousands of sessions, is kept as zstd, a thirtieth
as long: to write it costs several times as much as to compress it. ``headers`` tell so. Files of schema 1 have none.
Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa

from canonical.messages import cut
from canonical.records import Headers
from sinks.commit_log import FENCED, CommitLogError, CommitLogUnavailable, Record, Snapshot, Stored, WriterFenced
from sinks.records import Packed, parts_of

SCHEMA_VERSION: Final = 2
BUSY_TIMEOUT_MS: Final = 30_000
_PAGE_BYTES: Final = 8_192
"""Of a new file: state of megabytes is written a third faster than in pages of half of it."""
_RETRY_S: Final = 0.01
_LONG_BYTES: Final = 1 << 16
_REMOVED_AT_ONCE: Final = 10_000
_ZSTD: Final = "zstd"

_SCHEMA: Final = (
    """
    CREATE TABLE shard (
        shard      TEXT PRIMARY KEY,
        generation INTEGER NOT NULL,  -- the fence: writers of an older generation are refused
        position   TEXT               -- of the last commit; NULL before the first
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE state (
        shard TEXT NOT NULL,
        part  TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (shard, part)
    )
    """,
    """
    CREATE TABLE record (
        stream  TEXT NOT NULL,
        offset  INTEGER NOT NULL,     -- 1, 2, 3 ... within the stream, in order of commit
        shard   TEXT NOT NULL,
        key     BLOB,
        value   BLOB NOT NULL,
        headers TEXT,                 -- JSON [[name, value], ...], the bytes of a value as Latin-1; where the value
                                      -- is compressed {"zstd": its length, "headers": [...]}
        PRIMARY KEY (stream, offset)
    )
    """,
)

_HINTS: Final = {
    "SQLITE_BUSY": "another process holds the file; see that it ends, or raise log.busy_timeout_ms",
    "SQLITE_LOCKED": "another connection holds the table; try again",
    "SQLITE_FULL": "the disk is full; free space on it",
    "SQLITE_IOERR": "the disk failed or is full; check it and the system's log",
    "SQLITE_READONLY": "the file or its folder cannot be written; check owner, permissions and mount options",
    "SQLITE_CANTOPEN": "check that the folder exists and may be read and written",
    "SQLITE_PERM": "check owner and permissions of the file",
}
_RESTORE: Final = "the file is damaged; stop all writers and restore it from a backup"
_DAMAGED: Final = {
    "SQLITE_CORRUPT": _RESTORE,
    "SQLITE_NOTADB": "the file is not a SQLite database; name another file, or move this one away",
}


class SqliteLog:
    """One writer of a file, for any number of shards (see ``CommitLog``); threads may share it."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        """Open the file and create it when missing.

        Raises: CommitLogUnavailable, CommitLogError when the file is no commit log or a newer one.
        """
        self._path = path
        self._lock = threading.Lock()
        self._generations: dict[str, int] = {}
        with _translated("open", path):
            self._db = sqlite3.connect(
                path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
            )
        with ExitStack() as opened:
            opened.callback(self._db.close)
            self._prepare(busy_timeout_ms)
            opened.pop_all()

    def _prepare(self, busy_timeout_ms: int) -> None:
        _version(self._db, self._path)  # Another program's file stays as it is.
        deadline = time.monotonic() + busy_timeout_ms / 1000
        with _translated("open", self._path):
            self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            while (mode := self._journal_mode()) is None and time.monotonic() < deadline:
                time.sleep(_RETRY_S)
            self._db.execute("PRAGMA synchronous=FULL")
        if mode is None:
            raise CommitLogUnavailable(f"open of {self._path} failed: it is locked; {_HINTS['SQLITE_BUSY']}")
        if mode != "wal":
            raise CommitLogError(
                f"open of {self._path} failed: its disk cannot hold a write-ahead log; use a local one"
            )
        with self._transaction("open"):
            version = _version(self._db, self._path)
            if version == 0:
                for statement in _SCHEMA:
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _journal_mode(self) -> str | None:
        """Turn the write-ahead log on; None when another process is doing so, for which SQLite would not wait."""
        try:
            (mode,) = self._db.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY":
                raise
            return None
        return str(mode)

    def restore(self, shard: str) -> Snapshot | None:
        """Raise the shard's generation, which fences every older writer, then return its last commit.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        with self._lock, self._transaction(f"restore of shard {shard!r}"):
            generation, position = self._db.execute(
                "INSERT INTO shard VALUES (?, 1, NULL)"
                " ON CONFLICT (shard) DO UPDATE SET generation = generation + 1 RETURNING generation, position",
                (shard,),
            ).fetchone()
            state = dict(self._db.execute("SELECT part, value FROM state WHERE shard = ?", (shard,)))
        self._generations[shard] = generation
        return None if position is None else Snapshot(position, state)

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """Store all of it in one transaction, or nothing.

        Raises: WriterFenced, CommitLogUnavailable, CommitLogError.
        """
        assert shard in self._generations, f"restore shard {shard!r} before committing to it"
        with self._lock, self._transaction(f"commit of shard {shard!r}"):
            held = self._db.execute(
                "UPDATE shard SET position = ? WHERE shard = ? AND generation = ?",
                (position, shard, self._generations[shard]),
            )
            if held.rowcount != 1:
                raise WriterFenced(f"commit of shard {shard!r} to {self._path} refused: {FENCED}")
            self._db.executemany(
                "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (shard, part) DO UPDATE SET value = excluded.value",
                [(shard, part, value) for part, value in state.items() if value],
            )
            self._db.executemany(
                "DELETE FROM state WHERE shard = ? AND part = ?",
                [(shard, part) for part, value in state.items() if not value],
            )
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", self._rows(shard, records))

    def forget(self, stream: str, last: int) -> None:
        """Remove the records of a stream up to this offset, but for its very last, which numbers the next.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        more = True
        while more:  # In parts, so that no other writer waits for long.
            with self._lock, self._transaction(f"removal from stream {stream!r}"):
                last = min(last, _end(self._db, stream) - 1)
                removed = self._db.execute(
                    "DELETE FROM record WHERE stream = ?1 AND offset <= ?2 AND offset < ?3"
                    " + (SELECT min(offset) FROM record WHERE stream = ?1)",
                    (stream, last, _REMOVED_AT_ONCE),
                )
                more = removed.rowcount == _REMOVED_AT_ONCE

    def close(self) -> None:
        """Close the file; uncommitted work is gone."""
        with self._lock:
            self._db.close()

    def _rows(self, shard: str, records: Collection[Record]) -> Iterator[tuple[object, ...]]:
        ends: dict[str, int] = {}
        for part in parts_of(records):
            packed = _packed_rows(part) if isinstance(part, Packed) else None
            if isinstance(part, Packed) and packed is not None:
                stream, count = part.stream, len(part.messages)
                begin = _end(self._db, stream) if stream not in ends else ends[stream]
                ends[stream] = begin + count
                yield from zip(
                    repeat(stream), range(begin + 1, begin + count + 1), repeat(shard), *packed, strict=False
                )
                continue
            for record in part:
                end = ends.get(record.stream)
                offset = ends[record.stream] = (_end(self._db, record.stream) if end is None else end) + 1
                yield (record.stream, offset, shard, record.key, *_packed(record.value, record.headers))

    @contextmanager
    def _transaction(self, operation: str) -> Iterator[None]:
        with _translated(operation, self._path):
            # Immediate: the write lock is taken before the generation is compared, and waiting
            # for it obeys the busy timeout, which upgrading a read transaction would not.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # Some errors have rolled back already.
                    self._db.execute("ROLLBACK")
                raise


class SqliteStreams:
    """Reads the committed records of a file (see ``Streams``); opens it read-only, blocks no writer.

    Every call sees all that was committed before it. A call holds a read transaction only while it
    runs, so the writer's log never grows because of a reader.
    """

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        """Open an existing file.

        Raises: CommitLogUnavailable when there is none yet; CommitLogError when it is no commit log.
        """
        self._path = path
        if not path.exists():
            raise CommitLogUnavailable(f"open of {path} failed: no such file yet; the flow that writes it creates it")
        with _translated("open", path):
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
        with ExitStack() as opened:
            opened.callback(self._db.close)
            if _version(self._db, path) == 0:
                raise CommitLogUnavailable(f"open of {path} failed: its writer is just creating the tables; try again")
            opened.pop_all()

    def streams(self) -> list[str]:
        """Names of the streams that have records, sorted."""
        # One look into the index per stream, where DISTINCT would walk over every record.
        skip = (
            "WITH RECURSIVE name(stream) AS (SELECT min(stream) FROM record UNION ALL"
            " SELECT (SELECT min(stream) FROM record WHERE stream > name.stream) FROM name WHERE name.stream NOT NULL)"
            " SELECT stream FROM name WHERE stream NOT NULL"
        )
        return [stream for (stream,) in self._query("streams", skip, ())]

    def read(self, stream: str, after_offset: int, limit: int) -> list[Stored]:
        """Return up to ``limit`` records that follow ``after_offset``, in order.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        rows = self._query(
            f"read of stream {stream!r}",
            "SELECT offset, key, value, headers FROM record WHERE stream = ? AND offset > ? ORDER BY offset LIMIT ?",
            (stream, after_offset, limit),
        )
        try:
            return [Stored(offset, key, *_unpacked(value, headers)) for offset, key, value, headers in rows]
        except (pa.ArrowException, OSError) as error:
            raise CommitLogError(f"read of stream {stream!r} failed at {self._path}: {error}; {_RESTORE}") from error

    def end(self, stream: str) -> int:
        """Offset of the last record, 0 when there is none."""
        with _translated(f"end of stream {stream!r}", self._path):
            return _end(self._db, stream)

    def count(self, stream: str) -> int:
        """Number of records; offsets have no holes, so this costs no scan."""
        with _translated(f"count of stream {stream!r}", self._path):
            (first,) = self._db.execute("SELECT min(offset) FROM record WHERE stream = ?", (stream,)).fetchone()
            return 0 if first is None else _end(self._db, stream) - int(first) + 1

    def snapshots(self, shards: Sequence[str] | None = None) -> dict[str, Snapshot]:
        """Last commit of each shard that has one, or of each of these, all as of one instant; fences nobody.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        rows = self._query(
            "look at the shards",
            "SELECT shard, position, part, value FROM shard LEFT JOIN state USING (shard) WHERE position NOT NULL"
            " AND (?1 IS NULL OR shard IN (SELECT value FROM json_each(?1)))",
            (None if shards is None else orjson.dumps(list(shards)).decode(),),
        )
        positions = {shard: position for shard, position, _, _ in rows}
        parts: dict[str, dict[str, bytes]] = {shard: {} for shard in positions}
        for shard, _, part, value in rows:
            if part is not None:
                parts[shard][part] = value
        return {shard: Snapshot(position, parts[shard]) for shard, position in positions.items()}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _query(self, operation: str, statement: str, values: tuple[object, ...]) -> list[Any]:
        with _translated(operation, self._path):
            return self._db.execute(statement, values).fetchall()


def _end(db: sqlite3.Connection, stream: str) -> int:
    (end,) = db.execute("SELECT coalesce(max(offset), 0) FROM record WHERE stream = ?", (stream,)).fetchone()
    return int(end)


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Schema version of the file, 0 when it is empty."""
    with _translated("open", path):
        # In one statement, so that a file another process is just creating looks empty or complete.
        ((version, tables),) = db.execute(
            "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        )
    if version > SCHEMA_VERSION:
        raise CommitLogError(
            f"open of {path} failed: a newer plantsync wrote it (schema {version}, this one knows {SCHEMA_VERSION});"
            " upgrade plantsync"
        )
    if version == 0 and tables:
        raise CommitLogError(f"open of {path} failed: it is another program's database; name another file")
    return int(version)


def _packed_rows(part: Packed) -> tuple[list[bytes], list[bytes], list[str]] | None:
    """Return keys, values and headers as they are stored; None where it takes to look at them one by one."""
    messages = part.messages
    headers = messages.header_texts() if messages.longest_value() < _LONG_BYTES else None
    return None if headers is None else (cut(messages.keys), cut(messages.values), headers)


def _packed(value: bytes, headers: Headers) -> tuple[bytes, str | None]:
    """Return what is stored of a value and its headers.

    The headers are JSON that a person can read with SQLite's own functions; Latin-1 maps every byte to a character
    and back.
    """
    if not headers and len(value) < _LONG_BYTES:
        return value, None
    listed = [(name, content.decode("latin-1")) for name, content in headers]
    if len(value) < _LONG_BYTES:
        return value, orjson.dumps(listed).decode()
    packed: bytes = pa.compress(value, _ZSTD, asbytes=True)
    return packed, orjson.dumps({_ZSTD: len(value), "headers": listed}).decode()


def _unpacked(value: bytes, text: str | None) -> tuple[bytes, Headers]:
    """Return the value and the headers that were stored."""
    if text is None:
        return value, ()
    listed = orjson.loads(text)
    if isinstance(listed, dict):
        value = pa.decompress(value, listed[_ZSTD], _ZSTD, asbytes=True)
        listed = listed["headers"]
    return value, tuple((name, content.encode("latin-1")) for name, content in listed)


@contextmanager
def _translated(operation: str, path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, once, with operation, file and hint."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        # Extended codes, such as SQLITE_IOERR_WRITE, begin with the name of their class.
        primary = "_".join(name.split("_")[:2])
        msg = f"{operation} failed at {path}: {error} ({name or type(error).__name__})"
        if primary in _HINTS:
            raise CommitLogUnavailable(f"{msg}; {_HINTS[primary]}") from error
        raise CommitLogError(f"{msg}; {_DAMAGED.get(primary, 'report this as a defect')}") from error
