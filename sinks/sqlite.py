"""The commit log in one SQLite file: the embedded default.

Law: a commit is one SQLite transaction, durable when the call returns (WAL, ``synchronous=FULL``:
the log is synced at every commit). The fence is a generation number per shard: ``restore`` raises
it, ``commit`` compares it inside its own transaction. Any number of processes may write different
shards of one file; SQLite lets them in one at a time, and each waits ``busy_timeout_ms`` for its
turn. Readers never wait for writers, nor writers for readers.

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

from sinks.commit_log import FENCED, CommitLogError, CommitLogUnavailable, Record, Snapshot, Stored, WriterFenced
from sinks.records import Packed, parts_of
from sinks.sqlite_file import (
    FROM_BACKUP,
    HINTS,
    SCHEMA,
    SCHEMA_VERSION,
    from_row,
    to_row,
    to_rows,
    translated,
    version_of,
)

BUSY_TIMEOUT_MS: Final = 30_000
_PAGE_BYTES: Final = 8_192
"""Of a new file: state of megabytes is written a third faster than in pages of half of it."""
_RETRY_S: Final = 0.01
_LOOK_S: Final = 0.001
_REMOVED_AT_ONCE: Final = 10_000


class SqliteLog:
    """One writer of a file, for any number of shards (see ``CommitLog``); threads may share it."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        """Open the file and create it when missing.

        Raises: CommitLogUnavailable, CommitLogError when the file is no commit log or a newer one.
        """
        self._path = path
        self._busy_timeout_s = busy_timeout_ms / 1000
        self._lock = threading.Lock()
        self._generations: dict[str, int] = {}
        with translated("open", path):
            self._db = sqlite3.connect(
                path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
            )
        with ExitStack() as opened:
            opened.callback(self._db.close)
            self._prepare()
            opened.pop_all()

    def _prepare(self) -> None:
        version_of(self._db, self._path)  # Another program's file stays as it is.
        deadline = time.monotonic() + self._busy_timeout_s
        with translated("open", self._path):
            self._db.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            while (mode := self._journal_mode()) is None and time.monotonic() < deadline:
                time.sleep(_RETRY_S)
            self._db.execute("PRAGMA synchronous=FULL")
        if mode is None:
            raise CommitLogUnavailable(f"open of {self._path} failed: it is locked; {HINTS['SQLITE_BUSY']}")
        if mode != "wal":
            raise CommitLogError(
                f"open of {self._path} failed: its disk cannot hold a write-ahead log; use a local one"
            )
        with self._transaction("open"):
            version = version_of(self._db, self._path)
            if version == 0:
                for statement in SCHEMA:
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("PRAGMA busy_timeout=0")  # from here on only a transaction's begin waits

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
            packed = to_rows(part) if isinstance(part, Packed) else None
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
                yield (record.stream, offset, shard, record.key, *to_row(record.value, record.headers))

    @contextmanager
    def _transaction(self, operation: str) -> Iterator[None]:
        with translated(operation, self._path):
            self._begin()
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # Some errors have rolled back already.
                    self._db.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        """Take the write lock, before the generation is compared; wait for it as long as the busy timeout says.

        SQLite itself would look for it ever more seldom, up to a tenth of a second apart, which is longer than most
        commits of another process take.
        """
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= deadline:
                    raise
                time.sleep(_LOOK_S)
            else:
                return


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
        with translated("open", path):
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
        with ExitStack() as opened:
            opened.callback(self._db.close)
            if version_of(self._db, path) == 0:
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
            return [Stored(offset, key, *from_row(value, headers)) for offset, key, value, headers in rows]
        except (pa.ArrowException, OSError) as error:
            raise CommitLogError(f"read of stream {stream!r} failed at {self._path}: {error}; {FROM_BACKUP}") from error

    def end(self, stream: str) -> int:
        """Offset of the last record, 0 when there is none."""
        with translated(f"end of stream {stream!r}", self._path):
            return _end(self._db, stream)

    def count(self, stream: str) -> int:
        """Number of records; offsets have no holes, so this costs no scan."""
        with translated(f"count of stream {stream!r}", self._path):
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
        with translated(operation, self._path):
            return self._db.execute(statement, values).fetchall()


def _end(db: sqlite3.Connection, stream: str) -> int:
    (end,) = db.execute("SELECT coalesce(max(offset), 0) FROM record WHERE stream = ?", (stream,)).fetchone()
    return int(end)
