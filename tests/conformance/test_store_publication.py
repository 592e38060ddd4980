"""Readers see whole publications of the analytics store, and only read (M47)."""

from __future__ import annotations

import shutil

import pytest

from sinks.analytics.published import QueryRefused, StoreNotPublished, open_published, query
from sinks.analytics.store import Store, StoreConfig
from sinks.analytics.store_errors import StoreUnavailable
from tests.store_rows import NOON_US, confirmations


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
