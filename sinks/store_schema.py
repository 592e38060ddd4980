"""The analytics store's tables, derived from the contracts, and how older stores become new ones.

A table holds the fields of its contract under the contract's names, except for ``RENAMED``, with
quantities in thousandths and instants in UTC microseconds as the contract has them; views turn
both into decimals and timestamps. ``stream_shard`` and ``stream_offset`` say where a row was read.

``schema/NNNN_*.sql`` are the migrations, run in order, each once, and never edited after a
release; a test compares their outcome with the contracts. ``schema/views/*.sql``, in the order of
``VIEWS``, and the comments are written anew whenever the store is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Final, Protocol, get_args
from uuid import UUID

import pyarrow as pa
from pydantic import BaseModel

from canonical.contracts import (
    BusinessException,
    ComponentUsage,
    Confirmation,
    DeadLetter,
    Event,
    Fault,
    Gap,
    LedgerEntry,
    LedgerRange,
    Posting,
    Receipt,
    StateMark,
    TelemetryMinute,
    TrailEntry,
    Unposted,
)
from canonical.schemas import arrow_schema, columns

VIEWS: Final = (
    *("units", "reference", "production", "ledger", "genealogy", "postings", "states", "telemetry"),
    *("latency", "slo", "kpi", "orders", "outstanding"),
)
"""Files of views by subject; each may use what those before it define."""

RENAMED: Final[Mapping[str, str]] = {"order": "order_id", "offset": "input_offset"}
"""Contract fields whose names SQL reserves, and the names of their columns."""

HOT: Final = "store_hot_"
"""What the table of the rows that are in no file yet has before its name."""

STREAM_OFFSET: Final = "stream_offset"
STREAM_SHARD: Final = "stream_shard"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: ``field`` is its name in the contract and in the Arrow tables that are committed."""

    name: str
    field: str
    sql_type: str
    nullable: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """How rows of a table move into files: the oldest by ``instant_us`` first, in a file in the order of ``order_by``.

    Who looks for few rows finds them by the smallest and largest value of a row group: what is asked for together
    should stand together.
    """

    instant_us: str
    order_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``newest_by`` names the columns of which it keeps the newest row only.

    That is the row that came last, or the one with the greatest ``changed_by``, whatever the order they came in.
    ``added_by`` names those by which it adds up rows, all other columns but the place, and the range of the last of
    these columns is looked through: it should be an instant.

    With ``sealing`` it is a view over ``stored`` and files (``sinks.sealing``). Only what is never changed is sealed,
    or added up, since what comes later to a row in a file is added when it is asked for.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    newest_by: tuple[str, ...] = ()
    changed_by: str = ""
    added_by: tuple[str, ...] = ()
    sealing: Sealing | None = None

    def __post_init__(self) -> None:
        assert not (self.newest_by and self.sealing), f"rows of {self.name} are replaced, so they cannot be sealed"

    @property
    def stored(self) -> str:
        """Return the name of the table that its new rows go to."""
        return f"{HOT}{self.name}" if self.sealing else self.name


_SQL_TYPES: Final[Mapping[pa.DataType, str]] = {
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
}


def _sql_type(arrow: pa.DataType) -> str:
    """Return DuckDB's type of an Arrow type that a contract has."""
    if pa.types.is_list(arrow):
        return f"{_sql_type(arrow.value_type)}[]"
    if pa.types.is_struct(arrow):
        return f"STRUCT({', '.join(f'{field.name} {_sql_type(field.type)}' for field in arrow)})"
    return _SQL_TYPES[arrow]


PLACE: Final = (
    Column(STREAM_SHARD, STREAM_SHARD, "VARCHAR", nullable=False, comment="Shard of the stream it was read from."),
    Column(STREAM_OFFSET, STREAM_OFFSET, "BIGINT", nullable=False, comment="Offset in that shard."),
)


def fields(model: type[BaseModel], *omit: str) -> tuple[Column, ...]:
    """Return the columns of a contract, but for some of its fields."""
    arrow = arrow_schema(model)
    return tuple(
        Column(
            name=RENAMED.get(name, name),
            field=name,
            sql_type="UUID"
            if UUID in (info.annotation, *get_args(info.annotation))
            else _sql_type(arrow.field(name).type),
            nullable=arrow.field(name).nullable,
            comment=info.description or "",
        )
        for name, info in columns(model).items()
        if name not in omit
    )


TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "confirmation",
            "What a range of one source's sequence amounts to, as posted. Quantities are thousandths of the unit.",
            (*fields(Confirmation), *PLACE),
            sealing=Sealing("last_occurred_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "event",
            "Events passed on one by one: holds, releases, moves, consumption, starts and stops. "
            "Quantities are thousandths of the unit.",
            (*fields(Event), *PLACE),
            sealing=Sealing("occurred_us", ("plant", "source", "session", "occurred_us")),
        ),
        Table(
            "fault",
            "Records set aside, with why. The whole record is in the stream dead-letters.",
            (
                *fields(Fault),
                *fields(DeadLetter, "fault", "key", "value", "headers"),
                Column("key", "key", "BLOB", nullable=True, comment="First bytes of the record's key."),
                Column("value", "value", "BLOB", nullable=False, comment="First bytes of the record."),
                Column("value_bytes", "value_bytes", "BIGINT", nullable=False, comment="Length of the whole record."),
                *PLACE,
            ),
            sealing=Sealing("failed_us", ("plant", "source", "failed_us")),
        ),
        Table(
            "gap",
            "Declared holes in the numbering of a source.",
            (*fields(Gap), *PLACE),
            sealing=Sealing("declared_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "ledger",
            "What became of every record read: running totals of each session, newest entry only.",
            (*fields(LedgerEntry), *PLACE),
            newest_by=("shard", "plant", "source", "session"),
        ),
        Table(
            "ledger_range",
            "Ranges of the sources' numbers and what became of them, each confirmation once more.",
            (*fields(LedgerRange), *PLACE),
            sealing=Sealing("committed_us", ("plant", "source", "session", "first_seq")),
        ),
        Table(
            "component_usage",
            "What of each component of an order was planned and issued, newest only. Quantities are thousandths.",
            (*fields(ComponentUsage), *PLACE),
            newest_by=("erp", "plant", "order_id", "item", "material", "unit"),
        ),
        Table(
            "state_mark",
            "Instants from which a source is in a state, as its events tell.",
            (*fields(StateMark), *PLACE),
            sealing=Sealing("occurred_us", ("plant", "source", "occurred_us")),
        ),
        Table(
            "telemetry_minute",
            "What no confirmation accounts for, such as telemetry, by the UTC minute; the place is of its last part.",
            (*fields(TelemetryMinute), *PLACE),
            added_by=("plant", "work_center", "source", "minute_us"),
            sealing=Sealing("minute_us", ("plant", "source", "minute_us")),
        ),
        Table(
            "trail",
            "What was decided, by whom and why: changes of mappings and actions by hand, chained by hash.",
            (*fields(TrailEntry), *PLACE),
            sealing=Sealing("at_us", ("chain", "number")),
        ),
        Table(
            "posting",
            "What the ERPs are to do: one row becomes one document. Quantities are thousandths of the unit.",
            (
                *fields(Posting),
                Column(
                    "known_us",
                    "known_us",
                    "BIGINT",
                    nullable=True,
                    comment="Instant at which the flow postings knew all it accounts for.",
                ),
                Column(
                    "enqueued_us", "enqueued_us", "BIGINT", nullable=True, comment="Instant at which it was enqueued."
                ),
                *PLACE,
            ),
            sealing=Sealing("end_us", ("plant", "order_id", "number")),
        ),
        Table(
            "unposted",
            "What is not posted, or not yet, and why; the newest word on each cause and kind. What was posted "
            "since it waited has a posting.",
            (*fields(Unposted), *PLACE),
            newest_by=("cause", "kind"),
        ),
        Table(
            "receipt",
            "What the ERPs made of each posting, with the document and the instants of each hop.",
            (*fields(Receipt), *PLACE),
            sealing=Sealing("answered_us", ("plant", "order_id", "posting_id")),
        ),
        Table(
            "business_exception",
            "What waits for a person, or did: newest state of each exception.",
            (*fields(BusinessException), *PLACE),
            newest_by=("exception_id",),
        ),
    )
}
"""Every table that rows of a stream can be committed to."""


def alike(table: str, *names: str) -> list[Column]:
    """Return columns as a table has them, in the order of ``names``."""
    columns = {column.name: column for column in TABLES[table].columns}
    return [columns[name] for name in names]


def nullable(columns: list[Column]) -> list[Column]:
    """Return columns that may be empty."""
    return [replace(column, nullable=True) for column in columns]


def migrations() -> list[str]:
    """Return the SQL of each migration, oldest first; a store's version is how many it has seen."""
    folder = resources.files(__package__) / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[:4].isdigit())
    return [(folder / name).read_text("utf-8") for name in names]


