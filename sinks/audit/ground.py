"""What an audit reads: a store, the rest of the log that it has not loaded yet, or a log alone.

Everything comes together in one DuckDB of the audit's own, in a folder that it may spill to and that
goes when it is over. Rows read from the log lie in tables of their own beside those of the store, and
what the ledger got while the rest was being read lies apart (``later``), since what it speaks of may
not be there yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import pyarrow as pa

from sinks.analytics.published import StoreNotPublished
from sinks.analytics.sealing import relation, sealed_folder
from sinks.analytics.statements import deletion, insertion
from sinks.analytics.store_errors import StoreError, StoreUnavailable
from sinks.analytics.store_schema import migrations
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import Table

DOWNSTREAM: Final = ("receipt", "posting", "unposted", "business_exception")
"""What follows from confirmations, in the order in which it is read: a receipt before its posting, all before those."""
AUDITED: Final = ("confirmation", "event", "fault", "gap", "ledger", "ledger_range", *DOWNSTREAM)
LATER: Final = ("ledger", "ledger_range")
THREADS: Final = 2
MEMORY_MAX_MB: Final = 1024


class Ground:
    """The tables of one audit. Made by ``opened``."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.db = db

    def marks(self, flow: str) -> dict[str, str | None]:
        """Return the position up to which the store has read each shard, by name."""
        query = "SELECT shard, position FROM store.store_mark WHERE flow = ?"
        return dict(self.db.execute(query, [flow]).fetchall())

    def add(self, name: str, shard: str, rows: pa.Table, *, later: bool = False) -> None:
        """Add rows of a table, as the analytics store takes them; ``later`` sets those of the ledger apart."""
        table = TABLES[name]
        if later:
            table = replace(table, name=f"later_{name}", sealing=None)
        self.db.register("incoming", rows)
        try:
            if table.newest_by:
                self.db.execute(deletion(table, "incoming"), {"above": -1})
            self.db.execute(insertion(table, "incoming"), {"above": -1, "shard": shard})
        finally:
            self.db.unregister("incoming")

    def settled(self, marks: Mapping[str, int], held: Iterable[tuple[str, str]]) -> None:
        """Say up to which offset a shard was read by whom it concerns, and which postings of an ERP are not settled."""
        self.db.execute("SET VARIABLE marks_known = true")
        for shard, offset in marks.items():
            self.db.execute("INSERT INTO mark VALUES (?, ?)", [shard, offset])
        rows = pa.Table.from_pylist([{"erp": erp, "posting_id": name} for erp, name in held], _HELD)
        self.db.register("incoming", rows)
        self.db.execute("INSERT INTO held FROM incoming")
        self.db.unregister("incoming")

    def documents(self, rows: pa.Table) -> None:
        """Add the documents of ERPs, as ``sinks.audit.erp_documents`` reads them."""
        self.db.register("incoming", rows)
        self.db.execute("INSERT INTO document BY NAME FROM incoming")
        self.db.unregister("incoming")


_HELD: Final = pa.schema([("erp", pa.string()), ("posting_id", pa.string())])
_BESIDE: Final = """
SET VARIABLE marks_known = false;
CREATE TABLE mark (stream_shard VARCHAR NOT NULL, stream_offset BIGINT NOT NULL);
CREATE TABLE held (erp VARCHAR NOT NULL, posting_id VARCHAR NOT NULL);
CREATE TABLE document (
    erp VARCHAR NOT NULL,
    document VARCHAR NOT NULL,
    posting_id VARCHAR,
    order_id VARCHAR,
    operation VARCHAR,
    good BIGINT,
    scrap BIGINT,
    rework BIGINT,
    material VARCHAR,
    lot VARCHAR,
    quantity BIGINT,
    reverses VARCHAR,
    belongs_to VARCHAR
);
"""
"""What comes neither from a store nor from a stream."""


@contextmanager
def opened(store: Path | None, *, threads: int = THREADS, memory_max_mb: int = MEMORY_MAX_MB) -> Iterator[Ground]:
    """Yield the tables of a store, read-only, or empty ones.

    Raises: StoreNotPublished, StoreUnavailable, StoreError where the store is of an older release.
    """
    if store is not None and not store.exists():
        raise StoreNotPublished(
            f"there is no store at {store}; start the analytics flow, which publishes one, or audit the log (--log)"
        )
    with TemporaryDirectory(prefix="plantsync-audit-") as folder:
        limits: Mapping[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": f"{memory_max_mb}MB",
            "temp_directory": folder,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with closing(duckdb.connect(":memory:", config=dict(limits))) as db:
            db.execute("ATTACH ':memory:' AS audit")
            db.execute("USE audit")
            for step in migrations():
                db.execute(step)
            db.execute(_BESIDE)
            if store is not None:
                _attach(db, store)
            for name in AUDITED:
                db.execute(_view(name, None if store is None else _rows(db, TABLES[name], store)))
            for name in LATER:
                db.execute(f"CREATE TABLE later_{name} AS FROM {TABLES[name].stored} LIMIT 0")
            yield Ground(db)


def _attach(db: duckdb.DuckDBPyConnection, store: Path) -> None:
    try:
        db.execute("ATTACH ? AS store (READ_ONLY)", [str(store)])
        ((version,),) = db.execute("SELECT max(version) FROM store.store_version").fetchall()
    except duckdb.Error as error:
        raise StoreUnavailable(
            f"open of {store} failed: {error}; check that it is a store that is published"
        ) from error
    if version != len(migrations()):
        raise StoreError(
            f"{store} has schema version {version}, this plantsync audits {len(migrations())}; let the analytics flow "
            "of this release open and publish it, or use the plantsync that wrote it"
        )


def _rows(db: duckdb.DuckDBPyConnection, table: Table, store: Path) -> str:
    """Return the SELECT of a table of the store; a copy that was kept is read with the files beside it."""
    if table.sealing and sealed_folder(store).exists():
        return relation(db, table, store, within="store.main.")
    return f"FROM store.main.{table.name}"


def _view(name: str, stored: str | None) -> str:
    """Return the view of all rows there are of a table; of the ledger, the newest entries."""
    # Names are constants of sinks.analytics.stream_tables.
    rows = f"SELECT 0 AS age, * FROM audit.main.{TABLES[name].stored}"  # noqa: S608
    if stored:
        rows += f" UNION ALL BY NAME SELECT 1 AS age, * FROM ({stored})"  # noqa: S608
    if keys := ", ".join(TABLES[name].newest_by):
        rows = f"FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY age) = 1"
    return f"CREATE TEMP VIEW read_{name} AS SELECT * EXCLUDE (age) FROM ({rows})"  # noqa: S608
