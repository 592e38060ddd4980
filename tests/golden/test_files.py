"""Files and topics that a release wrote must be taken up by every later one (M25).

A folder of ``files`` holds what one release left behind when it was stopped half-way: the SQLite log, the analytics
store, the records of Kafka's state topic, and what the whole run confirmed. Later releases go on from there and must
confirm the same. ``python tests/golden/test_files.py VERSION`` records a folder, once; it is never edited.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from pathlib import Path
from threading import Event
from typing import Any

import duckdb
import numpy as np
import orjson
import pytest
from bytewax.testing import run_main
from confluent_kafka import Consumer, Producer, TopicPartition

from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.analytics import TABLES, analytics
from dataflows.confirmations import confirmations
from dataflows.sources.log_stream import LogStream
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.analytics.store import Store, StoreConfig
from sinks.commit_log import CommitLog, Snapshot
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.kafka_broker import Broker, running
from tests.scripted_flow import Script

FILES = Path(__file__).parent / "files"
RELEASES = sorted(folder for folder in FILES.iterdir() if folder.is_dir())
SHARD = "plant-g"
T0_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
PACE = Pace(until_end=True, idle_wait_us=0, commit_interval_us=2 * SECOND_US)
MAPPING = {
    "plant": "G",
    "format": "json",
    "input": {"folder": "g"},
    "time": {"format": "epoch_us"},
    "fields": {
        name: name
        for name in ("source", "session", "seq", "type", "occurred", "order", "lot", "good", "scrap", "good_counter")
    },
    "sequencing": {"gap_timeout_s": 5},
    "aggregation": {"idle_s": 60, "count_max": 7},
}


def told() -> list[tuple[int, RawRecords]]:
    """Twenty deliveries, a second apart: disorder, repeats, a gap filled late, a counter, two orders, a bad record."""
    lines: list[bytes] = []
    for i in range(160):
        source, seq = f"m{i % 2}", i // 2
        if source == "m1" and seq in {20, 21, 40}:
            continue  # 20 comes late, 21 and 40 never
        kind = "partial" if seq % 9 else "state"
        line = {"source": source, "session": "s", "seq": seq, "type": kind, "occurred": T0_US + i * SECOND_US // 8}
        line |= {"order": f"10{seq // 50}", "lot": "L1", "good": 1 + i % 4, "scrap": int(i % 11 == 0)}
        if source == "m0":
            line |= {"good": 0, "good_counter": 5 * seq}
        lines.append(orjson.dumps(line))
    lines.insert(110, orjson.dumps(orjson.loads(lines[3]) | {"source": "m1", "seq": 20}))
    lines[30], lines[36] = lines[36], lines[30]
    lines.insert(50, lines[20])
    lines.insert(60, b'{"source": "m0", "seq": "many"}')
    size = len(lines) // 20 + 1
    cuts = range(0, len(lines), size)
    return [(T0_US + n * SECOND_US, _raw(lines[at : at + size], at)) for n, at in enumerate(cuts)]


def _raw(lines: list[bytes], first: int) -> RawRecords:
    return RawRecords.from_values(lines, np.arange(first, first + len(lines)), "g")


def go_on(log: CommitLog, until: int | None = None) -> None:
    """Run the flow from the log's last commit to a delivery, or past the end until everything has closed."""
    batches = told()
    last_us = T0_US + (3600 if until is None else until) * SECOND_US
    script = Script(batches[:until], last_us)
    shards = {SHARD: ShardInput(lambda: script, PlantMapping.model_validate(MAPPING))}
    script.now_us = T0_US
    run_main(confirmations(shards, log, PACE, script.clock, Event()))


def confirmed(path: Path) -> list[dict[str, Any]]:
    streams = SqliteStreams(path)
    try:
        rows = [json.loads(record.value) for record in streams.read("confirmations", 0, 10**6)]
    finally:
        streams.close()
    return sorted(rows, key=lambda row: row["posting_id"])


