"""The analytics store keeps rows and position together, for one writer (M47)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.contracts import ComponentUsage, Confirmation, Gap, LedgerEntry
from sinks.analytics.published import open_published
from sinks.analytics.store import Store, StoreConfig
from sinks.analytics.store_errors import StoreError, StoreLocked, StoreUnavailable
from sinks.analytics.table import RENAMED
from sinks.commit_log import Snapshot, WriterFenced
from tests.store_rows import NOON_US, confirmation, confirmations, table


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
        "import sys; from pathlib import Path; from sinks.analytics.store import Store, StoreConfig\n"
        "from sinks.analytics.store_errors import StoreLocked\n"
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
