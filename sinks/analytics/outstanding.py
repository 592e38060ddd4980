"""What is not settled, kept small beside tables that only grow: questions about it cost the same every year.

Laws, at every commit, whatever the order in which postings, receipts and what is not posted were read:

- ``open_posting`` is as ``sinks.analytics.open_postings`` says;
- ``waiting`` has each case whose newest word is that it waits, unless a posting of its kind cites its first cause and
  was enqueued since;
- ``lot_word`` has of each plant, material and lot the newest hold or release; of two at one instant, the hold.

Source: M19, M37, M38, A14; docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sinks.analytics import open_postings
from sinks.analytics.statements import new_rows, newest
from sinks.analytics.stream_tables import alike
from sinks.analytics.table import Column, Table

_OF_CASE: Final = (
    *("cause", "kind", "plant", "order_id", "operation", "work_center", "material", "lot", "unit"),
    *("good", "scrap", "rework", "document_date", "at_us"),
)
_OF_WORD: Final = ("plant", "material", "lot", "type", "quality", "reason", "source", "occurred_us")

WAITING: Final = Table(
    "waiting",
    "Cases that wait to be posted: for what a check asks for, or behind what does.",
    (
        *alike("unposted", *_OF_CASE),
        Column("first_cause", "first_cause", "VARCHAR", nullable=False, comment="The first of its causes."),
    ),
)
LOT_WORD: Final = Table(
    "lot_word", "The newest hold or release of each lot that a plant told of.", tuple(alike("event", *_OF_WORD))
)
OUTSTANDING: Final = (open_postings.OPEN_POSTING, WAITING, LOT_WORD)

_ANY_WAITING: Final = "SELECT 1 FROM waiting LIMIT 1"

# Names in the statements below are constants of this module; values are parameters.


def following(db: duckdb.DuckDBPyConnection, table: Table, incoming: str, told: pa.Table) -> Iterator[str]:
    """Yield what brings the tables above up to date with the new rows of ``incoming``, once they are stored.

    Each statement is to be run before the next is asked for; what nothing can come of is left out.
    """
    match table.name:
        case "posting":
            early = bool(db.execute(open_postings.EARLY).fetchall())
            yield open_postings.opened(table, incoming, told, early=early)
            if db.execute(_ANY_WAITING).fetchall():
                yield _gone_on(new_rows(table, incoming, "kind", "causes", "enqueued_us"))
        case "receipt":
            yield open_postings.answered(table, incoming, told)
        case "unposted":
            last = newest(new_rows(table, incoming), "cause, kind", "stream_offset")
            same = "waiting.cause = new.cause AND waiting.kind = new.kind"
            low = pc.min(told["at_us"]).as_py()
            yield f"DELETE FROM waiting USING ({last}) AS new WHERE {same}"  # noqa: S608
            yield waited(last)
            yield _gone_on(f"SELECT kind, causes, enqueued_us FROM posting WHERE enqueued_us >= {low:d}")  # noqa: S608
        case "event" if pc.any(pc.is_in(told["type"], pa.array(["hold", "release"]))).as_py():
            yield _worded(new_rows(table, incoming, *_OF_WORD))


def waited(last: str) -> str:
    """Return the INSERT of the cases that wait, of the newest word on each."""
    columns = ", ".join(_OF_CASE)
    return (
        f"INSERT INTO waiting BY NAME SELECT {columns}, coalesce(causes[1], cause) AS first_cause "  # noqa: S608
        f"FROM ({last}) WHERE state = 'waiting'"
    )


def _gone_on(postings: str) -> str:
    """Return the DELETE of the cases that these postings have ended: those that were told before."""
    return (
        f"DELETE FROM waiting USING (SELECT kind, enqueued_us, unnest(causes) AS cause FROM ({postings})) AS posted "  # noqa: S608
        "WHERE waiting.kind = posted.kind AND waiting.first_cause = posted.cause "
        "AND coalesce(posted.enqueued_us >= waiting.at_us, true)"
    )


def _worded(rows: str) -> str:
    """Return the MERGE of holds and releases."""
    keys, columns = ("plant", "material", "lot"), ", ".join(_OF_WORD)
    order = "({of}occurred_us, {of}type = 'hold')"
    last = (
        f"SELECT {columns} FROM ({rows}) WHERE type IN ('hold', 'release') AND lot <> '' "  # noqa: S608
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {order.format(of='')} DESC) = 1"
    )
    same = " AND ".join(f"old.{key} = new.{key}" for key in keys)
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_WORD if name not in keys)
    return (
        f"MERGE INTO lot_word AS old USING ({last}) AS new ON {same} "
        f"WHEN MATCHED AND {order.format(of='new.')} > {order.format(of='old.')} THEN UPDATE SET {taken} "
        "WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def brought_up() -> list[str]:
    """Return what makes these tables of the rows there are."""
    told = "SELECT * FROM {}"
    return [
        open_postings.answered_before(told.format("posting")),
        open_postings.answered_so_far(told.format("receipt")),
        waited(told.format("unposted")),
        _gone_on(told.format("posting")),
        _worded(told.format("event")),
    ]
