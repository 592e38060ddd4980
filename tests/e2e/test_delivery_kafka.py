"""Delivery with Kafka as the log: all partitions of an ERP's topic are one shard (M24-M26)."""

from __future__ import annotations

import json
import signal
import time
import uuid
from contextlib import closing

import pytest

from canonical.posting_wire import encode_posting
from dataflows.posting_marks import posting_marks
from dataflows.settings import load
from dataflows.stored_records import stored_records
from sinks.commit_log import Record
from sinks.kafka import KafkaLog
from sinks.streams import RECEIPTS, postings
from tests.command import plantsync, told
from tests.conformance.erp_places import SECRET, SapPlace, Simulator
from tests.e2e.test_delivery import SETTINGS, orders_of, start

pytestmark = pytest.mark.kafka


@pytest.fixture
def sap(tmp_path):
    simulator = Simulator(tmp_path, ["sap"])
    place = SapPlace(simulator)
    yield place
    place.close()
    simulator.stop()


@pytest.fixture
def folder(kafka, tmp_path, sap, monkeypatch):
    monkeypatch.setenv("ERP_PASSWORD", SECRET)
    log = (
        f'[log]\nkind = "kafka"\n[kafka]\nprefix = "t{uuid.uuid4().hex}."\npartitions = 3\nreplication_factor = 1\n'
        f'properties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
    )
    (tmp_path / "plantsync.toml").write_text(SETTINGS.format(url=sap.url, more="bulk_max = 5") + log)
    return tmp_path


def test_orders_of_all_partitions_are_delivered_once_in_their_order_over_a_kill(folder, sap):
    settings = load(folder / "plantsync.toml")
    made = orders_of(sap, "sap", 9, 8)
    with closing(KafkaLog("test", settings.kafka.connection())) as log:
        log.restore("test")
        now_us = time.time_ns() // 1000
        records = [Record(postings("sap"), *encode_posting(p, p.model_dump_json().encode(), now_us)) for p in made]
        log.commit("test", "", {}, records)
    process = start(folder)
    deadline = time.monotonic() + 60
    while not sap.documents(made[0].order) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    plantsync(folder, "run", "delivery", "--until-end", "-q")

    receipts = [json.loads(stored.value) for _, stored in stored_records(settings, RECEIPTS)]
    assert sorted(r["posting_id"] for r in receipts) == sorted(str(p.posting_id) for p in made)
    for order in {p.order for p in made}:
        assert [d["yield_quantity"] for d in sap.documents(order)] == [1000 * (n + 1) for n in range(8)]
    assert len(told(folder, "explain", made[0].order)["postings"]) == 8
    assert told(folder, "exceptions", "list")["exceptions"] == []
    marks, held = posting_marks(settings)
    queue = settings.kafka.connection().topic(postings("sap"))
    assert held == []
    assert sum(last + 1 for shard, last in marks.items() if shard.startswith(f"{queue}-")) >= len(made)
    # Nothing stands behind these postings; that each has come to something is seen all the same.
    chain = told(folder, "audit", "--log", code=1)["audit"]["chain"]
    assert (chain["postings"], chain["accepted"], chain["pending"]) == (len(made), len(made), 0)
