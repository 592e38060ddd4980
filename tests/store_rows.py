"""Rows for tests of the analytics store: contracts as the tables that are committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pyarrow as pa
from pydantic import BaseModel

from canonical.contracts import Confirmation
from canonical.schemas import arrow_schema
from sinks.analytics.store import Store, StoreConfig

NOON_US = 1_790_000_000_000_000


def table(rows: Sequence[BaseModel], offsets: list[int]) -> pa.Table:
    schema = arrow_schema(type(rows[0]))
    values = [{k: str(v) if isinstance(v, UUID) else v for k, v in row.model_dump().items()} for row in rows]
    for value in values:
        value.pop("schema_version", None)
    return pa.Table.from_pylist(values, schema).append_column("stream_offset", pa.array(offsets, pa.int64()))


def confirmation(number: int, **fields: Any) -> Confirmation:
    return Confirmation.model_validate(
        {
            "posting_id": UUID(int=number),
            "plant": "A",
            "source": "press-1",
            "first_seq": number,
            "last_seq": number,
            "posting_date": "2026-09-21",
            "events": 1,
            "first_occurred_us": NOON_US,
            "last_occurred_us": NOON_US,
            "first_offset": number,
            "last_offset": number,
            "close_reason": "count",
            **fields,
        }
    )


def confirmations(first: int, last: int) -> pa.Table:
    return table([confirmation(i, good=i) for i in range(first, last + 1)], list(range(first, last + 1)))


def with_rows(config: StoreConfig, rows: pa.Table) -> None:
    store = Store(config)
    store.restore("a")
    store.commit("a", "p1", {"confirmation": rows})
    store.close()
