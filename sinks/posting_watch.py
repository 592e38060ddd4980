"""Postings on their way: what waits for its ERP, and what was settled within the last hour.

Law: whatever the order in which postings and receipts are stored, a posting is open in ``posting_watch`` if and only if
it is stored and no receipt says that it was accepted or withdrawn. One that the ERP rejected is open: a person has it
sent again or withdrawn.

A receipt may be stored before its posting, for each stream is read at its own pace; its row then waits for the posting.
"""

from __future__ import annotations

from typing import Final

from sinks.store_schema import Table, new_rows

KEPT_US: Final = 3_600_000_000
"""What was settled is kept so long, to name what a breach concerned."""

_POSTINGS: Final = """
MERGE INTO posting_watch AS old USING (
    SELECT posting_id, erp, plant, kind, lane, order_id, unit, posting_date, final, end_us AS occurred_us, enqueued_us,
        good + scrap + rework AS quantity, true AS arrived,
        list_distinct(list_filter([material] || list_transform(movements, lambda m: m.material), lambda t: t <> ''))
            AS materials,
        list_distinct(list_filter([lot] || list_transform(movements, lambda m: m.lot), lambda t: t <> '')) AS lots
    FROM ({rows})
) AS new ON old.posting_id = new.posting_id
WHEN MATCHED THEN UPDATE SET unit = new.unit, posting_date = new.posting_date, final = new.final,
    quantity = new.quantity, arrived = true, materials = new.materials, lots = new.lots
WHEN NOT MATCHED THEN INSERT BY NAME
"""
_RECEIPTS: Final = """
MERGE INTO posting_watch AS old USING (
    SELECT posting_id, erp, plant, kind, lane, order_id, occurred_us, enqueued_us, first_sent_us,
        coalesce(committed_us, answered_us) AS committed_us, answered_us AS settled_us, status, false AS arrived
    FROM ({rows}) WHERE status IN ('accepted', 'withdrawn')
    QUALIFY row_number() OVER (PARTITION BY posting_id ORDER BY stream_offset) = 1
) AS new ON old.posting_id = new.posting_id
WHEN MATCHED AND old.settled_us IS NULL THEN UPDATE SET occurred_us = new.occurred_us, enqueued_us = new.enqueued_us,
    first_sent_us = new.first_sent_us, committed_us = new.committed_us, settled_us = new.settled_us, status = new.status
WHEN NOT MATCHED THEN INSERT BY NAME
"""
_OF: Final = {"posting": _POSTINGS, "receipt": _RECEIPTS}


def watching(table: Table, incoming: str) -> list[str]:
    """Return what follows the rows of ``incoming`` that were stored from above ``$above`` as rows of ``$shard``."""
    return [_OF[table.name].format(rows=new_rows(table, incoming))] if table.name in _OF else []


FORGET: Final = f"DELETE FROM posting_watch WHERE arrived AND settled_us < $as_of - {KEPT_US}"  # noqa: S608 - a constant
"""Forgets what was settled long ago, as seen from ``$as_of``."""
