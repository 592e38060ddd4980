"""The views, functions and comments of a release in a store, written where they are not there already.

Law: after an opening a store has those of the release that opened it. Writing them takes half a second of processor
time, so ``store_description`` keeps a digest in the transaction that wrote them: of the SQL that was executed, which
tells releases apart, and of the names and comments that DuckDB then listed, which show what somebody dropped, or
replaced, since a view that is replaced loses its comment. An opening that finds the same digest writes nothing.

Trap: the text of a view, as DuckDB lists it, may be another after the file was opened again (``TIMESTAMP`` becomes
``TIMESTAMP_US``), so it is not compared.
"""

from __future__ import annotations

import hashlib
from typing import Final

import duckdb

from sinks.analytics.column_words import WORDS, describe_view_columns
from sinks.analytics.sealing import SealedFiles
from sinks.analytics.store_schema import descriptions
from sinks.analytics.store_tables import DESCRIBED

_LISTED: Final = """
SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND database_name = current_database()
UNION ALL
SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal AND database_name = current_database()
ORDER BY ALL
"""


class Description:
    """What a store says of itself. Its methods run inside the store's transactions, on its connection."""

    def __init__(self, db: duckdb.DuckDBPyConnection, sealed: SealedFiles, version: int) -> None:
        """Write what is not there.

        Args: version: of the store's tables, since a view keeps the types that its columns had when it was written.
        """
        self._db = db
        self._sealed = sealed
        self._version = version
        kept = db.execute("FROM store_description").fetchall()
        if not kept or kept != [(self._digest(),)]:
            db.execute(self._text())
            describe_view_columns(db)
            self.keep()

    def keep(self) -> None:
        """Take what is there for what is to be there, after views of sealed tables were written anew."""
        self._db.execute("DELETE FROM store_description")
        self._db.execute("INSERT INTO store_description VALUES (?)", [self._digest()])

    def _text(self) -> str:
        return "\n".join((*self._sealed.views(), descriptions(DESCRIBED)))

    def _digest(self) -> str:
        listed = self._db.execute(_LISTED).fetchall()
        told = repr((duckdb.__version__, self._version, self._text(), WORDS, listed))
        return hashlib.sha256(told.encode()).hexdigest()
