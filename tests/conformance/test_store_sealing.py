"""Rows that moved into files answer as if they had not, and readers reach nothing but them (A18, M47)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import Event, Gap, TelemetryMinute
from sinks.analytics.published import QueryRefused, query
from sinks.analytics.sealing import DAY_US, KEPT_US, relation, sealed_files, sealed_folder
from sinks.analytics.store import Store, StoreConfig
from sinks.analytics.store_errors import StoreError
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import Column
from sinks.audit.ground import opened as audited
from tests.store_rows import NOON_US, confirmation, confirmations, table

FOLDERS = (f"store {number} [a*b]" for number in count())  # which are patterns to whom they are pasted into


def sealing(folder: Path, **changes) -> StoreConfig:
    """Twelve rows may be hot, which makes files of four."""
    return StoreConfig(path=folder / "s.duckdb", published=folder / "it's.duckdb", hot_rows_max=12, **changes)


def gaps(first: int, last: int, declared_us: int = NOON_US):
    numbers = range(first, last + 1)
    rows = [Gap(plant="A", source="s", first_seq=i, last_seq=i, declared_us=declared_us) for i in numbers]
    return table(rows, list(numbers))


def made(number: int, revision: int):
    """A confirmation of a source that tells its hours backwards, or a later revision of it."""
    at = NOON_US - number * 1_000_000_000
    return confirmation(number, revision=revision, good=number + 100 * revision, scrap=number % 3, last_occurred_us=at)


told = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=9)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(told, min_size=1, max_size=4))
def test_what_is_sealed_answers_as_what_is_not(tmp_path: Path, commits: list) -> None:
    """The law: rows, sums, what is skipped and what takes the place of what, with and without files."""
    folder = tmp_path / next(FOLDERS)
    with_files = replace(sealing(folder), hot_rows_max=20)
    plain = StoreConfig(path=folder / "plain.duckdb", published=folder / "plain-published.duckdb")
    stores = [Store(with_files), Store(plain)]
    offset, newest = 0, {}
    for store in stores:
        store.restore("a")
    for number, told in enumerate(commits):
        rows = []
        for seq, up in told:  # revisions of a range come in their order
            newest[seq] = newest.get(seq, -1) + 1 + up
            rows.append(made(seq, newest[seq]))
        offsets = list(range(offset + 1, offset + 1 + len(rows)))
        batch = {"confirmation": table(rows, offsets), "gap": gaps(offset + 1, offset + len(rows))} if rows else {}
        offset += len(rows)
        for store in stores:
            assert store.commit("a", f"p{number}", batch) == 2 * len(rows)
            assert store.commit("a", f"again{number}", batch) == 0
            store.seal()
    for store in stores:
        for _ in range(10):
            store.seal()
        store.close()
    for question in ("confirmation", "gap", "production", "output_by_hour", "scrap_by_reason"):
        answers = [query(config.published, f"FROM {question} ORDER BY ALL").rows for config in (with_files, plain)]
        assert answers[0].equals(answers[1]), question
    hot = "SELECT (SELECT count(*) FROM store_hot_confirmation) + (SELECT count(*) FROM store_hot_gap) AS n"
    assert query(with_files.published, hot).rows["n"][0].as_py() <= 20
    assert sealed_folder(with_files.published).exists() == (2 * offset > 20)
    Store(with_files).close()


@pytest.fixture
def with_files(tmp_path: Path) -> StoreConfig:
    """A store of 30 confirmations, of which some are in files, closed."""
    config = sealing(tmp_path / "here")
    store = Store(config)
    store.restore("a")
    for first in range(1, 30, 10):
        store.commit("a", str(first), {"confirmation": confirmations(first, first + 9)})
    store.publish_if_due(NOON_US)
    store.close()
    return config


def test_files_are_in_the_order_in_which_they_are_asked(tmp_path: Path) -> None:
    config = sealing(tmp_path)
    store = Store(config)
    store.restore("a")
    rows = [
        Event(plant="A", source=f"s{i % 3}", seq=i, type="move", occurred_us=NOON_US - i * DAY_US) for i in range(20)
    ]
    store.commit("a", "1", {"event": table(rows, list(range(20)))})
    store.publish_if_due(NOON_US)
    files = list(sealed_files(store._db, config.published))
    first = duckdb.read_parquet(str(files[0]).replace("[", "[[]")).project("source, seq").fetchall()
    assert first == [("s0", 18), ("s1", 19), ("s1", 16), ("s2", 17)], "the oldest rows, by source and instant"
    days = [duckdb.read_parquet(str(file)).aggregate("min(seq), max(seq)").fetchall()[0] for file in files]
    assert days == sorted(days, reverse=True)
    store.close()


def test_the_command_line_and_other_processes_read_files_from_anywhere(with_files: StoreConfig) -> None:
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]).fetchall())"
    count = "SELECT count(*), sum(good) FROM confirmation"
    python = subprocess.run(
        [sys.executable, "-c", code, str(with_files.published), count],
        check=True, capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    assert python.stdout == "[(30, 465)]\n"
    command = Path(sys.executable).with_name("duckdb")
    told = subprocess.run(
        [command, "-readonly", "-csv", "-noheader", with_files.published, count],
        check=True, capture_output=True, text=True, cwd="/", env={**os.environ, "HOME": "/nonexistent"},
    )  # fmt: skip
    assert told.stdout.strip() == "30,465"


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/more.parquet'",
        "COPY (PIVOT confirmation ON plant USING count(*)) TO '{folder}/more.parquet'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/more.parquet'",
        "EXPLAIN (FORMAT json) COPY (SELECT 1) TO '{folder}/more.parquet'",
        "SELECT 1; COPY (SELECT 1) TO '{folder}/more.parquet'",
        "PREPARE p AS COPY (SELECT 1) TO '{folder}/more.parquet'",
        "EXPORT DATABASE '{folder}'",
        "FROM read_parquet('{folder}/../other.parquet')",
        "FROM read_csv('/etc/hosts')",
    ],
)
def test_a_query_reads_files_and_writes_none(with_files: StoreConfig, sql: str) -> None:
    folder = sealed_folder(with_files.published)
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    (folder.parent / "other.parquet").write_bytes(next(file for file in folder.rglob("*.parquet")).read_bytes())
    with pytest.raises(QueryRefused):
        query(with_files.published, sql.format(folder=folder))
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


@pytest.mark.parametrize(
    "sql",
    ["PIVOT confirmation ON plant USING count(*)", "EXPLAIN ANALYZE FROM confirmation", "SUMMARIZE gap", "SHOW TABLES"],
)
def test_what_reads_is_answered(with_files: StoreConfig, sql: str) -> None:
    assert len(query(with_files.published, sql).rows)


def test_a_column_that_came_later_has_its_default_in_older_files(with_files: StoreConfig) -> None:
    store = Store(with_files)
    store._db.execute("ALTER TABLE store_hot_confirmation ADD COLUMN colour VARCHAR DEFAULT 'grey'")
    column = Column("colour", "colour", "VARCHAR", nullable=False, comment="")
    of = TABLES["confirmation"]
    rows = relation(store._db, replace(of, columns=(*of.columns, column)), with_files.published)
    assert store._db.execute(f"SELECT colour, count(*) FROM ({rows}) GROUP BY ALL").fetchall() == [("grey", 30)]
    store.close()


def test_files_are_dropped_by_age_and_stay_for_who_still_reads(tmp_path: Path) -> None:
    config = sealing(tmp_path, sealed_days_max=10)
    store = Store(config)
    store.restore("a")
    store.commit("a", "1", {"gap": gaps(1, 20, NOON_US - 20 * DAY_US)})
    store.publish_if_due(NOON_US - 15 * DAY_US)
    files = list(sealed_files(store._db, config.published))
    number = "SELECT count(*) AS n FROM gap"
    assert query(config.published, number).rows.to_pylist() == [{"n": 20}]
    old = tmp_path / "old.duckdb"
    shutil.copy(config.published, old)

    assert store.publish_if_due(NOON_US), "files were dropped, which readers are to see"
    assert query(config.published, number).rows.to_pylist() == [{"n": 20 - 20}]
    with duckdb.connect(str(old), read_only=True) as db:
        assert db.execute(number).fetchall() == [(20,)], "who has it open reads on"
    store.publish_if_due(NOON_US + KEPT_US - 1)
    assert all(file.exists() for file in files)
    store.publish_if_due(NOON_US + 2 * KEPT_US)
    assert not any(file.exists() for file in files)
    store.commit("a", "2", {"gap": gaps(21, 40, NOON_US + 2 * KEPT_US)})
    store.publish_if_due(NOON_US + 3 * KEPT_US)
    assert not set(files) & set(sealed_files(store._db, config.published)), "numbers are not given again"
    store.close()


def test_another_store_at_the_same_place_leaves_the_files_alone(with_files: StoreConfig) -> None:
    kept = with_files.published.with_name("kept.duckdb")
    with_files.published.rename(kept)
    with_files.path.unlink()
    store = Store(with_files)
    store.restore("a")
    store.commit("a", "1", {"confirmation": confirmations(1, 40)})
    store.publish_if_due(NOON_US)
    store.close()
    for snapshot, rows in ((with_files.published, 40), (kept, 30)):
        with duckdb.connect(str(snapshot), read_only=True) as db:
            assert db.execute("SELECT count(*) FROM confirmation").fetchall() == [(rows,)]


def test_a_copy_is_audited_with_the_files_beside_it(with_files: StoreConfig, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy.duckdb"
    copy.parent.mkdir()
    shutil.copy(with_files.published, copy)
    with audited(copy) as ground:
        assert ground.db.execute("SELECT count(*) FROM read_confirmation").fetchall() == [(30,)]
    shutil.move(sealed_folder(with_files.published), sealed_folder(copy))
    with audited(copy) as ground:
        assert ground.db.execute("SELECT count(*), sum(good) FROM read_confirmation").fetchall() == [(30, 465)]


def test_a_folder_that_cannot_be_written_moves_nothing(tmp_path: Path) -> None:
    config = sealing(tmp_path)
    store = Store(config)
    store.restore("a")
    store.commit("a", "1", {"confirmation": confirmations(1, 30)})
    sealed_folder(config.published).write_bytes(b"in the way")
    with pytest.raises(StoreError, match=r"sealing of .* failed"):
        store.publish_if_due(NOON_US)
    store.publish()
    assert query(config.published, "SELECT count(*) AS n FROM confirmation").rows.to_pylist() == [{"n": 30}]
    sealed_folder(config.published).unlink()
    store.publish_if_due(NOON_US)
    assert list(sealed_files(store._db, config.published))
    store.close()


def test_what_is_added_to_a_row_in_a_file_counts(tmp_path: Path) -> None:
    config = sealing(tmp_path)
    store = Store(config)
    store.restore("a")
    for offset in range(1, 4):
        minutes = [
            TelemetryMinute(plant="A", source="s", minute_us=NOON_US + i * 60_000_000, events=1, good=i * offset)
            for i in range(20)
        ]
        store.commit("a", str(offset), {"telemetry_minute": table(minutes, [offset] * 20)})
        store.seal()
    assert list(sealed_files(store._db, config.published))
    found = store._db.execute(
        "SELECT (minute_us - ?) // 60000000, events, good, stream_offset FROM telemetry_minute ORDER BY 1", [NOON_US]
    ).fetchall()
    assert found == [(i, 3, i * 6, 3) for i in range(20)]
    store.close()


def test_rows_that_were_added_up_do_not_count_twice(tmp_path: Path) -> None:
    config = sealing(tmp_path)
    store = Store(config)
    store.restore("a")
    for offset in range(1, 9):
        minutes = [TelemetryMinute(plant="A", source="s", minute_us=i * 60_000_000, events=1) for i in range(10)]
        store.commit("a", str(offset), {"telemetry_minute": table(minutes, [offset] * 10)})
        store.seal()
    assert not list(sealed_files(store._db, config.published))
    store.close()


def test_the_store_stays_small(tmp_path: Path) -> None:
    """What the snapshot copies does not grow with what was ever stored."""
    config = StoreConfig(path=tmp_path / "s.duckdb", published=tmp_path / "p.duckdb", hot_rows_max=20_000)
    store, sizes = Store(config), []
    store.restore("a")
    batch = confirmations(0, 4_999)
    for number in range(14):
        offsets = pa.array(range(number * 5_000, (number + 1) * 5_000))
        place = batch.column_names.index("stream_offset")
        store.commit("a", str(number), {"confirmation": batch.set_column(place, "stream_offset", offsets)})
        store.publish_if_due(NOON_US + number * 10_000_000)
        sizes.append(config.published.stat().st_size)
    assert query(config.published, "SELECT count(*) AS n FROM confirmation").rows.to_pylist() == [{"n": 70_000}]
    assert max(sizes[6:]) < 2 * max(sizes[:6])
    store.close()
