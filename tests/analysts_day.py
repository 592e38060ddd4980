"""A morning of a small plant as a published store: what docs/analysts.md shows the answers of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
from pydantic import BaseModel

from canonical.contracts import (
    BusinessException,
    Confirmation,
    Event,
    OrderReference,
    PeriodReference,
    Posting,
    Receipt,
    RouteReference,
    StateMark,
    Unposted,
)
from canonical.mapping import load
from canonical.plants import shipped
from canonical.schemas import arrow_schema
from sinks.analytics.intervals import calendars
from sinks.analytics.store import Store, StoreConfig

MINUTE_US = 60_000_000
SIX_US = int(datetime(2026, 10, 30, 5, tzinfo=UTC).timestamp()) * 1_000_000
"""Six o'clock in the plant, when the early shift starts."""
DAY = "2026-10-30"


def confirmation(number: int, minute: int, **fields: Any) -> dict[str, Any]:
    at_us = SIX_US + minute * MINUTE_US
    return {
        "posting_id": UUID(int=number), "plant": "A", "source": "press-1", "first_seq": 100 * number,
        "last_seq": 100 * number + 99, "shift": "early", "posting_date": DAY, "events": 100, "close_reason": "count",
        "first_occurred_us": at_us - 50 * MINUTE_US, "last_occurred_us": at_us, "first_offset": 0, "last_offset": 0,
        **fields,
    }  # fmt: skip


HOUSINGS = {"order": "WO-7", "operation": "0010", "work_center": "PRESS", "material": "HOUSING", "lot": "H-3"}
PUMPS = {"order": "WO-9", "operation": "0020", "work_center": "ASSEMBLY", "material": "PUMP", "lot": "P-1"}
CONFIRMATIONS = [
    confirmation(1, 60, **HOUSINGS, good=90_000, scrap=10_000, reason="CRACK"),
    confirmation(2, 120, **HOUSINGS, good=95_000, scrap=4_000, reason="BURR", final=True),
    confirmation(3, 180, **PUMPS, source="cell-2", good=40_000, scrap=1_000, reason="LEAK"),
    confirmation(4, 500, **PUMPS, source="cell-2", good=15_000, shift="late"),
]


def used(order: str, material: str, lot: str, quantity: int, unit: str) -> dict[str, Any]:
    return {
        "plant": "A", "source": "scanner", "seq": quantity, "type": "consume", "occurred_us": SIX_US, "order": order,
        "operation": "0010", "work_center": "PRESS", "material": material, "lot": lot, "quantity": quantity,
        "unit": unit,
    }  # fmt: skip


EVENTS = [used("WO-7", "STEEL", "S-44", 250_000, "KGM"), used("WO-9", "HOUSING", "H-3", 56_000, "H87")]
COMMON = {"erp": "s4", "plant": "A", "lane": "standard"}


def posting(number: int, **fields: Any) -> dict[str, Any]:
    made = CONFIRMATIONS[number - 1]
    same = {name: made[name] for name in ("order", "operation", "work_center", "material", "lot", "good", "shift")}
    return {
        **COMMON, **same, "posting_id": UUID(int=100 + number), "kind": "confirmation", "erp_plant": "1010",
        "number": number, "posting_date": DAY, "document_date": DAY, "start_us": made["first_occurred_us"],
        "end_us": made["last_occurred_us"], "scrap": made.get("scrap", 0), "causes": [str(UUID(int=number))], **fields,
    }  # fmt: skip


def receipt(number: int, took_s: int, **fields: Any) -> dict[str, Any]:
    made = CONFIRMATIONS[number - 1]
    at_us = made["last_occurred_us"]
    sent_us = at_us + 2_000_000
    return {
        **COMMON, "posting_id": UUID(int=100 + number), "status": "accepted", "kind": "confirmation",
        "order": made["order"], "document": f"10004{number}/1", "attempts": 1, "occurred_us": at_us,
        "enqueued_us": at_us + 1_000_000, "first_sent_us": sent_us, "sent_us": sent_us,
        "answered_us": sent_us + took_s * 1_000_000, **fields,
    }  # fmt: skip


def order(name: str, material: str, planned: int, status: str = "released") -> dict[str, Any]:
    operation = {"WO-7": "0010"}.get(name, "0020")
    return {
        "changed_us": SIX_US, "erp": "s4", "plant": "A", "order": name, "status": status, "material": material,
        "quantity": planned, "operations": [{"operation": operation, "run_us": 2 * MINUTE_US}],
    }  # fmt: skip


