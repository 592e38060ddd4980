"""Rows of a database table, polled by a key that grows: a number, or the time of the last change.

Law: every version of a row that is committed while its key is at most ``overlap`` behind the largest key seen becomes
one record, in the order of the keys as far as they were there. Transactions end in another order than they take their
keys, so that much is read again at every question, and what was told before is known by its content.

Lost: a row that is committed later than that, and one whose key is null. Where the key is also the source's number, the
flow ``confirmations`` declares it as a gap. A row that changes twice between two questions is told as it is then, once.

A record is one JSON object: the columns by name; decimals exact, instants in ISO 8601, bytes in hexadecimal.
Source: SQLAlchemy 2.1, Engine and Connection, ``stream_results``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final
from uuid import UUID

import numpy as np
import orjson
import sqlalchemy
from sqlalchemy.engine import Connection, Engine, Row

from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.sql_settings import SqlCollector
from dataflows.sources.errors import SourceUnavailable
from sinks.commit_log import PlantsyncError

PART: Final = "source.rows"
_HASH_BYTES: Final = 16


class TableUnusable(PlantsyncError):
    """The table is not what the settings say; nothing was read."""

    retryable = True  # when somebody has mended the table or the settings; others go on


class TablePoll:
    """Reads one table; a ``Collector``. Args: clock: now in UTC microseconds."""

    def __init__(self, section: SqlCollector, name: str, clock: Callable[[], int]) -> None:
        self._section, self._name, self._clock = section, name, clock
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._rows: Iterator[Row[Any]] | None = None
        self._number = 0
        self._last: Any = None  # the largest key seen
        self._known: dict[bytes, Any] = {}  # what was told in the overlap: hash of the row -> its key, the oldest first
        self._changed = False
        self._due_us = 0
        self._columns: list[str] = []

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position."""
        if position is not None:
            place = orjson.loads(position)
            self._number, self._last = place["number"], _key(place["key"])
        if PART in state:
            self._known = {bytes.fromhex(name): _key(key) for name, key in orjson.loads(state[PART])}

    def poll(self) -> RawRecords:
        """Return the next rows that were not told. Raises: SourceUnavailable, TableUnusable."""
        if self._rows is None:
            if self._clock() < self._due_us:
                return NO_RECORDS
            self._ask()
        records = NO_RECORDS
        while self._rows is not None and not len(records):  # What is read again and known is passed over at once.
            try:
                rows = list(islice(self._rows, self._section.rows_max))
            except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
                raise self._away(error) from error
            if len(rows) < self._section.rows_max:
                self._end()
            records = self._told(rows)
        return records

    def position(self) -> str:
        """Return the largest key seen, and how many records there were."""
        return orjson.dumps({"number": self._number, "key": _written(self._last)}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what was told in the overlap, when that has changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {PART: orjson.dumps([(name.hex(), _written(key)) for name, key in self._known.items()])}

    def at_end(self) -> bool:
        """Return whether the last question has been answered to its end."""
        return self._rows is None and self._due_us > 0

    def behind(self) -> int:
        """Return 0: the database is not asked how much there is."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: the table stays as it is."""

    def close(self) -> None:
        """Close the connection."""
        self._end()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _ask(self) -> None:
        """Ask for the rows from the overlap on, in the order of the keys."""
        section = self._section
        try:
            self._engine = self._engine or _engine(section)
            self._connection = self._engine.connect().execution_options(
                stream_results=True, max_row_buffer=section.rows_max
            )
            table = self._table(self._connection)
            key = table.c[section.key]
            self._columns = list(section.columns) or [column.name for column in table.columns]
            asked = sqlalchemy.select(key, *(table.c[name] for name in self._columns)).where(key.is_not(None))
            if self._last is not None:
                asked = asked.where(key >= _before(self._last, section.overlap))
            self._rows = iter(self._connection.execute(asked.order_by(key)))
        except (sqlalchemy.exc.NoSuchTableError, sqlalchemy.exc.NoSuchModuleError, KeyError) as error:
            self._end()
            raise TableUnusable(
                f"collect.{self._name}: table {section.table} cannot be read: {error.args[0] if error.args else error} "
                "is not there. Check url, table, schema_name, columns and key, and what the user may read."
            ) from error
        except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise self._away(error) from error

    def _table(self, connection: Connection) -> sqlalchemy.Table:
        """Return the table as the database describes it, so that no name is ever put into SQL by us."""
        section = self._section
        schema = section.schema_name or None
        found = sqlalchemy.Table(section.table, sqlalchemy.MetaData(), schema=schema, autoload_with=connection)
        for name in (section.key, *section.columns):
            if name not in found.c:
                raise KeyError(f"column {name}")
        return found

    def _told(self, rows: Sequence[Row[Any]]) -> RawRecords:
        """Return the records of the rows that were not told before."""
        values: list[bytes] = []
        for row in rows:
            key = row[0]
            value = _object(dict(zip(self._columns, row[1:], strict=True)))
            name = hashlib.blake2b(value, digest_size=_HASH_BYTES).digest()
            if name not in self._known:
                values.append(value)
                self._known[name] = key
            self._last = key if self._last is None else max(self._last, key)
        if not values:
            return NO_RECORDS
        self._changed = True
        self._forget()
        offsets = np.arange(self._number + 1, self._number + len(values) + 1)
        self._number += len(values)
        return RawRecords.from_values(values, offsets, self._name)

    def _forget(self) -> None:
        """Forget what lies before the overlap, and of more than may be remembered the oldest."""
        first = _before(self._last, self._section.overlap)
        kept = {name: key for name, key in self._known.items() if key >= first}
        self._known = dict(list(kept.items())[-self._section.overlap_rows_max :])

    def _end(self) -> None:
        """Let go of the connection; the next question comes in its time."""
        if self._connection is not None:
            with suppress(sqlalchemy.exc.SQLAlchemyError, OSError):  # All is read; a link lost now loses nothing.
                self._connection.close()
        self._connection = self._rows = None
        self._due_us = self._clock() + round(self._section.every_s * 1e6)

    def _away(self, error: Exception) -> SourceUnavailable:
        # The message of a driver may quote what was sent, so only its kind and its first line are told.
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        if self._connection is not None:
            with suppress(sqlalchemy.exc.SQLAlchemyError, OSError):  # It may be lost already.
                self._connection.invalidate()
        self._connection = self._rows = None
        return SourceUnavailable(
            f"collect.{self._name}: table {self._section.table} cannot be read now: {reason}. "
            "Check that the database runs and that user and password are right."
        )


def _engine(section: SqlCollector) -> Engine:
    url = sqlalchemy.make_url(section.url)
    if section.password is not None:
        url = url.set(password=section.password.get_secret_value())
    # Each driver has its own way to bound a wait, and pg8000 takes none from the url.
    bound = {"timeout": section.timeout_s} if url.drivername.endswith("+pg8000") else {}
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=bound)


def _before(key: Any, overlap: float) -> Any:
    """Return the key from which on rows are read again."""
    match key:
        case datetime():
            return key - timedelta(seconds=overlap)
        case date():
            return key - timedelta(days=overlap / 86_400)
        case Decimal():
            return key - Decimal(overlap)
        case int() | float():
            return key - overlap
        case _:
            return key


def _object(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    """Return what JSON has for a value that it does not know."""
    match value:
        case Decimal():
            return orjson.Fragment(format(value, "f").encode()) if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case timedelta():
            return value.total_seconds()
        case UUID() | time():
            return str(value)
        case _:
            return str(value)


def _written(key: Any) -> dict[str, str] | None:
    """Return a key as JSON has it, with its kind."""
    match key:
        case None:
            return None
        case datetime() | date():
            return {type(key).__name__: key.isoformat()}
        case _:
            return {type(key).__name__: str(key)}


_KINDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "str": str,
}


def _key(written: Mapping[str, str] | None) -> Any:
    if written is None:
        return None
    ((kind, text),) = written.items()
    return _KINDS[kind](text)
