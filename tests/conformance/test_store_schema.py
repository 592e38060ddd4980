"""The analytics store has what the contracts say, and older stores become new ones (M47)."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import numpy as np
import pytest

from canonical.contracts import Confirmation, Event, FaultCode, Gap, LedgerEntry, LedgerRange
from canonical.mapping import load
from canonical.plants import shipped
from canonical.records import RawRecords, RowFault
from sinks.analytics import store
from sinks.analytics.fault_table import fault_table
from sinks.analytics.plant_tables import plant_rows
from sinks.analytics.published import query
from sinks.analytics.store import STORAGE_VERSION, Store, StoreConfig
from sinks.analytics.store_errors import StoreError, StoreNewer
from sinks.analytics.store_schema import migrations
from sinks.analytics.store_tables import DESCRIBED
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import RENAMED
from sinks.dead_letters import dead_letter_records
from tests.store_rows import NOON_US, confirmation, confirmations, table, with_rows

NAMES = {table.name for table in DESCRIBED}
VIEWS = {
    "component",
    "exception_age",
    "family_output",
    "hop_latency",
    "late_posting",
    "lot_status",
    "order_attainment",
    "period_close",
    "unmatched_movement",
    "unsettled_posting",
    "waiting_case",
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
    "slo_state",
    "slo_breach",
    "cycle_time",
    "machine_state",
    "oee_by_day",
    "oee_by_shift",
    "quality_by_day",
    "quality_by_shift",
    "times_by_day",
    "times_by_shift",
    "times_by_work_unit",
    "stops_by_reason",
    "telemetry_by_minute",
    "work_center",
}


def test_the_migrations_lead_to_the_contracts(answer) -> None:
    each = "{'table': table_name, 'column': column_name, 'type': data_type, 'nullable': is_nullable}"
    # In one row, since a query answers no more rows than it was told to.
    (stored,) = answer(f"SELECT list({each}) AS columns FROM duckdb_columns() WHERE NOT internal")
    # What differs here needs a new sinks/analytics/schema/NNNN_*.sql; those of a release never change.
    columns = {tuple(column.values()) for column in stored["columns"]}
    names = {table.name: getattr(table, "stored", table.name) for table in DESCRIBED}
    wanted = {(names[t.name], c.name, c.sql_type, c.nullable) for t in DESCRIBED for c in t.columns}
    assert {column for column in columns if column[0] in names.values()} == wanted
    views = {(t.name, c.name, c.sql_type) for t in TABLES.values() for c in t.columns}
    assert {column[:3] for column in columns if column[0] in TABLES} == views


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
    monkeypatch.setattr(store, "migrations", lambda: [*migrations(), "ALTER TABLE ledger ADD COLUMN note VARCHAR"])
    Store(config).close()
    assert query(config.published, "SELECT count(note) FROM ledger").rows.to_pylist() == [{"count(note)": 0}]
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
        patch.setattr(store, "migrations", lambda: [*migrations(), "DROP TABLE gap; DROP TABLE nothing"])
        with pytest.raises(StoreError, match=r"migration .* changed nothing"):
            Store(config)
    Store(config).close()
    assert len(query(config.published, "FROM gap").rows) == 0


def test_a_newer_store_is_left_alone(config: StoreConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rows(config, confirmations(1, 3))
    before = config.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(store, "migrations", list)
        with pytest.raises(StoreNewer, match=r"schema is version \d+, this plantsync knows 0; upgrade plantsync"):
            Store(config)
    assert config.path.read_bytes() == before


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
    assert {r["view_name"] for r in answer("FROM duckdb_views() WHERE NOT internal")} == VIEWS | {
        name for name, table in TABLES.items() if table.sealing
    }


def test_the_store_is_readable_by_older_tools(config: StoreConfig) -> None:
    Store(config).close()
    with duckdb.connect() as db:
        db.execute("ATTACH ? AS s (READ_ONLY)", [str(config.path)])
        ((tags,),) = db.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 's'").fetchall()
    assert "v1.5.0" in str(tags)
