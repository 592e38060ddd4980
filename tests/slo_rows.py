"""Postings and receipts as rows of the store, for tests of objectives."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pyarrow as pa

from canonical.contracts import Posting, Receipt
from canonical.schemas import arrow_schema

POSTING: dict[str, Any] = {
    "kind": "confirmation", "erp": "s4", "lane": "standard", "plant": "A", "erp_plant": "1010", "order": "WO-1",
    "number": 0, "material": "M-1", "lot": "L-1", "posting_date": "2026-10-20", "document_date": "2026-10-20",
    "good": 1_000, "start_us": 0,
}  # fmt: skip
RECEIPT: dict[str, Any] = {
    "status": "accepted", "kind": "confirmation", "erp": "s4", "lane": "standard", "plant": "A", "order": "WO-1",
    "attempts": 1,
}  # fmt: skip


def posting(number: int, end_us: int, **fields: Any) -> dict[str, Any]:
    """Return a posting whose last event happened at ``end_us``."""
    return Posting.model_validate({**POSTING, "posting_id": UUID(int=number), "end_us": end_us, **fields}).model_dump()


def receipt(number: int, occurred_us: int, answered_us: int, **fields: Any) -> dict[str, Any]:
    """Return a receipt whose hops all began when the event happened, but for the answer."""
    hops = dict.fromkeys(("occurred_us", "enqueued_us", "first_sent_us", "sent_us"), occurred_us)
    told = {**RECEIPT, **hops, "posting_id": UUID(int=number), "answered_us": answered_us, **fields}
    return Receipt.model_validate(told).model_dump()


def postings_table(rows: list[dict[str, Any]], offsets: list[int], enqueued_us: list[int | None]) -> pa.Table:
    """Return rows as the analytics flow commits them."""
    told = {"known_us": [None] * len(rows), "enqueued_us": enqueued_us}
    table = _table(Posting, rows, offsets)
    for name, instants in told.items():
        table = table.append_column(name, pa.array(instants, pa.int64()))
    return table


def receipts_table(rows: list[dict[str, Any]], offsets: list[int]) -> pa.Table:
    """Return rows as the analytics flow commits them."""
    return _table(Receipt, rows, offsets)


def _table(model: type, rows: list[dict[str, Any]], offsets: list[int]) -> pa.Table:
    plain = [{**row, "posting_id": str(row["posting_id"])} for row in rows]
    return pa.Table.from_pylist(plain, arrow_schema(model)).append_column(
        "stream_offset", pa.array(offsets, pa.int64())
    )
