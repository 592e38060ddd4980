"""What is not settled, kept small beside tables that only grow: questions about it cost the same every year.

Laws, at every commit, whatever the order in which postings, receipts and what is not posted were read:

- ``open_posting`` has each posting without a receipt that says ``accepted``, and what its newest receipt says; receipts
  that were read before their posting wait there for it, with ``placed`` false;
- ``waiting`` has each case whose newest word is that it waits, unless a posting of its kind cites its first cause and
  was enqueued since;
- ``lot_word`` has of each plant, material and lot the newest hold or release; of two at one instant, the hold.

Source: M19, M37, M38, A14; docs/decisions/0020.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sinks.booking import SIGNED
from sinks.store_schema import TABLES, Column, Table, new_rows


def _like(table: str, *names: str) -> list[Column]:
    """Return columns as another table has them."""
    return [column for name in names for column in TABLES[table].columns if column.name == name]


def _nullable(columns: list[Column]) -> list[Column]:
    return [Column(c.name, c.field, c.sql_type, nullable=True, comment=c.comment) for c in columns]


_OF_POSTING: Final = (
    *("kind", "erp", "plant", "order_id", "lane", "operation", "work_center", "material", "lot", "unit"),
    *("posting_date", "good", "scrap", "rework", "end_us", "known_us", "enqueued_us"),
)
_COUNTED: Final = ("good", "scrap", "rework")
_OF_RECEIPT: Final = ("status", "code", "message", "attempts", "first_sent_us", "sent_us", "answered_us")
_OF_CASE: Final = (
    *("cause", "kind", "plant", "order_id", "operation", "work_center", "material", "lot", "unit"),
    *("good", "scrap", "rework", "document_date", "at_us"),
)
_OF_WORD: Final = ("plant", "material", "lot", "type", "quality", "reason", "source", "occurred_us")

OPEN_POSTING: Final = Table(
    "open_posting",
    "Postings without an accepted document, with what the ERP said of them last.",
    (
        *_like("posting", "posting_id"),
        Column("placed", "placed", "BOOLEAN", nullable=False, comment="Whether the posting itself has been read."),
        *_nullable(_like("posting", *_OF_POSTING)),  # quantities as in table booking
        *_nullable(_like("receipt", *_OF_RECEIPT)),
    ),
)
WAITING: Final = Table(
    "waiting",
    "Cases that wait to be posted: for what a check asks for, or behind what does.",
    (
        *_like("unposted", *_OF_CASE),
        Column("first_cause", "first_cause", "VARCHAR", nullable=False, comment="The first of its causes."),
    ),
)
LOT_WORD: Final = Table(
    "lot_word", "The newest hold or release of each lot that a plant told of.", tuple(_like("event", *_OF_WORD))
)
OUTSTANDING: Final = (OPEN_POSTING, WAITING, LOT_WORD)

_SETTLED: Final = "('accepted', 'rejected', 'withdrawn')"
"""What a receipt may say of the posting itself; all else is said of movements that follow."""

# Names in the statements below are constants of this module; values are parameters.


def following(table: Table, incoming: str, told: pa.Table) -> list[str]:
    """Return what brings the tables above up to date with the new rows of ``incoming``, once they are stored."""
    rows = new_rows(table, incoming)
    match table.name:
        case "posting":
            return [opened(rows), _gone_on(rows)]
        case "receipt":
            return [_answered(rows)]
        case "unposted":
            newest = _newest(rows, "cause, kind", "stream_offset")
            same = "waiting.cause = new.cause AND waiting.kind = new.kind"
            low = pc.min(told["at_us"]).as_py()
            return [
                f"DELETE FROM waiting USING ({newest}) AS new WHERE {same}",  # noqa: S608
                waited(newest),
                _gone_on(f"SELECT kind, causes, enqueued_us FROM posting WHERE enqueued_us >= {low:d}"),  # noqa: S608
            ]
        case "event":
            return [_worded(rows)]
        case _:
            return []


def opened(rows: str) -> str:
    """Return the MERGE of postings: those that were answered before they were read are settled at once."""
    columns = ", ".join(SIGNED.format(name) + f" AS {name}" if name in _COUNTED else name for name in _OF_POSTING)
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_POSTING)
    return (
        f"MERGE INTO open_posting AS old USING (SELECT posting_id, true AS placed, {columns} FROM ({rows}) "  # noqa: S608
        "QUALIFY row_number() OVER (PARTITION BY posting_id) = 1) AS new ON old.posting_id = new.posting_id "
        "WHEN MATCHED AND old.status = 'accepted' THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET placed = true, {taken} WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def _answered(rows: str) -> str:
    """Return the MERGE of receipts, of each posting the newest."""
    columns = ", ".join(_OF_RECEIPT)
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_RECEIPT)
    newest = _newest(f"SELECT * FROM ({rows}) WHERE status IN {_SETTLED}", "posting_id", "stream_offset")  # noqa: S608
    return (
        f"MERGE INTO open_posting AS old USING (SELECT posting_id, false AS placed, {columns} FROM ({newest})) AS new "  # noqa: S608
        "ON old.posting_id = new.posting_id WHEN MATCHED AND old.placed AND new.status = 'accepted' THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET {taken} WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def waited(newest: str) -> str:
    """Return the INSERT of the cases that wait, of the newest word on each."""
    columns = ", ".join(_OF_CASE)
    return (
        f"INSERT INTO waiting BY NAME SELECT {columns}, coalesce(causes[1], cause) AS first_cause "  # noqa: S608
        f"FROM ({newest}) WHERE state = 'waiting'"
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
    newest = (
        f"SELECT {columns} FROM ({rows}) WHERE type IN ('hold', 'release') AND lot <> '' "  # noqa: S608
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {order.format(of='')} DESC) = 1"
    )
    same = " AND ".join(f"old.{key} = new.{key}" for key in keys)
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_WORD if name not in keys)
    return (
        f"MERGE INTO lot_word AS old USING ({newest}) AS new ON {same} "
        f"WHEN MATCHED AND {order.format(of='new.')} > {order.format(of='old.')} THEN UPDATE SET {taken} "
        "WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def _newest(rows: str, keys: str, place: str) -> str:
    return f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {place} DESC) = 1"  # noqa: S608


def brought_up() -> list[str]:
    """Return what makes these tables of the rows there are."""
    told = "SELECT * FROM {}"
    return [
        opened(told.format("posting")),
        _answered(told.format("receipt")),
        waited(told.format("unposted")),
        _gone_on(told.format("posting")),
        _worded(told.format("event")),
    ]
