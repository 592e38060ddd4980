"""docs/store.md says what the store has, and its examples run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from canonical.contracts import Confirmation, LedgerEntry
from canonical.schemas import arrow_schema
from sinks.analytics.published import query
from sinks.analytics.store import Store, StoreConfig
from sinks.commit_log import Record
from sinks.sqlite import SqliteLog

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text("utf-8")
POSTING_ID = "5f0b9c3e-8d5e-5c1a-9a51-0a4c1f1f3c11"
CONFIRMATION = Confirmation.model_validate(
    {
        "posting_id": POSTING_ID, "plant": "A", "source": "press-1", "first_seq": 0, "last_seq": 9, "order": "WO-1",
        "good": 9_500, "scrap": 500, "posting_date": "2026-09-21", "events": 10, "first_occurred_us": 0,
        "last_occurred_us": 86_400_000_000, "first_offset": 0, "last_offset": 900, "close_reason": "count",
    }
)  # fmt: skip
LEDGER = [
    LedgerEntry(shard="a", plant="A", source="press-1", read=10, released=10, accounted=10),
    LedgerEntry(shard="a", plant="A", source="press-2", read=10, released=9, held=1, accounted=9),
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("store")
    store = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    store.restore("a")
    rows = [{**CONFIRMATION.model_dump(), "posting_id": POSTING_ID}]
    tables = {
        "confirmation": pa.Table.from_pylist(rows, arrow_schema(Confirmation)),
        "ledger": pa.Table.from_pylist([entry.model_dump() for entry in LEDGER], arrow_schema(LedgerEntry)),
    }
    for name, table in tables.items():
        tables[name] = table.append_column("stream_offset", pa.array([1] * len(table), pa.int64()))
    store.commit("a", "1", tables)
    store.close()
    return folder / "analytics.duckdb"


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_table_and_view_is_listed_with_its_description(published: Path) -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    described = query(
        published,
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
        " UNION ALL SELECT table_name, comment FROM duckdb_tables() WHERE NOT starts_with(table_name, 'store_')",
    )
    assert listed == {tuple(row.values()) for row in described.rows.to_pylist()}


def test_the_three_questions_have_answers(published: Path) -> None:
    days, unbalanced, origins = [query(published, sql).rows.to_pylist() for sql in examples("sql")]
    assert [(str(r["day"]), str(r["good"]), str(r["scrap"])) for r in days] == [
        ("1970-01-02 00:00:00", "9.500", "0.500")
    ]
    assert [(r["source"], r["held"], r["balanced"]) for r in unbalanced] == [("press-2", 1, True)]
    assert [(r["posting_id"], r["last_offset"], str(r["good"])) for r in origins] == [(POSTING_ID, 900, "9.500")]


def test_the_python_examples_run(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "analytics.duckdb").write_bytes(published.read_bytes())
    log = SqliteLog(tmp_path / "commit.sqlite")
    log.restore("a")
    log.commit("a", "p1", {}, [Record("confirmations", b"press-1", CONFIRMATION.model_dump_json().encode())])
    log.close()
    ask, queue = examples("python")
    exec(ask, {})
    assert "A" in capsys.readouterr().out
    exec(queue, {})
    assert capsys.readouterr().out == f"1 {POSTING_ID} WO-1 9500\n"


def test_inline_queries_run(published: Path) -> None:
    for sql in re.findall(r"`(SELECT [^`]+)`", PAGE):
        assert len(query(published, sql).rows)
