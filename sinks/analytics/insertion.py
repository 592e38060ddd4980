"""Rows that were read, put into the analytics store with all that is summed and derived from them.

Law: rows at or below ``above``, the largest offset that the shard has stored in the table, are skipped. What is summed
of a table is summed in the transaction in which its rows are stored, so what is stored once is summed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sinks.analytics.intervals import MARKS, Intervals
from sinks.analytics.latency import quantiles
from sinks.analytics.outstanding import following
from sinks.analytics.reference_tables import replacing
from sinks.analytics.rollups import summing
from sinks.analytics.statements import deletion, insertion
from sinks.analytics.store_tables import SUMMED
from sinks.analytics.table import Table


def insert(
    db: duckdb.DuckDBPyConnection, intervals: Intervals, table: Table, told: pa.Table, shard: str, above: int
) -> int:
    """Insert rows that are registered as ``incoming_<name>``, within a transaction; return how many were new."""
    incoming = f"incoming_{table.name}"
    new = {"above": above, "shard": shard}
    if table.changed_by:
        delete, statement = replacing(table, incoming)
        db.execute(delete, new).fetchall()
    else:
        statement = insertion(table, incoming)
        if table.newest_by:
            db.execute(deletion(table, incoming), {"above": above}).fetchall()
    ((rows,),) = db.execute(statement, new | _range(table, told)).fetchall()
    if table.name == MARKS:
        intervals.follow(table, incoming, new)
    sums = summing(SUMMED, table, incoming, corrected=_corrected(told))
    for each in chain(sums, quantiles(table, told), following(db, table, incoming, told)):
        db.execute(each, _named(each, new)).fetchall()
    return int(rows)


def _named(statement: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return those of the parameters that a statement has."""
    return {name: value for name, value in values.items() if f"${name}" in statement}


def _range(table: Table, told: pa.Table) -> dict[str, int]:
    """Return the parameters of ``insertion`` that say in which range rows are added up."""
    if not table.added_by:
        return {}
    ends = pc.min_max(told[table.added_by[-1]])
    return {"low": ends["min"].as_py(), "high": ends["max"].as_py()}


def _corrected(table: pa.Table) -> bool:
    return "revision" in table.column_names and pc.max(table["revision"]).as_py() > 0
