"""Sums by the hour equal those over the rows, however these are cut, repeated or replaced (A18, M47)."""

from __future__ import annotations

from collections import Counter
from itertools import count
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import Confirmation
from canonical.schemas import arrow_schema
from sinks.analytics.latency import filled
from sinks.analytics.rollups import HOUR_US, ROLLUPS, fill
from sinks.analytics.store import Store, StoreConfig
from sinks.analytics.store_schema import migrations
from sinks.analytics.store_tables import SUMMED

NOON_US = 1_790_000_000_000_000
PRODUCTION = next(rollup for rollup in ROLLUPS if rollup.name == "production")
SHARDS = (f"shard-{number}" for number in count())
SUMS = ("good", "scrap", "machine_us", "confirmations", "scrappings", "finals")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rollups")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


made = st.fixed_dictionaries(
    {
        "work_center": st.sampled_from(["PRESS", "SAW"]),
        "good": st.sampled_from([0, 1, 10**15]),
        "scrap": st.integers(0, 2),
        "machine_us": st.sampled_from([-5, 0, 2**63 - 1]),
        "final": st.booleans(),
        "last_occurred_us": st.sampled_from([NOON_US, NOON_US + 1, NOON_US + HOUR_US, NOON_US - 500 * HOUR_US]),
    }
)


def rows(shard: str, made: list[dict], offsets: list[int]) -> pa.Table:
    values = [
        {
            "posting_id": str(UUID(int=number)), "kind": "confirmation", "plant": shard, "source": "s", "session": "",
            "first_seq": value["number"], "last_seq": value["number"], "order": "4711", "operation": "0010",
            "material": "M", "lot": "", "reason": "", "unit": "H87", "shift": "", "posting_date": "2026-09-21",
            "rework": 0, "setup_us": 0, "labour_us": 0, "energy_mwh": 0, "events": 1, "first_occurred_us": NOON_US,
            "first_offset": 0, "last_offset": 0, "close_reason": "count", **value,
        }
        for number, value in enumerate(made)
    ]  # fmt: skip
    for value in values:
        del value["number"]
        value["posting_date"] = Confirmation.model_validate(value).posting_date
    table = pa.Table.from_pylist(values, arrow_schema(Confirmation))
    return table.append_column("stream_offset", pa.array(offsets, pa.int64()))


def expected(told: list[dict]) -> Counter:
    """The naive twin: one row at a time; a higher revision takes the place of a lower one."""
    newest = {}
    for value in told:
        newest[value["number"]] = value
    sums: Counter = Counter()
    for value in newest.values():
        key = (value["last_occurred_us"] // HOUR_US * HOUR_US, value["work_center"])
        parts = {**value, "confirmations": 1, "scrappings": value["scrap"] > 0, "finals": value["final"]}
        for name in SUMS:
            sums[*key, name] += int(parts[name])
    return sums


def stored(db: duckdb.DuckDBPyConnection, plant: str) -> dict:
    columns = ", ".join(SUMS)
    found = db.execute(f"SELECT hour_us, work_center, {columns} FROM production WHERE plant = ?", [plant]).fetchall()
    assert len({row[:2] for row in found}) == len(found), "one row for each key"
    return {(*row[:2], name): value for row in found for name, value in zip(SUMS, row[2:], strict=True)}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(made, min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_production_is_the_sum_of_the_confirmations_that_count(store, commits, data):
    shard = next(SHARDS)
    store.restore(shard)
    told: list[dict] = []
    for number, commit in enumerate(commits):
        batch: list[dict] = []
        for value in commit:
            seen = Counter(earlier["number"] for earlier in told + batch)
            corrected = data.draw(st.sampled_from([None, *sorted(seen)])) if seen else None
            which = len(seen) if corrected is None else corrected
            batch.append({**value, "number": which, "revision": seen[which]})
        table = rows(shard, batch, list(range(len(told), len(told) + len(batch))))
        for _ in range(data.draw(st.integers(1, 2))):
            store.commit(shard, str(number), {"confirmation": table})
        told += batch
        assert stored(store._db, shard) == expected(told)
    store._db.execute("BEGIN; DELETE FROM production")
    store._db.execute(fill(PRODUCTION))
    filled = stored(store._db, shard)
    store._db.execute("ROLLBACK")
    assert filled == expected(told), "as an older store is brought up to date"


def test_what_an_older_store_holds_is_summed():
    """The migration's own statements, which never change, fill what the definitions of today would."""
    told = "\n".join(migrations())
    for rollup in SUMMED:
        assert f"{fill(rollup)};" in told
    assert f"{filled()};" in told
