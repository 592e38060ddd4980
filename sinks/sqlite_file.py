"""The SQLite file of a commit log: its tables, how a record lies in a row, and what the driver's errors mean.

A value of ``LONG_BYTES`` or more, such as the ledger's lines of thousands of sessions, is kept as zstd, a thirtieth
as long: to write it costs several times as much as to compress it. ``headers`` tell so. Files of schema 1 have none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa

from canonical.messages import cut
from canonical.records import Headers
from sinks.commit_log import CommitLogError, CommitLogUnavailable
from sinks.records import Packed

SCHEMA_VERSION: Final = 2
LONG_BYTES: Final = 1 << 16
_ZSTD: Final = "zstd"

SCHEMA: Final = (
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

HINTS: Final = {
    "SQLITE_BUSY": "another process holds the file; see that it ends, or raise log.busy_timeout_ms",
    "SQLITE_LOCKED": "another connection holds the table; try again",
    "SQLITE_FULL": "the disk is full; free space on it",
    "SQLITE_IOERR": "the disk failed or is full; check it and the system's log",
    "SQLITE_READONLY": "the file or its folder cannot be written; check owner, permissions and mount options",
    "SQLITE_CANTOPEN": "check that the folder exists and may be read and written",
    "SQLITE_PERM": "check owner and permissions of the file",
}
FROM_BACKUP: Final = "the file is damaged; stop all writers and restore it from a backup"
_DAMAGED: Final = {
    "SQLITE_CORRUPT": FROM_BACKUP,
    "SQLITE_NOTADB": "the file is not a SQLite database; name another file, or move this one away",
}


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """Schema version of the file, 0 when it is empty."""
    with translated("open", path):
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


def to_rows(part: Packed) -> tuple[list[bytes], list[bytes], list[str]] | None:
    """Return keys, values and headers as they are stored; None where it takes to look at them one by one."""
    messages = part.messages
    headers = messages.header_texts() if messages.longest_value() < LONG_BYTES else None
    return None if headers is None else (cut(messages.keys), cut(messages.values), headers)


def to_row(value: bytes, headers: Headers) -> tuple[bytes, str | None]:
    """Return what is stored of a value and its headers.

    The headers are JSON that a person can read with SQLite's own functions; Latin-1 maps every byte to a character
    and back.
    """
    if not headers and len(value) < LONG_BYTES:
        return value, None
    listed = [(name, content.decode("latin-1")) for name, content in headers]
    if len(value) < LONG_BYTES:
        return value, orjson.dumps(listed).decode()
    packed: bytes = pa.compress(value, _ZSTD, asbytes=True)
    return packed, orjson.dumps({_ZSTD: len(value), "headers": listed}).decode()


def from_row(value: bytes, text: str | None) -> tuple[bytes, Headers]:
    """Return the value and the headers that were stored."""
    if text is None:
        return value, ()
    listed = orjson.loads(text)
    if isinstance(listed, dict):
        value = pa.decompress(value, listed[_ZSTD], _ZSTD, asbytes=True)
        listed = listed["headers"]
    return value, tuple((name, content.encode("latin-1")) for name, content in listed)


@contextmanager
def translated(operation: str, path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, once, with operation, file and hint."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        # Extended codes, such as SQLITE_IOERR_WRITE, begin with the name of their class.
        primary = "_".join(name.split("_")[:2])
        msg = f"{operation} failed at {path}: {error} ({name or type(error).__name__})"
        if primary in HINTS:
            raise CommitLogUnavailable(f"{msg}; {HINTS[primary]}") from error
        raise CommitLogError(f"{msg}; {_DAMAGED.get(primary, 'report this as a defect')}") from error
