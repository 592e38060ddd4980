"""What an ERP never forgets: an append-only SQLite file of entries, several ERPs in one file.

Law: an ERP's state is the fold of its entries, so a simulator that is killed and started again
answers as if it had gone on. Entries of one unit of work are written in one transaction; the file
survives the death of the process (WAL, ``synchronous=NORMAL``), not that of the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

MEMORY: Final = ":memory:"
_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; ``body`` is what orjson can write."""

    kind: str
    body: Any


class LedgerUnusable(Exception):
    """The file cannot be opened or written."""

    retryable = False


class Ledger:
    """An open ledger file; one process writes it."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file, for this process alone; None keeps everything in memory.

        Raises: LedgerUnusable.
        """
        self._path = path
        try:
            self._db = sqlite3.connect(path or MEMORY, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            # Two processes with one ledger would each be an ERP that does not know what the other has booked.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS entry "
                "(number INTEGER PRIMARY KEY, erp TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL)"
            )
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._translated("open", error) from error

    def append(self, erp: str, entries: Sequence[Entry]) -> None:
        """Write entries, all or none.

        Raises: LedgerUnusable.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT INTO entry (erp, kind, body) VALUES (?, ?, ?)", _rows(erp, entries))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._translated("append", error) from error

    def read(self, erp: str) -> Iterator[Entry]:
        """Yield the entries of an ERP in the order in which they were written."""
        for kind, body in self._db.execute("SELECT kind, body FROM entry WHERE erp = ? ORDER BY number", (erp,)):
            yield Entry(kind, orjson.loads(body))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _translated(self, operation: str, error: sqlite3.Error) -> LedgerUnusable:
        return LedgerUnusable(
            f"{operation} of ledger {self._path or 'in memory'} failed: {error}; check the path, its permissions and "
            "that no other simulator uses it"
        )


def _rows(erp: str, entries: Iterable[Entry]) -> Iterator[tuple[str, str, str]]:
    for entry in entries:
        yield erp, entry.kind, orjson.dumps(entry.body).decode()
