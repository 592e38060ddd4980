"""A legacy tracking table in a real PostgreSQL, polled by key and by time, with kills of both and link (A17, M41)."""

from __future__ import annotations

import json
import time

import pytest

from dataflows.collectors.sql import TablePoll, TableUnusable
from dataflows.collectors.sql_settings import SqlCollector
from dataflows.sources.errors import SourceUnavailable
from tests.collect_site import CollectSite, until
from tests.fault_proxy import HALF_OPEN, NONE, Fault, FaultProxy
from tests.peers.postgresql import PostgreSql

MAPPING = """
plant = "T"
time_zone = "UTC"
format = "json"
default_type = "partial"
[input]
collected = ["line"]
[fields]
source = "station"
seq = "id"
occurred = "made_at"
good = "good"
order = "order_no"
[sequencing]
gap_timeout_s = 2
[aggregation]
idle_s = 1
[limits]
past_max_s = 315_360_000
"""
TABLE = """
CREATE TABLE track (id bigint PRIMARY KEY, station text, order_no text, good numeric(12, 3), made_at timestamptz,
    changed_at timestamp, photo bytea)
"""


@pytest.fixture(scope="module")
def server():
    peer = PostgreSql()
    yield peer
    peer.close()


@pytest.fixture
def table(server):
    server.do("DROP TABLE IF EXISTS track", TABLE)
    return server


def row(number: int, good: str = "1.000", second: int = 0) -> str:
    when = f"2026-11-17 06:00:{second or number % 60:02d}"
    return f"INSERT INTO track VALUES ({number}, 'S1', 'WO-1', {good}, '{when}+00', '{when}', '\\x00ff')"


class Clock:
    now_us = 1

    def __call__(self) -> int:
        self.now_us += 10_000_000
        return self.now_us


def polled(server, **more) -> TablePoll:
    section = {"protocol": "sql", "url": server.url, "table": "track", "key": "id", "overlap": 5, **more}
    reader = TablePoll(SqlCollector(**section), "line", Clock())
    reader.seek(None, {})
    return reader


def told(reader: TablePoll, polls: int = 2) -> list[dict]:
    found = []
    for _ in range(polls):
        raw = reader.poll()
        found += [json.loads(raw.value(each)) for each in range(len(raw))]
    return found


def numbers(reader: TablePoll, polls: int = 2) -> list[int]:
    return [each["id"] for each in told(reader, polls)]


def test_a_row_is_one_record_with_exact_values(table):
    table.do(row(1, "123456789.125"))
    reader = polled(table)
    raw = reader.poll()
    assert raw.value(0) == (
        b'{"id":1,"station":"S1","order_no":"WO-1","good":123456789.125,"made_at":"2026-11-17T06:00:01+00:00",'
        b'"changed_at":"2026-11-17T06:00:01","photo":"00ff"}'
    )
    reader.close()


def test_a_transaction_that_ends_late_is_told_within_the_overlap_and_nothing_twice(table):
    reader = polled(table)
    late = table.connect()
    late.cursor().execute(row(2))
    table.do(row(1), row(3), row(4))
    assert numbers(reader) == [1, 3, 4]
    late.commit()
    late.close()
    assert numbers(reader) == [2]
    table.do(row(20))
    assert numbers(reader) == [20]
    table.do(row(14))  # further behind than the overlap
    assert numbers(reader) == []
    assert len(reader._known) == 1
    reader.close()


def test_a_change_is_told_by_the_time_of_change_also_where_many_have_the_same(table):
    table.do(*(row(number, second=7) for number in range(1, 8)))
    reader = polled(table, key="changed_at", rows_max=2)
    assert sorted(numbers(reader, 5)) == [1, 2, 3, 4, 5, 6, 7]
    table.do("UPDATE track SET good = 5, changed_at = '2026-11-17 06:00:09' WHERE id = 3")
    assert [(each["id"], each["good"]) for each in told(reader)] == [(3, 5.0)]
    reader.close()


@pytest.mark.parametrize("key", ["id", "changed_at"])
def test_a_restart_anywhere_tells_each_row_once(table, key):
    table.do(*(row(number) for number in range(1, 30)))
    seen, position, state = [], None, {}
    for _ in range(12):
        reader = polled(table, key=key, rows_max=3)
        reader.seek(position, state)
        seen += numbers(reader, 1)
        position, state = reader.position(), {**state, **reader.state()}
        reader.close()
    assert sorted(seen) == list(range(1, 30))


def test_only_the_named_columns_are_read(table):
    table.do(row(1))
    reader = polled(table, columns=("station", "good"))
    assert told(reader) == [{"station": "S1", "good": 1.0}]
    reader.close()


@pytest.mark.parametrize("more", [{"table": "no_such"}, {"key": "no_such"}, {"columns": ("id", "no_such")}])
def test_what_is_not_there_is_told_and_stops_nobody_else(table, more):
    with pytest.raises(TableUnusable, match="no_such") as error:
        polled(table, **more).poll()
    assert error.value.retryable


def test_names_are_never_sql(table):
    with pytest.raises(TableUnusable):
        polled(table, table="track; DROP TABLE track").poll()
    table.do(row(1))
    assert numbers(polled(table), 1) == [1]


def test_a_database_that_is_away_is_an_outage_that_shows_no_secret(table):
    reader = polled(table, url="postgresql+pg8000://mes@127.0.0.1:1/postgres", password="geheim")
    with pytest.raises(SourceUnavailable) as error:
        reader.poll()
    assert error.value.retryable
    assert "geheim" not in str(error.value)


def test_kills_of_both_sides_and_of_the_link_lose_and_double_nothing(table, tmp_path):
    server = table
    with FaultProxy(server.port) as link:
        url = server.url.replace(str(server.port), str(link.port))
        collector = f'protocol = "sql"\nurl = "{url}"\ntable = "track"\nkey = "id"\noverlap = 5\nevery_s = 0.1'
        site = CollectSite(tmp_path, MAPPING, collector + "\ntimeout_s = 0.5")
        try:
            site.start("collect", "confirmations")
            server.do(*(row(number) for number in range(1, 11)))
            until(site.good, 10)
            site.kill("collect")
            server.do(*(row(number) for number in range(11, 21)))
            site.start("collect")
            until(site.good, 20)
            server.kill()
            server.start()
            site.kill("confirmations")
            server.do(*(row(number) for number in range(21, 31)))
            site.start("confirmations")
            until(site.good, 30)
            link.fault = Fault(bytes_per_s=40_000)  # an answer takes its time, so the cuts come within one
            server.do(*(row(number) for number in range(31, 41)))
            for ends in ("cut", "reset", "cut"):
                time.sleep(0.1)
                link.fault = Fault(ends=ends)
                link.fault = Fault(bytes_per_s=40_000)
            asked = link.accepted
            link.fault = HALF_OPEN
            server.do(*(row(number) for number in range(41, 51)))
            until(lambda: link.accepted >= asked + 3, expected=True)  # given up by ourselves, and asked anew
            link.fault = NONE
            until(site.good, 50)
            assert len(site.spooled()) == 50
            assert site.faults() == 0
        finally:
            site.close()
