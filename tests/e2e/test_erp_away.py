"""An ERP that is away for hours, over a month's end: the other goes on, all is posted to its day (M41, M42).

Its absence is an alert that names what waits, begins and ends once, and is none of the other's (M39, M40).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from canonical.contracts import ExceptionCode
from canonical.posting_wire import decode_exceptions, decode_postings
from canonical.receipt_wire import decode_receipts
from sinks.analytics.published import query
from sinks.analytics.store import Store, StoreConfig
from sinks.slo.alert import evaluate
from sinks.slo.objective import Objective
from tests.erp_day.day import NATURAL, Day, plants

DECODE = {"posting": decode_postings, "receipt": decode_receipts, "business_exception": decode_exceptions}


@pytest.mark.timeout(600)
def test_one_erp_is_away_for_hours_over_the_end_of_a_month(tmp_path: Path) -> None:
    start = datetime(2026, 10, 31, 12, tzinfo=UTC)
    day = Day(tmp_path, plants(start, 5), speed=1200, away={"s5": (8.0, 14.0)})
    outcome = day.run()
    assert outcome.differences() == []
    assert outcome.unsettled() <= NATURAL
    assert outcome.answered("s5", day, (8.2, 14.0)) == 0, "nobody was there"
    assert outcome.answered("s4", day, (8.0, 14.0)) > 15, "the other one was not disturbed"
    told = [row for row in outcome.streams["exceptions"] if row["code"] == ExceptionCode.ERP_UNAVAILABLE]
    assert {row["erp"] for row in told} == {"s5"}
    assert len({row["exception_id"] for row in told}) == 1
    alerts = _alerts(tmp_path, outcome.streams, start)
    assert [alert["erp"] for alert in alerts] == ["s5"]
    (alert,) = alerts
    hour = timedelta(hours=1)
    assert start + 8 * hour < alert["begun"] < start + 13 * hour
    assert start + 14 * hour < alert["ended"] < start + 20 * hour
    assert alert["orders"]
    assert alert["materials"]
    assert alert["financial"], "the month ends"
    assert "integration-support" in alert["owners"], "an ERP that is away is nothing that a plant can settle"
    assert "ERP_UNAVAILABLE" in alert["codes"]


def _alerts(folder: Path, streams: Mapping[str, list[dict[str, Any]]], start: datetime) -> list[dict[str, Any]]:
    """Return the pages of the day, as a store says that is told each half hour what has come by then."""
    objective = Objective(name="delivery", hop="enqueued-committed", within_s=7_200, budget_ppm=50_000)
    enqueued_us = {row["posting_id"]: row["enqueued_us"] for row in streams["receipts"]}
    postings = [row for erp in ("s4", "s5") for row in streams[f"postings-{erp}"]]
    due = {
        "posting": [(enqueued_us.get(row["posting_id"], row["end_us"]), row) for row in postings],
        "receipt": [(row["answered_us"], row) for row in streams["receipts"]],
        "business_exception": [(row["changed_us"], row) for row in streams["exceptions"]],
    }
    store = Store(StoreConfig(path=folder / "judged.duckdb", published=folder / "judged-public.duckdb"))
    for name, waiting in due.items():
        store.restore(name)
        waiting.sort(key=itemgetter(0))
    for half_hours in range(1, 80):
        now_us = int((start + timedelta(minutes=30 * half_hours)).timestamp()) * 1_000_000
        for name, waiting in due.items():
            ready = [pair for pair in waiting if pair[0] <= now_us]
            del waiting[: len(ready)]
            if ready:
                instants, rows = zip(*ready, strict=True)
                table = DECODE[name]([json.dumps(row).encode() for row in rows])
                if name == "posting":
                    for column in ("known_us", "enqueued_us"):
                        table = table.append_column(column, pa.array(instants, pa.int64()))
                offsets = pa.array([now_us] * len(rows), pa.int64())
                store.commit(name, str(now_us), {name: table.append_column("stream_offset", offsets)})
        store.transact("evaluation", partial(evaluate, objectives=[objective], as_of_us=now_us))
    store.close()
    found = query(folder / "judged-public.duckdb", "FROM slo_breach WHERE urgency = 'page' ORDER BY begun").rows
    return [
        {**row, "begun": row["begun"].replace(tzinfo=UTC), "ended": row["ended"] and row["ended"].replace(tzinfo=UTC)}
        for row in found.to_pylist()
    ]
