"""Postings without an accepted document: what the ERPs have not taken, kept small beside tables that only grow.

Law, at every commit, whatever the order in which postings and receipts were read: ``open_posting`` has each posting
without a receipt that says ``accepted``, and what its newest receipt says; receipts that were read before their posting
wait there for it, with ``placed`` false. One that was rejected waits for a person, who has it sent again or withdrawn.

Source: M19, M37-M39, A14; docs/decisions/0020.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sinks.analytics.booking import SIGNED
from sinks.analytics.statements import new_rows, newest
from sinks.analytics.stream_tables import alike
from sinks.analytics.table import Column, Table, nullable

_OF_POSTING: Final = (
    *("kind", "erp", "plant", "order_id", "lane", "operation", "work_center", "material", "lot", "unit"),
    *("posting_date", "good", "scrap", "rework", "end_us", "known_us", "enqueued_us"),
)
_OF_RECEIPT: Final = ("status", "code", "message", "attempts", "first_sent_us", "sent_us", "answered_us")
_SIGNED: Final = {name: SIGNED.format(name) for name in ("good", "scrap", "rework")}
_READ: Final = ("posting_id", *_OF_POSTING, "movements")
"""What is read of a posting."""

OPEN_POSTING: Final = Table(
    "open_posting",
    "Postings without an accepted document, with what the ERP said of them last.",
    (
        *alike("posting", "posting_id"),
        Column("placed", "placed", "BOOLEAN", nullable=False, comment="Whether the posting itself has been read."),
        *nullable(alike("posting", *_OF_POSTING)),  # quantities as in table booking
        *nullable(alike("receipt", *_OF_RECEIPT)),
    ),
)

EARLY: Final = "SELECT 1 FROM open_posting WHERE NOT placed LIMIT 1"
"""Whether a receipt waits for its posting."""
_NEWEST: Final = ("posting_id", "stream_offset")
_SETTLED: Final = "('accepted', 'rejected', 'withdrawn')"
"""What a receipt may say of the posting itself; all else is said of movements that follow."""

# Names in the statements below are constants of this module; values are parameters.


def opened(table: Table, incoming: str, told: pa.Table, *, early: bool) -> str:
    """Return what opens the new postings of ``incoming``, which is ``told``; ``early`` as the query ``EARLY`` found.

    Nearly always no receipt was read before, and each posting is told once: then an INSERT is enough.
    """
    rows = new_rows(table, incoming, *_READ)
    if early or _repeated(told):
        return answered_before(rows)
    return f"INSERT INTO open_posting BY NAME FROM ({_told(rows)}) ANTI JOIN open_posting USING (posting_id)"


def _repeated(told: pa.Table) -> bool:
    """Return whether several rows may be of one posting."""
    return bool(pc.count_distinct(told["posting_id"]).as_py() < len(told))


def answered_before(rows: str) -> str:
    """Return the MERGE of postings: those that were answered before they were read are settled at once."""
    each = "QUALIFY row_number() OVER (PARTITION BY posting_id) = 1"
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_POSTING)
    return (
        f"MERGE INTO open_posting AS old USING ({_told(rows)} {each}) AS new ON old.posting_id = new.posting_id "
        "WHEN MATCHED AND old.status = 'accepted' THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET placed = true, {taken} WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def _told(rows: str) -> str:
    columns = ", ".join(f"{_SIGNED[name]} AS {name}" if name in _SIGNED else name for name in _OF_POSTING)
    return f"SELECT posting_id, true AS placed, {columns} FROM ({rows})"  # noqa: S608


def answered(table: Table, incoming: str, told: pa.Table) -> str:
    """Return what the new receipts of ``incoming``, which is ``told``, change."""
    rows = _of_postings(new_rows(table, incoming, "posting_id", *_OF_RECEIPT, "stream_offset"))
    return _settled(newest(rows, *_NEWEST) if _repeated(told) else rows)


def answered_so_far(rows: str) -> str:
    """Return the MERGE of receipts, of each posting the newest."""
    return _settled(newest(_of_postings(rows), *_NEWEST))


def _of_postings(rows: str) -> str:
    return f"SELECT * FROM ({rows}) WHERE status IN {_SETTLED}"  # noqa: S608


def _settled(rows: str) -> str:
    """Return the MERGE of one receipt of each posting."""
    columns = ", ".join(_OF_RECEIPT)
    taken = ", ".join(f"{name} = new.{name}" for name in _OF_RECEIPT)
    return (
        f"MERGE INTO open_posting AS old USING (SELECT posting_id, false AS placed, {columns} FROM ({rows})) AS new "  # noqa: S608
        "ON old.posting_id = new.posting_id WHEN MATCHED AND old.placed AND new.status = 'accepted' THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET {taken} WHEN NOT MATCHED THEN INSERT BY NAME"
    )