def load(log: Path, folder: Path) -> None:
    """Bring the store up to the log."""
    shards = {f"stream:{s}": ShardInput(lambda s=s: LogStream(SqliteStreams(log), s), stream=s) for s in TABLES}
    store = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    run_main(analytics(shards, store, PACE, lambda: time.time_ns() // 1000, Event()))
    store.close()


def unpacked(release: Path, folder: Path, name: str) -> Path:
    target = folder / name
    target.write_bytes(gzip.decompress((release / f"{name}.gz").read_bytes()))
    return target


def holds(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """See that every field that was there then says the same now; later releases may add fields."""
    assert [row["posting_id"] for row in found] == [row["posting_id"] for row in expected]
    assert [{name: row[name] for name in old} for row, old in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
def test_the_flow_goes_on_from_the_log(release: Path, tmp_path: Path) -> None:
    log = unpacked(release, tmp_path, "plantsync.db")
    expected = json.loads((release / "confirmations.json").read_bytes())
    assert 0 < len(confirmed(log)) < len(expected)
    opened = SqliteLog(log)
    go_on(opened)
    opened.close()
    holds(confirmed(log), expected)


@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
def test_the_store_is_brought_up_to_date_and_filled_further(release: Path, tmp_path: Path) -> None:
    log = unpacked(release, tmp_path, "plantsync.db")
    unpacked(release, tmp_path, "store.duckdb")
    half = len(confirmed(log))
    opened = SqliteLog(log)
    go_on(opened)
    opened.close()
    load(log, tmp_path)
    db = duckdb.connect(str(tmp_path / "analytics.duckdb"), read_only=True)
    try:
        rows = db.execute("SELECT CAST(posting_id AS VARCHAR), good, first_seq FROM confirmation ORDER BY 1").fetchall()
        balanced = db.execute("SELECT bool_and(balanced), sum(read) FROM conservation").fetchall()
    finally:
        db.close()
    expected = json.loads((release / "confirmations.json").read_bytes())
    assert half < len(rows)
    assert rows == [(row["posting_id"], row["good"], row["first_seq"]) for row in expected]
    assert balanced == [(True, sum(len(raw) for _, raw in told()))]


@pytest.mark.kafka
@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
def test_the_state_is_restored_from_kafka(release: Path, kafka: Broker, tmp_path: Path) -> None:
    settings = _kafka(kafka, f"golden-{time.time_ns()}.")
    fresh = KafkaLog("confirmations", settings)
    fresh.restore("another")  # makes the topics
    producer = Producer({"bootstrap.servers": kafka.servers})
    recorded = json.loads(gzip.decompress((release / "kafka-state.json.gz").read_bytes()))
    for key, value in recorded["records"]:
        producer.produce(
            settings.state_topic("confirmations"),
            bytes.fromhex(value),
            bytes.fromhex(key),
            partition=recorded["partition"],
        )
    producer.flush(30)
    snapshot = fresh.restore(SHARD)
    assert snapshot == _sqlite_snapshot(unpacked(release, tmp_path, "plantsync.db"))


def _kafka(broker: Broker, prefix: str) -> KafkaSettings:
    return KafkaSettings(properties={"bootstrap.servers": broker.servers}, prefix=prefix, partitions=1)


def _sqlite_snapshot(path: Path) -> Snapshot:
    streams = SqliteStreams(path)
    try:
        return streams.snapshots()[SHARD]
    finally:
        streams.close()


def record(version: str) -> None:
    target = FILES / version
    target.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = SqliteLog(folder / "plantsync.db")
        go_on(log, until=10)
        log.close()
        load(folder / "plantsync.db", folder)
        whole = SqliteLog(folder / "whole.db")
        go_on(whole)
        whole.close()
        for name in ("plantsync.db", "store.duckdb"):
            (target / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
        (target / "confirmations.json").write_text(json.dumps(confirmed(folder / "whole.db"), indent=1) + "\n")
        snapshot = _sqlite_snapshot(folder / "plantsync.db")
    with running() as broker:
        settings = _kafka(broker, "golden.")
        kafka = KafkaLog("confirmations", settings)
        kafka.restore(SHARD)
        kafka.commit(SHARD, snapshot.position, snapshot.state, [])
        content = json.dumps(_state_records(broker, settings.state_topic("confirmations")))
        (target / "kafka-state.json.gz").write_bytes(gzip.compress(content.encode(), mtime=0))


def _state_records(broker: Broker, topic: str) -> dict[str, Any]:
    consumer = Consumer({
        "bootstrap.servers": broker.servers, "group.id": "golden", "isolation.level": "read_committed",
        "enable.partition.eof": True, "enable.auto.commit": False,
    })  # fmt: skip
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, left = [], set(partitions)
    while left:
        for message in consumer.consume(500, 1):
            if message.error() is not None:
                left.discard(message.partition())
            else:
                found.append((message.partition(), message.key().hex(), message.value().hex()))
    consumer.close()
    ((partition),) = {partition for partition, _, _ in found}
    return {"partition": partition, "records": [[key, value] for _, key, value in found]}


if __name__ == "__main__":
    record(sys.argv[1])
