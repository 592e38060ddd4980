"""A table of the analytics store: its columns, made of a contract's, and what becomes of its rows.

It holds the fields of its contract under the contract's names, except for ``RENAMED``, with
quantities in thousandths and instants in UTC microseconds as the contract has them; views turn
both into decimals and timestamps. ``stream_shard`` and ``stream_offset`` say where a row was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, get_args
from uuid import UUID

import pyarrow as pa
from pydantic import BaseModel

from canonical.schemas import arrow_schema, columns

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

    With ``sealing`` it is a view over ``stored`` and files (``sealing``). Only what is never changed is sealed,
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


def nullable(columns: list[Column]) -> list[Column]:
    """Return columns that may be empty."""
    return [replace(column, nullable=True) for column in columns]


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
