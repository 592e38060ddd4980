"""The analytics store keeps rows and position together, and readers see whole publications (M47)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sinks.store
from canonical.contracts import ComponentUsage, Confirmation, Event, FaultCode, Gap, LedgerEntry, LedgerRange
from canonical.mapping import load
from canonical.plants import shipped
from canonical.records import RawRecords, RowFault
from canonical.schemas import arrow_schema
from sinks.commit_log import Snapshot, WriterFenced
from sinks.dead_letters import dead_letter_records
from sinks.fault_table import fault_table
from sinks.plant_tables import plant_rows
from sinks.published import QueryRefused, StoreNotPublished, open_published, query
from sinks.store import (
    DESCRIBED,
    STORAGE_VERSION,
    Store,
    StoreConfig,
    StoreError,
    StoreLocked,
    StoreNewer,
    StoreUnavailable,
)
from sinks.store_schema import RENAMED, TABLES, migrations

NOON_US = 1_790_000_000_000_000
NAMES = {table.name for table in DESCRIBED}
VIEWS = {
    "component",
    "lot",
    "material",
    "operation",
    "output_by_hour",
    "period",
    "posting_outcome",
    "order_progress",
    "production_order",
    "reason",
    "route",
    "scrap_by_reason",
    "fault_pareto",
    "genealogy",
    "conservation",
    "work_center",
}


@pytest.fixture
def config(tmp_path: Path) -> StoreConfig:
    # The quote shows that no path is pasted into SQL.
    return StoreConfig(path=tmp_path / "plant's store.duckdb", published=tmp_path / "public" / "analytics.duckdb")


@pytest.fixture
def store(config: StoreConfig) -> Iterator[Store]:
    opened = Store(config)
    opened.restore("a")
    yield opened
    opened.close()


@pytest.fixture
def answer(store: Store, config: StoreConfig) -> Callable[..., list[dict[str, Any]]]:
    def ask(sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        store.publish()
        return query(config.published, sql, parameters).rows.to_pylist()

    return ask


def table(
    rows: list[Confirmation] | list[Event] | list[Gap] | list[LedgerEntry] | list[ComponentUsage], offsets: list[int]
) -> pa.Table:
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


# --- schema ---------------------------------------------------------------------------------------


def test_the_migrations_lead_to_the_contracts(answer) -> None:
    stored = answer("SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE NOT internal")
    columns = {
        # What differs here needs a new sinks/schema/NNNN_*.sql; those of a release never change.
        (row["table_name"], row["column_name"], row["data_type"], row["is_nullable"])
        for row in stored
        if row["table_name"] in NAMES
    }
    assert columns == {(t.name, c.name, c.sql_type, c.nullable) for t in DESCRIBED for c in t.columns}


def test_every_field_of_a_contract_has_a_column() -> None:
    models = {"confirmation": Confirmation, "gap": Gap, "ledger": LedgerEntry, "ledger_range": LedgerRange}
    for name, model in models.items():
        assert [c.field for c in TABLES[name].columns][:-2] == list(model.model_fields)
    assert {c.field for c in TABLES["event"].columns} >= set(Event.model_fields) - {"schema_version"}


def test_every_table_column_and_view_is_described(answer) -> None:
    nameless = answer(
        "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL AND table_name <> 'store_version'"
        " UNION ALL SELECT view_name FROM duckdb_views() WHERE comment IS NULL AND NOT internal"
        " UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()"
        " WHERE comment IS NULL AND table_name IN (SELECT unnest($tables))",
        {"tables": list(NAMES)},
    )
    assert nameless == []
    (row,) = answer("SELECT comment FROM duckdb_columns() WHERE table_name = 'ledger' AND column_name = 'held'")
    assert row["comment"] == LedgerEntry.model_fields["held"].description


def test_no_column_needs_quotes(answer) -> None:
    reserved = {r["keyword_name"] for r in answer("FROM duckdb_keywords() WHERE keyword_category = 'reserved'")}
    assert reserved >= set(RENAMED)
    assert not reserved & {c.name for t in DESCRIBED for c in t.columns}


def test_an_older_store_is_migrated_when_opened(config: StoreConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(config, confirmations(1, 3))
    monkeypatch.setattr(sinks.store, "migrations", lambda: [*migrations(), "ALTER TABLE gap ADD COLUMN note VARCHAR"])
    Store(config).close()
    assert query(config.published, "SELECT count(note) FROM gap").rows.to_pylist() == [{"count(note)": 0}]
    later = len(migrations()) + 1
    assert query(config.published, "SELECT version FROM store_version").rows.to_pylist() == [{"version": later}]
    assert len(query(config.published, "FROM confirmation").rows) == 3


def test_a_ledger_of_the_first_version_keeps_its_rows(config: StoreConfig) -> None:
    with duckdb.connect() as db:
        db.execute(f"ATTACH ? AS store (STORAGE_VERSION '{STORAGE_VERSION}')", [str(config.path)])
        db.execute("USE store")
        db.execute(f"{migrations()[0]}; CREATE TABLE store_version AS SELECT 1 AS version")
        db.execute("CREATE VIEW conservation AS SELECT plant, sum(read) AS read FROM ledger GROUP BY plant")
        db.execute("INSERT INTO ledger VALUES ('s', 'A', 'm', '', 0, 5, 5, 5, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 'l', 1)")
    Store(config).close()
    rows = query(config.published, "SELECT accounted, open, good, committed_us FROM ledger").rows.to_pylist()
    assert rows == [{"accounted": 5, "open": 0, "good": 0, "committed_us": 0}]


def test_a_migration_that_fails_changes_nothing(config: StoreConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(config, confirmations(1, 3))
    with monkeypatch.context() as patch:
        patch.setattr(sinks.store, "migrations", lambda: [*migrations(), "DROP TABLE gap; DROP TABLE nothing"])
        with pytest.raises(StoreError, match=r"migration .* changed nothing"):
            Store(config)
    Store(config).close()
    assert len(query(config.published, "FROM gap").rows) == 0


def test_a_newer_store_is_left_alone(config: StoreConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(config, confirmations(1, 3))
    before = config.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(sinks.store, "migrations", list)
        with pytest.raises(StoreNewer, match=r"schema is version \d, this plantsync knows 0; upgrade plantsync"):
            Store(config)
    assert config.path.read_bytes() == before


def with_rows(config: StoreConfig, rows: pa.Table) -> None:
    store = Store(config)
    store.restore("a")
    store.commit("a", "p1", {"confirmation": rows})
    store.close()


# --- commit and restore ---------------------------------------------------------------------------


def test_restore_returns_the_position_of_the_last_commit(config: StoreConfig) -> None:
    store = Store(config)
    assert store.restore("a") is None
    assert store.commit("a", "p1", {"confirmation": confirmations(1, 3)}) == 3
    assert store.commit("a", "p2", {}) == 0
    assert store.restore("b") is None
    store.close()
    store = Store(config)
    assert store.restore("a") == Snapshot("p2")
    assert store.restore("b") is None
    store.close()
    other_flow = Store(config, "reports")
    assert other_flow.restore("a") is None
    other_flow.close()


def test_every_field_comes_back(store: Store, answer) -> None:
    full = confirmation(
        7, kind="supplementary", revision=2, session="s", order="4711", operation="0010", work_center="PRESS",
        material="M", lot="L", reason="R", unit="KGM", shift="late", good=1, scrap=10**15, rework=3, setup_us=-4,
        machine_us=5, labour_us=2**63 - 1, energy_mwh=7, final=True, close_reason="complete",
        first_occurred_us=-(2**63),
    )  # fmt: skip
    store.commit("a", "p1", {"confirmation": table([full], [9])})
    (row,) = answer("FROM confirmation")
    assert (row.pop("stream_shard"), row.pop("stream_offset")) == ("a", 9)
    fields = {name: row[RENAMED.get(name, name)] for name in Confirmation.model_fields}
    assert Confirmation.model_validate(fields) == full
    assert len(row) == len(fields)


def test_an_idle_commit_writes_nothing(store: Store, config: StoreConfig) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    journal = Path(f"{config.path}.wal")
    before = journal.stat().st_size
    store.commit("a", "p1", {"confirmation": confirmations(1, 3).slice(0, 0)})
    assert journal.stat().st_size == before
    store.commit("a", "p2", {})
    assert journal.stat().st_size > before
    assert store.restore("a") == Snapshot("p2")


def test_a_commit_that_fails_stores_nothing(store: Store, answer) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    bad = confirmations(4, 6).set_column(0, "posting_id", pa.array(["x", "y", "z"]))
    gaps = table([Gap(plant="A", source="s", first_seq=1, last_seq=2, declared_us=0)], [4])
    with pytest.raises(StoreError, match=r"commit of shard 'a' of .* failed and changed nothing") as raised:
        store.commit("a", "p2", {"gap": gaps, "confirmation": bad})
    assert not raised.value.retryable
    assert answer("SELECT count(*) AS n FROM gap") == [{"n": 0}]
    assert store.commit("a", "p2", {"gap": gaps, "confirmation": confirmations(4, 6)}) == 4
    assert store.restore("a") == Snapshot("p2")


def test_an_older_writer_of_a_shard_is_fenced(store: Store, answer) -> None:
    generation = store._generations["a"]
    store.restore("a")
    store._generations["a"] = generation
    with pytest.raises(WriterFenced, match="another writer has taken over the shard"):
        store.commit("a", "p1", {"confirmation": confirmations(1, 1)})
    assert answer("SELECT count(*) AS n FROM confirmation") == [{"n": 0}]


def test_committing_unrestored_or_in_disorder_is_a_programming_error(store: Store) -> None:
    with pytest.raises(AssertionError, match="restore shard 'b' before"):
        store.commit("b", "p1", {})
    with pytest.raises(AssertionError, match="offsets of confirmation decrease"):
        store.commit("a", "p1", {"confirmation": confirmations(1, 3).take([0, 2, 1])})


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("lasting")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


SHARDS = (f"shard-{i}" for i in range(10**9))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 10)), max_size=8))
def test_committing_rows_again_adds_nothing(lasting: Store, reads: list[tuple[int, int]]) -> None:
    """However often and however cut rows are read again, each is stored once."""
    shard = next(SHARDS)
    lasting.restore(shard)
    end = 0
    for start, length in reads:
        first = min(start, end + 1)  # A reader repeats, but never skips.
        last = first + length - 1
        assert lasting.commit(shard, str(last), {"confirmation": confirmations(first, last)}) == max(0, last - end)
        end = max(end, last)
    (row,) = lasting._db.execute(
        "SELECT count(*), count(DISTINCT stream_offset), coalesce(sum(good), 0) FROM confirmation"
        " WHERE stream_shard = ?",
        [shard],
    ).fetchall()
    assert row == (end, end, end * (end + 1) // 2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_the_ledger_keeps_the_newest_entry_of_a_session(
    lasting: Store, commits: list[list[int]], data: st.DataObject
) -> None:
    shard = next(SHARDS)
    lasting.restore(shard)
    newest: dict[str, int] = {}
    read = 0
    for offset, sessions in enumerate(commits):
        rows = []
        for session in sessions:
            read += 1
            newest[f"s{session}"] = read
            rows.append(LedgerEntry(shard=shard, plant="A", source="x", session=f"s{session}", read=read))
        batch = {"ledger": table(rows, [offset] * len(rows))}
        for _ in range(data.draw(st.integers(1, 2))):
            lasting.commit(shard, str(offset), batch)
    stored = lasting._db.execute("SELECT session, read FROM ledger WHERE shard = ?", [shard]).fetchall()
    assert dict(stored) == newest
    assert len(stored) == len(newest)


def test_the_newest_usage_of_a_component_is_kept(store: Store, answer) -> None:
    """Its key has a field that SQL reserves (M18)."""
    for offset, actual in ((1, 5), (2, 7)):
        told = ComponentUsage(
            erp="E", plant="A", order="4711", item="1", material="M", unit="KGM", planned=9, actual=actual,
            difference=actual - 9, changed_us=NOON_US,
        )  # fmt: skip
        assert store.commit("a", str(offset), {"component_usage": table([told], [offset])}) == 1
    assert answer("SELECT order_id, actual FROM component_usage") == [{"order_id": "4711", "actual": 7}]


def test_threads_may_share_a_store(store: Store, answer) -> None:
    def work(shard: str) -> None:
        store.restore(shard)
        for i in range(1, 11):
            store.commit(shard, str(i), {"confirmation": confirmations(i * 10, i * 10 + 9)})
            store.publish_if_due(i * 10_000_000)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = answer("SELECT stream_shard AS shard, count(*) AS n FROM confirmation GROUP BY ALL ORDER BY ALL")
    assert rows == [{"shard": f"t{i}", "n": 100} for i in range(3)]


# --- one writer -----------------------------------------------------------------------------------


def open_in_another_process(path: Path) -> str:
    code = (
        "import sys; from pathlib import Path; from sinks.store import *\n"
        "try: Store(StoreConfig(path=Path(sys.argv[1]), published=Path(sys.argv[2])))\n"
        "except StoreLocked as error: print(error.retryable, error)"
    )
    command = [sys.executable, "-c", code, str(path), str(path) + ".public"]
    root = Path(__file__).parents[2]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout


def test_a_second_writer_is_told_who_holds_the_file(store: Store, config: StoreConfig) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    store.publish()  # Publishing must not cost the lock.
    message = open_in_another_process(config.path)
    assert message.startswith("True open of ")
    assert str(config.path) in message
    assert "another writer has it open; stop that one" in message
    assert "PID" in message
    with pytest.raises(StoreLocked, match="another writer has it open"):
        Store(config)


def test_what_is_no_store_is_refused(config: StoreConfig) -> None:
    config.path.write_bytes(b"something else" * 1000)
    with pytest.raises(StoreError, match="name another file, or move this one away") as raised:
        Store(config)
    assert not raised.value.retryable
    assert config.path.read_bytes() == b"something else" * 1000


def test_a_store_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="check disk space, owner and permissions") as raised:
        Store(StoreConfig(path=tmp_path / "file" / "store.duckdb", published=tmp_path / "analytics.duckdb"))
    assert raised.value.retryable


def test_resources_are_bounded(tmp_path: Path) -> None:
    config = StoreConfig(path=tmp_path / "s.duckdb", published=tmp_path / "p.duckdb", threads=1, memory_max_mb=100)
    store = Store(config)
    limits = "SELECT current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"
    assert store._db.execute(limits).fetchall() == [(1, "95.3 MiB", f"{config.path}.tmp")]
    store.close()
    with open_published(config.published, threads=1, memory_max_mb=100) as db:
        assert db.execute(limits).fetchall() == [(1, "95.3 MiB", "")]


# --- publication ----------------------------------------------------------------------------------


def test_readers_keep_the_publication_they_opened(store: Store, config: StoreConfig) -> None:
    count = "SELECT count(*) FROM confirmation"
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    store.publish()
    with open_published(config.published) as old:
        assert old.execute(count).fetchall() == [(3,)]
        store.commit("a", "p2", {"confirmation": confirmations(4, 6)})
        store.publish()
        assert old.execute(count).fetchall() == [(3,)]
        with open_published(config.published) as new:
            assert new.execute(count).fetchall() == [(6,)]
        assert old.execute(count).fetchall() == [(3,)]
    store.commit("a", "p3", {"confirmation": confirmations(7, 7)})
    with open_published(config.published) as new:
        assert new.execute(count).fetchall() == [(6,)]
    assert sorted(p.name for p in config.published.parent.iterdir()) == ["analytics.duckdb"]


def test_publication_waits_for_the_interval_and_for_a_change(config: StoreConfig) -> None:
    store = Store(config)
    store.restore("a")
    assert store.publish_if_due(NOON_US)  # A crash may have come before the last publication.
    assert not store.publish_if_due(NOON_US + 10_000_000)
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    assert store.publish_if_due(NOON_US + 10_000_000)
    store.commit("a", "p2", {"confirmation": confirmations(4, 4)})
    assert not store.publish_if_due(NOON_US + 11_999_999)
    assert store.publish_if_due(NOON_US + 12_000_000)
    store.commit("a", "p2", {})
    store.commit("a", "p3", {"confirmation": confirmations(4, 4)})
    assert not store.publish_if_due(NOON_US + 20_000_000)
    store.commit("a", "p4", {"confirmation": confirmations(5, 5)})
    store.close()
    assert query(config.published, "SELECT count(*) AS n FROM confirmation").rows.to_pylist() == [{"n": 5}]


def test_a_publication_that_fails_can_be_repeated(store: Store, config: StoreConfig) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    folder = config.published.parent
    shutil.rmtree(folder)
    with pytest.raises(StoreUnavailable, match=r"publication of .* failed: check disk space"):
        store.publish_if_due(NOON_US)
    config.published.mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match=r"publication of .* failed: check disk space"):
        store.publish_if_due(NOON_US)
    assert list(folder.iterdir()) == [config.published]
    config.published.rmdir()
    assert store.publish_if_due(NOON_US)


def test_what_a_killed_writer_left_is_removed(config: StoreConfig) -> None:
    config.published.parent.mkdir()
    abandoned = config.published.parent / ".analytics.duckdb.123-4.tmp"
    abandoned.write_bytes(b"half a copy")
    Store(config).close()
    assert not abandoned.exists()


def test_nothing_published_yet_says_what_to_do(config: StoreConfig) -> None:
    with pytest.raises(
        StoreNotPublished, match=r"nothing has been published at .*; start the analytics flow"
    ) as raised:
        query(config.published, "FROM confirmation")
    assert raised.value.retryable
    config.published.parent.mkdir()
    config.published.write_bytes(b"something else" * 1000)
    with pytest.raises(StoreUnavailable, match="not a valid DuckDB database file"):
        query(config.published, "FROM confirmation")


# --- queries --------------------------------------------------------------------------------------


def test_parameters_are_data(store: Store, answer) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    hostile = "A' OR true --"
    assert answer("FROM confirmation WHERE plant = ?", [hostile]) == []
    assert len(answer("FROM confirmation WHERE plant = $plant", {"plant": "A"})) == 3


@pytest.mark.parametrize(("rows_max", "rows", "more"), [(2, 2, True), (3, 3, False), (4, 3, False), (0, 0, True)])
def test_an_answer_is_limited_and_says_so(
    store: Store, config: StoreConfig, rows_max: int, rows: int, more: bool
) -> None:
    store.commit("a", "p1", {"confirmation": confirmations(1, 3)})
    store.publish()
    found = query(config.published, "FROM confirmation ORDER BY good", rows_max=rows_max)
    assert (found.rows["good"].to_pylist(), found.more) == ([1, 2, 3][:rows], more)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELEC 1",
        "FROM nothing",
        "DELETE FROM confirmation",
        "CREATE TABLE t AS SELECT 1",
        "FROM read_csv('/etc/hosts')",
        "COPY confirmation TO '/dev/null'",
        "ATTACH 'other.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "FROM confirmation WHERE plant = ?",
    ],
)
def test_a_query_only_reads_the_snapshot(store: Store, config: StoreConfig, sql: str) -> None:
    store.publish()
    with pytest.raises(QueryRefused):
        query(config.published, sql)


def test_queries_return_instants_with_and_without_zone(answer) -> None:
    (row,) = answer("SELECT make_timestamp(?) AS utc, TIMESTAMPTZ '2026-09-21 00:00:00+02' AS zoned", [NOON_US])
    assert row["utc"].isoformat() == "2026-09-21T14:13:20"
    assert row["zoned"].isoformat() == "2026-09-20T22:00:00+00:00"


# --- views ----------------------------------------------------------------------------------------


def test_output_by_hour(store: Store, answer) -> None:
    rows = [
        confirmation(1, work_center="P", good=1, scrap=1_500, events=3, last_occurred_us=NOON_US),
        confirmation(2, work_center="P", good=2, rework=7, events=4, last_occurred_us=NOON_US + 60_000_000),
        confirmation(3, work_center="P", good=4, last_occurred_us=NOON_US + 3_600_000_000),
        confirmation(4, work_center="P", good=8, unit="KGM"),
    ]
    store.commit("a", "p1", {"confirmation": table(rows, [1, 2, 3, 4])})
    found = answer("FROM output_by_hour WHERE unit = 'H87' ORDER BY hour")
    assert [(r["hour"].isoformat(), r["good"], r["scrap"], r["rework"]) for r in found] == [
        ("2026-09-21T14:00:00", Decimal("0.003"), Decimal("1.500"), Decimal("0.007")),
        ("2026-09-21T15:00:00", Decimal("0.004"), Decimal("0.000"), Decimal("0.000")),
    ]
    assert [(r["plant"], r["work_center"], r["confirmations"], r["events"]) for r in found] == [
        ("A", "P", 2, 7),
        ("A", "P", 1, 1),
    ]


def test_quantities_are_exact_where_floats_are_not(store: Store, answer) -> None:
    most = 10**15  # The contract's bound; with 53 bits its thousandths would be lost.
    rows = [confirmation(i, good=most + i - 10) for i in range(1, 10)]
    store.commit("a", "p1", {"confirmation": table(rows, list(range(1, 10)))})
    assert answer("SELECT good FROM output_by_hour") == [{"good": Decimal("8999999999999.955")}]


def test_order_progress(store: Store, answer) -> None:
    rows = [
        confirmation(1, order="4711", operation="10", material="M", good=5_000, first_occurred_us=NOON_US - 1),
        confirmation(2, order="4711", operation="10", material="M", good=2_500, scrap=500, final=True, events=2),
        confirmation(3, order="4711", operation="20", good=1_000),
        confirmation(4, good=9_000),
    ]
    store.commit("a", "p1", {"confirmation": table(rows, [1, 2, 3, 4])})
    found = answer("FROM order_progress ORDER BY operation")
    assert [(r["operation"], r["good"], r["scrap"], r["events"], r["complete"]) for r in found] == [
        ("10", Decimal("7.5"), Decimal("0.5"), 3, True),
        ("20", Decimal(1), Decimal(0), 1, False),
    ]
    assert found[0]["first_occurred"].isoformat() == "2026-09-21T14:13:19.999999"
    assert found[0]["last_occurred"].isoformat() == "2026-09-21T14:13:20"


def test_scrap_by_reason(store: Store, answer) -> None:
    rows = [
        confirmation(1, reason="burr", scrap=2_000),
        confirmation(2, reason="crack", scrap=1_000),
        confirmation(3, reason="burr", scrap=1_000),
        confirmation(4, reason="none", good=1_000),
        confirmation(5, reason="crack", scrap=1_000, plant="B"),
    ]
    store.commit("a", "p1", {"confirmation": table(rows, [1, 2, 3, 4, 5])})
    found = answer("FROM scrap_by_reason ORDER BY plant, scrap DESC")
    assert [(r["plant"], r["reason"], r["scrap"], r["share"], r["confirmations"]) for r in found] == [
        ("A", "burr", Decimal(3), 0.75, 2),
        ("A", "crack", Decimal(1), 0.25, 1),
        ("B", "crack", Decimal(1), 1.0, 1),
    ]


def test_faults_from_dead_letters(store: Store, answer) -> None:
    raw = RawRecords.from_values([b"x" * 9], np.array([70]), "plant-a", 2, [b"key"], [()])
    faults = [
        ("decode", RowFault(0, FaultCode.MALFORMED, "no JSON", "press-1")),
        ("decode", RowFault(0, FaultCode.MALFORMED, "no JSON", "press-2")),
        ("decode", RowFault(0, FaultCode.NOT_UTF8, "byte 3", "press-1")),
        ("sequence", RowFault(-1, FaultCode.TOO_LATE, "gap is forgotten", "press-1", "s", 5)),
    ]
    letters = dead_letter_records(raw, faults, NOON_US, flow="confirmations", shard="plant-a-2", plant="A")
    stream = RawRecords.from_values(
        [*(r.value for r in letters), b"intruder"],
        np.arange(5),
        "dead-letters",
        0,
        [*(r.key for r in letters), None],
        [*(r.headers for r in letters), ()],
    )
    store.commit("a", "5", {"fault": fault_table(stream, value_bytes_max=4)})
    found = answer("FROM fault ORDER BY stream_offset")
    assert (found[0]["key"], found[0]["value"], found[0]["value_bytes"]) == (b"key", b"xxxx", 9)
    assert [(r["topic"], r["partition"], r["input_offset"], r["original"]) for r in found[2:]] == [
        ("plant-a", 2, 70, True),
        ("plant-a", 2, -1, False),
        ("dead-letters", 0, 4, True),
    ]
    assert "carries no plantsync.code header" in found[4]["detail"]
    pareto = answer("FROM fault_pareto WHERE plant = 'A' ORDER BY cumulative_share")
    assert [(r["code"], r["stage"], r["faults"], r["sources"], r["share"], r["cumulative_share"]) for r in pareto] == [
        ("MALFORMED", "decode", 2, 2, 0.5, 0.5),
        ("NOT_UTF8", "decode", 1, 1, 0.25, 0.75),
        ("TOO_LATE", "sequence", 1, 1, 0.25, 1.0),
    ]
    assert pareto[0]["last_failed"].isoformat() == "2026-09-21T14:13:20"


@pytest.mark.parametrize("off", ["read", "released", "late", "duplicates", "faults", "held", "accounted"])
def test_conservation_notices_each_count(store: Store, answer, off: str) -> None:
    right = LedgerEntry(
        shard="a", plant="A", source="x", session="1", read=36, released=10, late=11, duplicates=3, faults=5, held=7,
        accounted=12, analytics_only=8, operational=1, gaps=2, missing=4, skipped=9,
    )  # fmt: skip
    # What one session has too many the other has too few: the sums agree, the sessions do not.
    more = right.model_copy(update={"source": "y", off: getattr(right, off) + 1})
    less = right.model_copy(update={"source": "y", "session": "2", off: getattr(right, off) - 1})
    store.commit("a", "1", {"ledger": table([right, more, less], [1, 1, 1])})
    fine, wrong = answer("FROM conservation ORDER BY source")
    counts = ("sessions", "read", "released", "late", "duplicates", "faults", "held", "accounted", "analytics_only")
    assert [fine[name] for name in counts] == [1, 36, 10, 11, 3, 5, 7, 12, 8]
    assert [fine[name] for name in ("operational", "gaps", "missing", "skipped")] == [1, 2, 4, 9]
    assert wrong["sessions"] == 2
    assert (fine["balanced"], wrong["balanced"]) == (True, False)


def test_events_and_gaps_are_stored(store: Store, answer) -> None:
    events = [
        Event(plant="A", source="q", seq=1, type="hold", occurred_us=NOON_US, lot="L1", quality="hold"),
        Event(plant="A", source="q", type="release", occurred_us=NOON_US + 1, recorded_us=NOON_US + 2, lot="L1"),
    ]
    gap = Gap(plant="A", source="q", first_seq=2, last_seq=4, declared_us=NOON_US)
    assert store.commit("a", "1", {"event": table(events, [1, 2]), "gap": table([gap], [3])}) == 3
    rows = answer("SELECT seq, type, occurred_us, recorded_us, lot, quality FROM event ORDER BY stream_offset")
    assert [tuple(row.values()) for row in rows] == [
        (1, "hold", NOON_US, None, "L1", "hold"),
        (None, "release", NOON_US + 1, NOON_US + 2, "L1", ""),
    ]
    assert answer("SELECT first_seq, last_seq, stream_offset FROM gap") == [
        {"first_seq": 2, "last_seq": 4, "stream_offset": 3}
    ]


def test_what_the_settings_say_of_plants_is_replaced_as_a_whole(store: Store, config, answer) -> None:
    store.configure(plant_rows(map(load, shipped())))
    shifts = answer("SELECT shift, day, starts, ends FROM shift WHERE plant = 'A' AND day = 'fri' ORDER BY starts")
    assert [tuple(row.values()) for row in shifts] == [
        (shift.name, "fri", shift.start, shift.end)
        for shift in sorted(load(shipped()[0]).shifts, key=lambda shift: shift.start)
    ]
    assert answer("SELECT plant, time_zone FROM plant ORDER BY plant")[0] == {
        "plant": "A",
        "time_zone": "Europe/Berlin",
    }
    before = config.published.stat().st_mtime_ns
    store.configure(plant_rows(map(load, shipped())))
    assert not store.publish_if_due(0)
    assert config.published.stat().st_mtime_ns == before, "the same once more"
    store.configure(plant_rows([load(shipped()[1])]))
    assert [row["plant"] for row in answer("FROM plant")] == ["B"]


def test_the_views_are_these(answer) -> None:
    assert {r["view_name"] for r in answer("FROM duckdb_views() WHERE NOT internal")} == VIEWS


def test_the_store_is_readable_by_older_tools(config: StoreConfig) -> None:
    Store(config).close()
    with duckdb.connect() as db:
        db.execute("ATTACH ? AS s (READ_ONLY)", [str(config.path)])
        ((tags,),) = db.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 's'").fetchall()
    assert "v1.5.0" in str(tags)