def mark(seq: int, minute: int, state: str, reason: str = "") -> dict[str, Any]:
    return {
        "plant": "A", "source": "press-1", "seq": seq, "occurred_us": SIX_US + minute * MINUTE_US, "type": "state",
        "state": state, "reason": reason, "order": "WO-7", "operation": "0010", "work_center": "PRESS",
    }  # fmt: skip


MARKS = [
    mark(1, 0, "setup", "TOOL"),
    mark(2, 20, "production"),
    mark(3, 80, "down", "HYDRAULICS"),
    mark(4, 95, "production"),
    mark(5, 125, "idle"),
    mark(6, 130, "production"),
    mark(7, 240, "delay", "BREAK"),  # which is planned then, so it is no loss
    mark(8, 270, "production"),
    mark(9, 470, "idle"),
    mark(10, 480, "production"),
]
WRONG = {
    "exception_id": UUID(int=900), "code": "ORDER_NOT_RELEASED", "owner": "plant-supervisor", "severity": "line-stop",
    "plant": "A", "order": "WO-9", "message": "order WO-9 is not released in s4", "waiting": 1,
    "opened_us": SIX_US + 501 * MINUTE_US, "changed_us": SIX_US + 501 * MINUTE_US,
}  # fmt: skip
WAITING = {
    "cause": str(UUID(int=4)), "kind": "confirmation", "state": "waiting", "plant": "A", "order": "WO-9",
    "operation": "0020", "work_center": "ASSEMBLY", "material": "PUMP", "lot": "P-1", "good": 15_000,
    "causes": [str(UUID(int=4))], "at_us": SIX_US + 501 * MINUTE_US,
}  # fmt: skip
MOVE = {
    "cause": "move-17", "kind": "stock-transfer", "state": "waiting", "plant": "A", "material": "PUMP", "lot": "P-1",
    "good": 0, "causes": ["move-17"], "at_us": SIX_US + 510 * MINUTE_US,
}  # fmt: skip
PERIOD = {"changed_us": SIX_US, "erp": "s4", "first": "2026-10-01", "last": "2026-10-31", "open": True}
TABLES: dict[str, tuple[type[BaseModel], Sequence[dict[str, Any]]]] = {
    "order_reference": (
        OrderReference,
        [order("WO-7", "HOUSING", 200_000), order("WO-9", "PUMP", 100_000), order("WO-11", "PUMP", 50_000, "created")],
    ),
    "route_reference": (RouteReference, [{"changed_us": SIX_US, "plant": "A", "erp": "s4", "erp_plant": "1010"}]),
    "period_reference": (PeriodReference, [PERIOD]),
    "confirmation": (Confirmation, CONFIRMATIONS),
    "event": (Event, EVENTS),
    "state_mark": (StateMark, MARKS),
    "posting": (Posting, [posting(1), posting(2), posting(3)]),
    "receipt": (Receipt, [receipt(1, 3), receipt(2, 40)]),
    "unposted": (Unposted, [WAITING, MOVE]),
    "business_exception": (BusinessException, [WRONG]),
}


def analysts_day(folder: Path) -> Path:
    """Write the store, publish it, and return the snapshot."""
    config = StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb")
    store = Store(config, calendars=calendars([load(shipped()[0])]))
    for name, (model, rows) in TABLES.items():
        store.restore(name)
        plain = [json.loads(model.model_validate(row).model_dump_json()) for row in rows]
        table = pa.Table.from_pylist(_dated(plain, model), arrow_schema(model))
        if name == "posting":
            for column in ("known_us", "enqueued_us"):
                table = table.append_column(column, pa.array([row["end_us"] + 1_000_000 for row in plain], pa.int64()))
        offsets = pa.array(range(len(rows)), pa.int64())
        store.commit(name, "0", {name: table.append_column("stream_offset", offsets)})
    store.close()
    return folder / "analytics.duckdb"


def _dated(rows: list[dict[str, Any]], model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return rows as JSON has them, with dates as Arrow wants them."""
    dates = [field.name for field in arrow_schema(model) if pa.types.is_date(field.type)]
    return [
        {**row, **{name: datetime.fromisoformat(row[name]).date() for name in dates if row[name] is not None}}
        for row in rows
    ]
