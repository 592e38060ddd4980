"""The statements that put rows into a table of the analytics store, and take out those that they replace.

Names in them are constants of the tables; values are parameters: ``$above``, the offset up to which a shard's rows are
stored, and ``$shard``.
"""

from __future__ import annotations

from sinks.analytics.table import PLACE, STREAM_OFFSET, STREAM_SHARD, Table


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
