"""Hops of postings are summed by the hour, whatever the order and cuts of postings and receipts (M37, M38)."""

from __future__ import annotations

from itertools import count
from math import ceil
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import Receipt
from canonical.posting_wire import encode_posting
from canonical.records import RawRecords
from canonical.schemas import arrow_schema
from dataflows.posting_rows import posting_rows
from sinks.analytics.latency import LATENCY, filled
from sinks.analytics.rollups import HOUR_US, fill
from sinks.analytics.store import Store, StoreConfig
from tests.postings_world import Posting

NOON_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US
SHARDS = (f"shard-{number}" for number in count())

steps = st.lists(st.sampled_from([0, 1, 3, 999, 60_000_000, HOUR_US, -5]), min_size=6, max_size=6)
chains = st.lists(st.tuples(steps, st.sampled_from(["accepted", "rejected", "moved"]), st.booleans()), max_size=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latency")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


def instants(chain):
    """Return occurred, known, enqueued, first sent, sent, committed, answered."""
    at = [NOON_US]
    for step in chain:
        at.append(at[-1] + step)
    return at


def postings(plant, told):
    messages = []
    for number, (chain, _, _) in enumerate(told):
        occurred, known, enqueued, *_ = instants(chain)
        made = Posting(
            posting_id=UUID(int=number), kind="confirmation", erp="E", plant=plant, erp_plant="1000", order="1",
            number=number, posting_date="2026-09-21", document_date="2026-09-21", start_us=0, end_us=occurred,
        )  # fmt: skip
        messages.append(encode_posting(made, made.model_dump_json().encode(), enqueued, known))
    offsets = pa.array(range(len(told)), pa.int64()).to_numpy()
    return posting_rows(RawRecords.from_values([m[1] for m in messages], offsets, headers=[m[2] for m in messages]))


def receipts(plant, told):
    rows = []
    for number, (chain, status, timed) in enumerate(told):
        occurred, _, enqueued, first, sent, committed, answered = instants(chain)
        rows.append(
            Receipt(
                posting_id=UUID(int=number),
                status=status,
                kind="confirmation",
                erp="E",
                lane="standard",
                plant=plant,
                attempts=1,
                occurred_us=occurred,
                enqueued_us=enqueued,
                first_sent_us=first,
                sent_us=sent,
                committed_us=committed if timed else None,
                answered_us=answered,
            )
        )
    values = [{**row.model_dump(), "posting_id": str(row.posting_id)} for row in rows]
    table = pa.Table.from_pylist(values, arrow_schema(Receipt))
    return table.append_column("stream_offset", pa.array(range(len(rows)), pa.int64()))


def expected(told):
    """The naive twin: each duration by hop and hour."""
    found: dict = {}
    for chain, status, timed in told:
        occurred, known, enqueued, first, sent, committed, answered = instants(chain)
        hops = {"gather": (occurred, known), "decide": (known, enqueued)}
        if status != "moved":
            hops |= {"queue": (enqueued, first), "retry": (first, sent), "whole": (occurred, answered)}
            hops |= {"erp": (sent, committed), "answer": (committed, answered)} if timed else {"erp": (sent, answered)}
        for hop, (since, until) in hops.items():
            found.setdefault((until // HOUR_US * HOUR_US, hop), []).append(max(until - since, 0))
    return {key: sorted(durations) for key, durations in found.items()}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chains, st.data())
def test_hops_are_those_of_each_posting_and_receipt(store, told, data):
    plant = next(SHARDS)
    store.restore(plant)
    tables = {"posting": postings(plant, told), "receipt": receipts(plant, told)}
    places = dict.fromkeys(tables, 0)
    while any(places[name] < len(told) for name in tables):
        name = data.draw(st.sampled_from([name for name in tables if places[name] < len(told)]))
        end = data.draw(st.integers(places[name] + 1, len(told)))
        for _ in range(data.draw(st.integers(1, 2))):
            store.commit(plant, f"{name} {end}", {name: tables[name].slice(places[name], end - places[name])})
        places[name] = end
    agree(store._db, plant, expected(told))
    stored = store._db.execute("FROM hop_hour ORDER BY ALL").fetchall()
    store._db.execute("BEGIN; DELETE FROM latency; DELETE FROM hop_hour")
    for statement in (*map(fill, LATENCY), filled()):
        store._db.execute(statement)
    again = store._db.execute("FROM hop_hour ORDER BY ALL").fetchall()
    store._db.execute("ROLLBACK")
    assert again == stored, "as an older store is brought up to date"


def agree(db, plant, durations):
    rows = db.execute(
        "SELECT hour_us, hop, postings, total_us, longest_us, p50_us, p95_us, p99_us FROM hop_hour WHERE plant = ?",
        [plant],
    ).fetchall()
    assert {row[:2]: row[2:5] for row in rows} == {
        key: (len(each), sum(each), each[-1]) for key, each in durations.items()
    }
    for *key, _, _, _, p50, p95, p99 in rows:
        each = durations[tuple(key)]
        for value, part in ((p50, 50), (p95, 95), (p99, 99)):
            exact = each[ceil(len(each) * part / 100) - 1]
            assert abs(value - exact) <= max(0.0912 * exact, 1), (key, part)
