"""The published snapshot of the analytics store, opened by readers.

Law: a reader sees one publication, whole, for as long as it holds it open, delays no writer, and
can change nothing: the file is attached read-only and the query reaches no other file.

Trap: DuckDB shares a file that a process opens twice, so a second opening would show what the
first one saw even after a new publication; attaching it to a database of its own does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from sinks.analytics.sealing import sealed_folder
from sinks.analytics.store_errors import StoreError, StoreUnavailable

ROWS_MAX: Final = 1_000
THREADS: Final = 2
MEMORY_MAX_MB: Final = 1024


class StoreNotPublished(StoreUnavailable):
    """There is no snapshot yet."""


class QueryRefused(StoreError):
    """The query is wrong, needs more than it may use, or does more than read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query; ``more`` says that it has others beyond the limit."""

    rows: pa.Table
    more: bool


@contextmanager
def open_published(
    path: Path, *, threads: int = THREADS, memory_max_mb: int = MEMORY_MAX_MB
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a read-only connection to the snapshot that is published now.

    Raises: StoreNotPublished, StoreUnavailable.
    """
    if not path.exists():
        raise StoreNotPublished(
            f"nothing has been published at {path} yet; start the analytics flow, which publishes a few "
            "seconds after its first commit, or check store.published in the settings"
        )
    limits: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": f"{memory_max_mb}MB",
        "temp_directory": "",  # A reader may own no folder to spill to.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with closing(duckdb.connect(":memory:", config=limits)) as db:
        try:
            db.execute("ATTACH ? AS analytics (READ_ONLY)", [str(path)])
        except duckdb.Error as error:
            raise StoreUnavailable(f"open of {path} failed: {error}; check that it is a published store") from error
        db.execute("USE analytics")
        db.execute("SET allowed_directories = ?", [[f"{sealed_folder(path)}/"]])
        db.execute("SET enable_external_access = false")
        db.execute("SET lock_configuration = true")
        yield db


def query(
    path: Path,
    sql: str,
    parameters: list[Any] | Mapping[str, Any] | None = None,
    *,
    rows_max: int = ROWS_MAX,
    threads: int = THREADS,
    memory_max_mb: int = MEMORY_MAX_MB,
) -> Answer:
    """Answer one query from the snapshot that is published now.

    Args:    parameters: values of ``?`` (list) or ``$name`` (mapping) in the query.
    Raises:  StoreNotPublished, StoreUnavailable, QueryRefused.
    """
    with open_published(path, threads=threads, memory_max_mb=memory_max_mb) as db:
        try:
            if not all(_reads(db, statement) for statement in db.extract_statements(sql)):
                raise QueryRefused(f"query of {path} refused: it does more than read; ask with SELECT or FROM")
            relation = db.sql(sql, params=parameters)
            if relation is None:
                raise QueryRefused("the query is empty; DESCRIBE and SHOW TABLES list what there is to ask for")
            reader = relation.to_arrow_reader(rows_max + 1)
            batches, count = [], 0
            for batch in reader:
                batches.append(batch)
                count += len(batch)
                if count > rows_max:
                    break
            rows = pa.Table.from_batches(batches, reader.schema)
            return Answer(rows.slice(0, rows_max), more=count > rows_max)
        except duckdb.Error as error:
            raise QueryRefused(
                f"query of {path} failed: {error}; DESCRIBE and SHOW TABLES list what there is"
            ) from error


_EXPLAINED: Final = re.compile(r"\s*EXPLAIN(?:\s+ANALYZE)?(?:\s*\([^)]*\))?\s+", re.IGNORECASE)
_MEANT: Final = re.compile(r"\s*(?:PIVOT|PIVOT_WIDER|FROM|SELECT|WITH)\b", re.IGNORECASE)


def _reads(db: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Return whether a statement only reads. The folder of sealed files may be read, but DuckDB would also write it."""
    if statement.type == duckdb.StatementType.EXPLAIN:
        told = _EXPLAINED.sub("", statement.query, count=1)
        return told != statement.query and all(_reads(db, inner) for inner in db.extract_statements(told))
    if statement.type == duckdb.StatementType.MULTI:  # a PIVOT, which first looks for the columns it will have
        return _MEANT.match(statement.query) is not None
    return statement.type == duckdb.StatementType.SELECT
