"""The analytics store: one DuckDB file that its writer owns, and a snapshot for everybody else.

Law: a commit stores the rows and the position they were read up to in one transaction; after a
crash at any instant ``restore`` returns the position of exactly the rows that are stored. Rows at
or below the largest offset a shard has stored in a table are skipped, so committing the same rows
again, however they are cut, adds nothing (M47). A reader never meets the file being written: it
opens the published copy, which is replaced as a whole.

Only one process can have the file open (DuckDB locks it); within it ``restore`` raises a
generation number, which fences older writers of the shard as in the commit log.

Trap: closing any handle of the file other than DuckDB's own, as a copy inside this process would,
drops the lock without a word. Hence the copy is made by a subprocess.
Source: DuckDB 2.0 documentation, Concurrency; fcntl(2) on closing record locks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from canonical.shifts import ShiftCalendar
from sinks.analytics.column_words import describe_view_columns
from sinks.analytics.insertion import insert
from sinks.analytics.intervals import Intervals
from sinks.analytics.sealing import DAY_US, SealedFiles, sync
from sinks.analytics.store_errors import StoreNewer, translated
from sinks.analytics.store_schema import descriptions, migrations
from sinks.analytics.store_tables import DESCRIBED, READ
from sinks.analytics.table import STREAM_OFFSET, Table
from sinks.commit_log import FENCED, Snapshot, WriterFenced

STORAGE_VERSION: Final = "v1.5.0"
"""Oldest DuckDB that can read the files; the default of 2.0 shuts out the tools of 1.5."""

ROWS_OF_ONE_THREAD: Final = 100_000
"""A commit of more rows is worth all threads."""
LOG_MAX: Final = "128MB"
"""The file's own log takes so much before it is worked in; each publication does that anyway."""
SEALED_AT_ONCE_MAX: Final = 2
"""Files that are written between two publications."""
TIDY_US: Final = 3_600_000_000
"""Time between two looks for files that are to be dropped."""

_COPY: Final = ("cp", "--reflink=auto") if sys.platform == "linux" else ("cp",)

_MOVE: Final = "UPDATE store_loaded SET stream_offset = ? WHERE flow = ? AND shard = ? AND table_name = ?"
_PLACE: Final = "INSERT INTO store_loaded (stream_offset, flow, shard, table_name) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where the store and its snapshot are, and what it may use."""

    path: Path
    published: Path
    publish_interval_s: float = 2.0
    hot_rows_max: int = 3_000_000
    sealed_days_max: int | None = None
    threads: int = 2
    memory_max_mb: int = 1024

    def __post_init__(self) -> None:
        assert self.path != self.published, f"{self.path} cannot be both the store and its snapshot"