class Described(Protocol):
    """What has a comment on itself and on each of its columns: a ``Table`` or a rollup."""

    @property
    def name(self) -> str:
        """Return the name in SQL."""
        ...

    @property
    def comment(self) -> str:
        """Return what it holds."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns in their order."""
        ...


def descriptions(tables: Sequence[Described]) -> str:
    """Return the SQL that writes the views and the comments on tables and columns."""
    folder = resources.files(__package__) / "schema" / "views"
    views = [(folder / f"{name}.sql").read_text("utf-8") for name in VIEWS]
    return "\n".join((*views, *map(comments, tables)))


def comments(table: Described) -> str:
    """Return the SQL that writes the comments on a table, or on the view that stands for it, and on its columns."""
    sealed = isinstance(table, Table) and table.sealing is not None
    lines = [f"COMMENT ON {'VIEW' if sealed else 'TABLE'} {table.name} IS {literal(table.comment)};"]
    if sealed:
        lines.append(f"COMMENT ON TABLE {HOT}{table.name} IS 'Rows of {table.name} that are in no file yet.';")
    lines += [f"COMMENT ON COLUMN {table.name}.{c.name} IS {literal(c.comment)};" for c in table.columns]
    return "\n".join(lines)


# Names in the statements below are constants of this module; values are parameters.


def new_rows(table: Table, incoming: str, *names: str) -> str:
    """Return the SELECT of the rows of ``incoming`` that lie above ``$above``; ``$shard`` is their shard.

    Args: names: the columns that are wanted, without any all: each costs planning, whether it is used or not.
    """
    values = ", ".join(
        f"$shard AS {STREAM_SHARD}" if c.name == STREAM_SHARD else f'CAST("{c.field}" AS {c.sql_type}) AS {c.name}'
        for c in table.columns
        if not names or c.name in names
    )
    return f"SELECT {values} FROM {incoming} WHERE {STREAM_OFFSET} > $above"  # noqa: S608


def newest(rows: str, keys: str, place: str) -> str:
    """Return the SELECT of the rows with the greatest ``place`` of those that are alike in ``keys``."""
    return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {place} DESC) = 1"  # noqa: S608


def insertion(table: Table, incoming: str) -> str:
    """Return the INSERT of the ``new_rows`` of ``incoming``."""
    rows = new_rows(table, incoming)
    if table.added_by:
        return _addition(table, rows)
    if table.newest_by:
        keys = ", ".join(table.newest_by)
        rows = (
            f"SELECT * EXCLUDE (arrival) FROM (SELECT *, row_number() OVER () AS arrival FROM ({rows})) "  # noqa: S608
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY arrival DESC) = 1"
        )
    return f"INSERT INTO {table.stored} BY NAME {rows}"


def _addition(table: Table, rows: str) -> str:
    """Return the MERGE that adds rows up; the range of the last key keeps it from looking through the whole table."""
    *_, instant = table.added_by
    same = " AND ".join(f"old.{name} = new.{name}" for name in table.added_by)
    summed = [c for c in table.columns if c.name not in {*table.added_by, STREAM_SHARD, STREAM_OFFSET}]
    added = ", ".join(f"{c.name} = old.{c.name} + new.{c.name}" for c in summed)
    moved = f"{STREAM_SHARD} = new.{STREAM_SHARD}, {STREAM_OFFSET} = new.{STREAM_OFFSET}"
    return (
        f"MERGE INTO {table.stored} AS old USING ({added_up(table, rows)}) AS new "
        f"ON {same} AND old.{instant} BETWEEN $low AND $high "
        f"WHEN MATCHED THEN UPDATE SET {added}, {moved} WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def added_up(table: Table, rows: str) -> str:
    """Return the SELECT that adds up rows by ``added_by``, in the table's order of columns."""
    chosen = (
        c.name
        if c.name in table.added_by
        else f"max({c.name}) AS {c.name}"
        if c in PLACE
        else f"CAST(sum({c.name}) AS {c.sql_type}) AS {c.name}"
        for c in table.columns
    )
    return f"SELECT {', '.join(chosen)} FROM ({rows}) GROUP BY {', '.join(table.added_by)}"  # noqa: S608


def deletion(table: Table, incoming: str) -> str:
    """Return the DELETE of the rows that ``insertion`` replaces."""
    fields = {column.name: column.field for column in table.columns}
    same = " AND ".join(f'{table.name}.{key} = {incoming}."{fields[key]}"' for key in table.newest_by)
    return f"DELETE FROM {table.name} USING {incoming} WHERE {same} AND {incoming}.{STREAM_OFFSET} > $above"  # noqa: S608


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
