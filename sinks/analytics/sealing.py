"""Rows of the analytics store that moved into Parquet files, so that the store itself stays small.

Law: at every commit a table's view has each row once, from the table ``store_hot_*`` or from a file of the manifest
``store_sealed``; moving rows changes no answer (M47). A file is whole and on disk under its own name before the
transaction begins to rely on it, and is never changed afterwards. One that a killed writer left has the number that
is given next, so it is written anew.

A snapshot that somebody has open may name a file for as long as that lasts. So files that are dropped stay for
``KEPT_US``. Snapshots name files by absolute path, in the folder of the store's identity beside the snapshot: another
store at the same place neither changes nor removes them.
Source: DuckDB 2.0, which moves rows of 33 columns into files at some 600,000 a second and core.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import duckdb

from sinks.analytics.statements import added_up, literal
from sinks.analytics.store_schema import comments
from sinks.analytics.table import Table

FILES_OF_FULL: Final = 3
"""A file takes this part of the rows that may be hot."""
ROW_GROUP_ROWS: Final = 122_880
KEPT_US: Final = 24 * 3_600_000_000
"""How long files stay that are dropped."""
DAY_US: Final = 24 * 3_600_000_000


def sealed_folder(snapshot: Path) -> Path:
    """Return the folder of the files that a snapshot names."""
    return Path(f"{snapshot.absolute()}.sealed")


class SealedFiles:
    """The files of one store. Its methods run inside the store's transactions, on its connection."""

    def __init__(
        self, db: duckdb.DuckDBPyConnection, snapshot: Path, hot_rows_max: int, tables: Iterable[Table]
    ) -> None:
        """Take up the files of those tables that are sealed, of the store that ``db`` is in; write the views."""
        self._db = db
        self._snapshot = snapshot
        self._hot_rows_max = hot_rows_max
        self._tables = {table.name: table for table in tables if table.sealing}
        for table in self._tables.values():
            db.execute(f"CREATE OR REPLACE VIEW {table.name} AS {relation(db, table, snapshot)}")
        self._folder = sealed_folder(snapshot) / _identity(db)
        for abandoned in self._folder.glob("*.tmp"):
            abandoned.unlink(missing_ok=True)
        counts = ", ".join(f"(SELECT count(*) FROM {table.stored})" for table in self._tables.values())  # noqa: S608
        (row,) = db.execute(f"SELECT {counts}").fetchall()
        self._hot_rows = dict(zip(self._tables, map(int, row), strict=True))

    @property
    def due(self) -> bool:
        """Whether more rows are hot than may be."""
        return sum(self._hot_rows.values()) > self._hot_rows_max

    def grew(self, name: str, rows: int) -> None:
        """Count rows that were committed to a table, or with a minus moved out of it."""
        if name in self._hot_rows:
            self._hot_rows[name] += rows

    def seal(self) -> tuple[str, int]:
        """Move the oldest rows of the table with most into a file; return its name and how many rows.

        None where it has fewer than were counted, since rows that are added up are counted each time.

        Raises: duckdb.Error, OSError; then the transaction is to be rolled back.
        """
        # Names in the statements below are constants of the tables.
        name = max(self._hot_rows, key=lambda each: self._hot_rows[each])
        table = self._tables[name]
        assert table.sealing
        ((count,),) = self._db.execute(f"SELECT count(*) FROM {table.stored}").fetchall()  # noqa: S608
        self._hot_rows[name] = int(count)
        if not self.due:
            return name, 0
        instant, columns = table.sealing.instant_us, [column.name for column in table.columns]
        part = min(1.0, max(1, self._hot_rows_max // FILES_OF_FULL) / count)
        ((first_us, last_us),) = self._db.execute(
            f"SELECT min({instant}), quantile_disc({instant}, {part!r}) FROM {table.stored}"  # noqa: S608
        ).fetchall()
        ((number,),) = self._db.execute(
            "SELECT coalesce(max(number), 0) + 1 FROM store_sealed WHERE table_name = ?", [name]
        ).fetchall()
        oldest = f"FROM {table.stored} WHERE {instant} <= {last_us:d}"
        rows = f"SELECT {', '.join(columns)} {oldest} ORDER BY {', '.join(table.sealing.order_by)}"
        written = self._write(self._folder / _file(name, number), rows)
        ((deleted,),) = self._db.execute(f"DELETE {oldest}").fetchall()
        assert written == deleted, f"{written} rows of {name} were written to a file, {deleted} deleted"
        self._db.execute(
            "INSERT INTO store_sealed VALUES (?, ?, ?, ?, ?, ?, NULL)",
            [name, number, deleted, first_us, last_us, columns],
        )
        self._show(table)
        return name, int(deleted)

    def drop(self, before_us: int, now_us: int) -> int:
        """Drop the files whose rows are all older, and return how many; ``remove`` removes them later."""
        dropped = self._db.execute(
            "UPDATE store_sealed SET dropped_us = ? WHERE dropped_us IS NULL AND last_us < ? RETURNING table_name",
            [now_us, before_us],
        ).fetchall()
        for (name,) in set(dropped):
            self._show(self._tables[name])
        return len(dropped)

    def remove(self, now_us: int) -> None:
        """Remove the files that were dropped so long ago that nobody asks for them."""
        gone = self._db.execute(
            "SELECT table_name, number FROM store_sealed WHERE dropped_us <= ?", [now_us - KEPT_US]
        ).fetchall()
        for name, number in gone:
            (self._folder / _file(name, number)).unlink(missing_ok=True)

    def _write(self, path: Path, rows: str) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
        ((written,),) = self._db.execute(f"COPY ({rows}) TO {literal(str(unfinished))} ({options})").fetchall()
        sync(unfinished)
        unfinished.replace(path)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            sync(folder)
        return int(written)

    def _show(self, table: Table) -> None:
        self._db.execute(f"CREATE OR REPLACE VIEW {table.name} AS {relation(self._db, table, self._snapshot)}")
        self._db.execute(comments(table))


def relation(db: duckdb.DuckDBPyConnection, table: Table, snapshot: Path, within: str = "") -> str:
    """Return the SELECT of all rows of a sealed table of the store that is attached as ``store``.

    Args: within: how its table is named, for who is elsewhere; its own views do not know how it will be attached.
    """
    columns = [(column.name, column.sql_type) for column in table.columns]
    parts = [f"SELECT {', '.join(name for name, _ in columns)} FROM {within}{table.stored}"]  # noqa: S608
    defaults = dict(
        db.execute(
            "SELECT column_name, coalesce(column_default, 'NULL') FROM duckdb_columns()"
            " WHERE database_name = 'store' AND table_name = ?",
            [table.stored],
        ).fetchall()
    )
    folder = sealed_folder(snapshot) / _identity(db)
    for held, numbers in db.execute(
        "SELECT columns, list(number ORDER BY number) AS numbers FROM store.main.store_sealed"
        " WHERE table_name = ? AND dropped_us IS NULL GROUP BY columns ORDER BY numbers[1]",
        [table.name],
    ).fetchall():
        # A column that came after the file was written has its default there, as in the rows that were in the table.
        chosen = (n if n in held else f"CAST({defaults[n]} AS {sql_type}) AS {n}" for n, sql_type in columns)
        files = ", ".join(literal(str(folder / _file(table.name, number))) for number in numbers)
        parts.append(f"SELECT {', '.join(chosen)} FROM read_parquet([{files}])")  # noqa: S608
    rows = " UNION ALL ".join(parts)
    return added_up(table, rows) if table.added_by and len(parts) > 1 else rows


def sealed_files(db: duckdb.DuckDBPyConnection, snapshot: Path) -> Iterator[Path]:
    """Yield the files that the store which is attached as ``store`` relies on."""
    folder = sealed_folder(snapshot) / _identity(db)
    for name, number in db.execute(
        "SELECT table_name, number FROM store.main.store_sealed WHERE dropped_us IS NULL ORDER BY ALL"
    ).fetchall():
        yield folder / _file(name, number)


def sync(path: Path) -> None:
    """Have what was written to a file or folder on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _identity(db: duckdb.DuckDBPyConnection) -> str:
    ((identity,),) = db.execute("SELECT identity FROM store.main.store_identity").fetchall()
    return str(identity)


def _file(name: str, number: int) -> str:
    return f"{name}-{number:06d}.parquet"