class Store:
    """The one writer of a store, for the shards of one flow; threads may share it."""

    def __init__(
        self, config: StoreConfig, flow: str = "analytics", calendars: Mapping[str, ShiftCalendar] | None = None
    ) -> None:
        """Open the file, create it when missing, and bring an older one up to date.

        Args: calendars: the shifts of the plants; one that is not among them goes by UTC and has none.

        Raises: StoreLocked, StoreNewer, StoreUnavailable, StoreError.
        """
        self._config = config
        self._flow = flow
        self._lock = threading.Lock()
        self._generations: dict[str, int] = {}
        self._positions: dict[str, str | None] = {}
        self._loaded: dict[str, dict[str, int]] = {}
        self._threads = config.threads
        self._copies = 0
        self._published_us: int | None = None
        self._tidied_us: int | None = None
        self._changed = True  # A crash may have come between the last commit and its publication.
        with translated("open", config.path), ExitStack() as opened:
            config.path.parent.mkdir(parents=True, exist_ok=True)
            config.published.parent.mkdir(parents=True, exist_ok=True)
            # The file is attached, not opened, because DuckDB refuses to attach a file twice
            # in a process and would silently share one that is opened twice.
            self._db = duckdb.connect(":memory:", config=self._limits())
            opened.callback(self._db.close)
            self._db.execute(f"ATTACH ? AS store (STORAGE_VERSION '{STORAGE_VERSION}')", [str(config.path)])
            self._db.execute("USE store")
            self._intervals = Intervals(self._db, calendars or {})
            self._migrate()
            for abandoned in config.published.parent.glob(f".{config.published.name}.*.tmp"):
                abandoned.unlink(missing_ok=True)
            opened.pop_all()

    def _limits(self) -> dict[str, str | bool | int | float | list[str]]:
        return {
            "threads": self._config.threads,
            "memory_limit": f"{self._config.memory_max_mb}MB",
            "temp_directory": f"{self._config.path}.tmp",
            "checkpoint_threshold": LOG_MAX,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def _migrate(self) -> None:
        steps = migrations()
        with self._transaction("migration"):
            self._db.execute("CREATE TABLE IF NOT EXISTS store_version (version INTEGER NOT NULL)")
            (version,) = self._db.execute("SELECT coalesce(max(version), 0) FROM store_version").fetchall()[0]
            if version > len(steps):
                raise StoreNewer(
                    f"open of {self._config.path} failed: its schema is version {version}, this plantsync knows "
                    f"{len(steps)}; upgrade plantsync, or name another file"
                )
            for step in steps[version:]:
                self._db.execute(step)
            self._db.execute("DELETE FROM store_version")
            self._db.execute("INSERT INTO store_version VALUES (?)", [len(steps)])
            self._sealed = SealedFiles(self._db, self._config.published, self._config.hot_rows_max, READ.values())
            self._db.execute(descriptions(DESCRIBED))
            describe_view_columns(self._db)

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return the position of its last commit.

        Raises: StoreUnavailable, StoreError.
        """
        with self._lock, self._transaction(f"restore of shard {shard!r}"):
            ((generation, position),) = self._db.execute(
                "INSERT INTO store_mark VALUES (?, ?, NULL, 1)"
                " ON CONFLICT (flow, shard) DO UPDATE SET generation = generation + 1 RETURNING generation, position",
                [self._flow, shard],
            ).fetchall()
            loaded = self._db.execute(
                "SELECT table_name, stream_offset FROM store_loaded WHERE flow = ? AND shard = ?", [self._flow, shard]
            ).fetchall()
        self._generations[shard], self._positions[shard], self._loaded[shard] = generation, position, dict(loaded)
        return None if position is None else Snapshot(position)

    def commit(self, shard: str, position: str, tables: Mapping[str, pa.Table]) -> int:
        """Store the rows and the position in one transaction, or nothing; return how many rows were new.

        Args:    tables: by name of ``READ``, with the columns of its contract and
                 ``stream_offset``, which never decreases within a table and shard; the rows of one
                 offset come in one commit.
        Raises:  WriterFenced when another writer restored the shard since; StoreUnavailable; StoreError.
        """
        assert shard in self._generations, f"restore shard {shard!r} before committing to it"
        filled = {name: table for name, table in tables.items() if table.num_rows}
        if not filled and position == self._positions[shard]:
            return 0  # An idle flow costs no disk.
        with self._lock, ExitStack() as incoming:
            for name, table in filled.items():
                assert _ascending(table), f"offsets of {name} decrease"
                self._db.register(f"incoming_{name}", table)
                incoming.callback(self._db.unregister, f"incoming_{name}")
            self._spread(sum(table.num_rows for table in filled.values()))
            with self._transaction(f"commit of shard {shard!r}"):
                self._advance(shard, position)
                new = {name: self._insert(READ[name], shard, table) for name, table in filled.items()}
            self._positions[shard] = position
            for name, table in filled.items():
                last_offset = table[STREAM_OFFSET][-1].as_py()
                self._loaded[shard][name] = max(last_offset, self._loaded[shard].get(name, last_offset))
            for name, rows in new.items():
                self._sealed.grew(name, rows)
            self._changed |= any(new.values())
        return sum(new.values())

    def _spread(self, rows: int) -> None:
        """Take as many threads as so many rows are worth: waking them costs more than a small commit."""
        threads = self._config.threads if rows > ROWS_OF_ONE_THREAD else 1
        if threads != self._threads:
            self._db.execute(f"SET threads = {threads:d}")
            self._threads = threads

    def _advance(self, shard: str, position: str) -> None:
        held = self._db.execute(
            "UPDATE store_mark SET position = ? WHERE flow = ? AND shard = ? AND generation = ? RETURNING 1",
            [position, self._flow, shard, self._generations[shard]],
        ).fetchall()
        if not held:
            raise WriterFenced(f"commit of shard {shard!r} to {self._config.path} refused: {FENCED}")

    def _insert(self, table: Table, shard: str, told: pa.Table) -> int:
        last_offset = told[STREAM_OFFSET][-1].as_py()
        above = self._loaded[shard].get(table.name, -1)
        if last_offset <= above:
            return 0
        rows = insert(self._db, self._intervals, table, told, shard, above)
        known = table.name in self._loaded[shard]
        self._db.execute(_MOVE if known else _PLACE, [last_offset, self._flow, shard, table.name]).fetchall()
        return rows

    def configure(self, tables: Mapping[str, pa.Table]) -> None:
        """Replace what the settings say of the plants, in one transaction; the same once more changes nothing.

        Args:    tables: all rows of each, by name of ``PLANT_TABLES``.
        Raises:  StoreUnavailable, StoreError.
        """
        with self._lock, self._transaction("configuration"):
            for name, table in tables.items():
                told = [tuple(row.values()) for row in table.to_pylist()]
                if sorted(self._db.execute(f"FROM {name}").fetchall()) == sorted(told):
                    continue
                self._db.execute(f"DELETE FROM {name}")  # noqa: S608
                self._db.register("told", table)
                self._db.execute(f"INSERT INTO {name} BY NAME FROM told")
                self._db.unregister("told")
                self._changed = True

    def transact(self, operation: str, work: Callable[[duckdb.DuckDBPyConnection], bool]) -> None:
        """Do ``work`` on the store in one transaction; it returns whether it changed what readers see.

        Raises: StoreUnavailable, StoreError.
        """
        with self._lock:
            with self._transaction(operation):
                changed = work(self._db)
            self._changed |= changed

    def publish_if_due(self, now_us: int) -> bool:
        """Publish when something changed and the last publication is an interval ago; return whether it did.

        Raises: StoreUnavailable, StoreError.
        """
        self._tidy(now_us)
        interval_us = self._config.publish_interval_s * 1_000_000
        if not (self._changed or self._sealed.due) or (
            self._published_us is not None and now_us - self._published_us < interval_us
        ):
            return False
        self.seal()
        self.publish()
        self._published_us = now_us
        return True

    def seal(self) -> None:
        """Move rows into files while too many are hot; where very many are, some now and others the next time.

        Raises: StoreUnavailable, StoreError.
        """
        for _ in range(SEALED_AT_ONCE_MAX):
            with self._lock:
                if not self._sealed.due:
                    return
                self._spread(self._config.hot_rows_max)
                with self._transaction("sealing"):
                    name, rows = self._sealed.seal()
                self._sealed.grew(name, -rows)

    def _tidy(self, now_us: int) -> None:
        days = self._config.sealed_days_max
        if days is None or (self._tidied_us is not None and now_us - self._tidied_us < TIDY_US):
            return
        with self._lock:
            with self._transaction("dropping of files"):
                self._changed |= self._sealed.drop(now_us - days * DAY_US, now_us) > 0
            self._sealed.remove(now_us)
        self._tidied_us = now_us

    def publish(self) -> None:
        """Replace the published snapshot by what is committed now; readers keep what they have open.

        Raises: StoreUnavailable, StoreError.
        """
        public = self._config.published
        with self._lock, translated("publication", self._config.path):
            self._copies += 1
            # A name of its own: a copy that outlived a killed writer must not meet this one.
            copy = public.parent / f".{public.name}.{os.getpid()}-{self._copies}.tmp"
            try:
                self._db.execute("CHECKPOINT store")
                subprocess.run([*_COPY, "--", self._config.path, copy], check=True, capture_output=True, text=True)  # noqa: S603 - no shell; our own paths
                sync(copy)
                copy.replace(public)
                sync(public.parent)
            finally:
                copy.unlink(missing_ok=True)
            self._changed = False

    def close(self) -> None:
        """Publish what has not been published, and close the file.

        Raises: StoreUnavailable, StoreError; the file is closed all the same.
        """
        try:
            if self._changed:
                self.publish()
        finally:
            self._db.close()

    @contextmanager
    def _transaction(self, operation: str) -> Iterator[None]:
        with translated(operation, self._config.path):
            self._db.begin()
            try:
                yield
                self._db.commit()
            except BaseException:
                # After some failures DuckDB has rolled back already, and says so.
                with suppress(duckdb.Error):
                    self._db.rollback()
                raise


def _ascending(table: pa.Table) -> bool:
    offsets = table[STREAM_OFFSET].combine_chunks()
    return len(offsets) < 2 or pc.all(pc.less_equal(offsets[:-1], offsets[1:])).as_py()
