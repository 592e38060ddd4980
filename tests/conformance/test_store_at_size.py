"""Every view answers over many rows, most of them in files, and the sums agree (A18, M47).

The benchmark ``python -m benchmarks analytics`` fills a store in the same way, with 100 million.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.analytics import questions
from benchmarks.facts import Scale, fill
from sinks.analytics.published import open_published
from sinks.analytics.sealing import sealed_folder
from sinks.analytics.store import Store, StoreConfig

SCALE = Scale(300_000, work_centres=40, order_hours=12, chunk=60_000)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("size")
    config = StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb", hot_rows_max=100_000)
    store = Store(config, calendars=SCALE.calendars())
    fill(store, SCALE)
    store.close()
    assert len(list(sealed_folder(config.published).rglob("*.parquet"))) >= 5
    return config.published


def test_every_view_and_every_trace_answers(published: Path) -> None:
    asked = questions(published, SCALE)
    with open_published(published) as db:
        answers = {name: db.execute(sql).fetchall()[0] for name, sql in asked.items()}
    assert answers["output_by_hour"][0] == 40 * 125
    assert answers["posting_outcome"][0] == 300_000 // 50
    assert answers["posting_outcome, one order"][0] in (14, 15)
    assert answers["conservation"][0] == 40
    assert answers["trace_back, 8 levels"][1] == answers["trace_forward, 8 levels"][1] == 8
    assert answers["confirmation, one order"][0] == 12 * 60


def test_the_sums_are_those_of_all_rows(published: Path) -> None:
    sums = "count(*) AS confirmations, sum(good), sum(scrap), sum(energy_mwh)"
    with open_published(published) as db:
        (rows,) = db.execute(f"SELECT {sums} FROM confirmation").fetchall()
        (kept,) = db.execute(f"SELECT {sums.replace('count(*)', 'sum(confirmations)')} FROM production").fetchall()
        assert rows == kept
        assert rows[0] == 300_000
        ((hot,),) = db.execute("SELECT count(*) FROM store_hot_confirmation").fetchall()
        assert hot <= 100_000
        ((pending,),) = db.execute("SELECT count(*) FROM posting_outcome WHERE status <> 'accepted'").fetchall()
        assert pending == 0


def test_a_machine_is_down_five_minutes_of_each_hour(published: Path) -> None:
    with open_published(published) as db:
        ((adot, apt),) = db.execute("SELECT sum(adot), sum(apt) FROM times_by_day").fetchall()
        assert adot == 125 * 40 * 300
        assert adot < apt < 125 * 40 * 3300
        ((without,),) = db.execute("SELECT count(*) FROM quality_by_day WHERE NOT all_planned").fetchall()
        assert without == 0
