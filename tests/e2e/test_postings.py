"""The flow postings by its command: reference data from a folder or a topic, on both logs; once, however often run."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from canonical.contracts import Posting, Receipt
from dataflows.settings import load
from sinks import dead_letters
from sinks.analytics.published import query
from sinks.commit_log import Record
from sinks.kafka import KafkaLog
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.b2mml_documents import transaction
from tests.command import told
from tests.postings_world import confirmation, lot, material, references, word

PLANT = 'landing = "landing"\nplants = ["shipped:plant_a"]\n[pace]\nsettle_s = 0\n'
OTHERS = [record for record in references() if record.kind not in {"lot", "material"}]
REFERENCES = [material(inspected=True, lot_managed=True), *OTHERS]
"""All but the lot."""
CONFIRMATIONS = [*(confirmation(n, good=2_000) for n in range(3)), *(confirmation(n, "0020") for n in range(4))]
MADE = ["confirmation"] * 7 + ["goods-receipt"] * 4


def values(models):
    return [model.model_dump_json().encode() for model in models]


def fill(log):
    log.restore("inputs")
    records = [Record("confirmations", b"machine", value) for value in values(CONFIRMATIONS)]
    records.append(Record("actions", b"person", b"{broken"))
    records += [Record("events", b"quality", value) for value in values([word()])]
    log.commit("inputs", "", {}, records)
    log.close()


def write(folder: Path, record: Record) -> None:
    log = SqliteLog(folder / "state/plantsync.db")
    log.restore("more")
    log.commit("more", "", {}, [record])
    log.close()


def ran(folder: Path) -> dict[str, int]:
    return told(folder, "run", "postings", "--until-end")["written"]


def test_postings_on_the_embedded_log_with_reference_data_from_a_folder(tmp_path):
    (tmp_path / "plantsync.toml").write_text(
        PLANT + '[reference]\nfolder = "reference"\nsystems = ["north", "mes"]\n'
        '[reference.b2mml.mes]\nerp = "north"\nplant = "A"\n'
    )
    (tmp_path / "reference" / "north").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    fill(SqliteLog(tmp_path / "state/plantsync.db"))

    assert ran(tmp_path) == {"dead-letters": 1, "unposted": 7}  # All waits: nothing is known yet.
    (tmp_path / "reference/north/all.ndjson").write_bytes(b"\n".join(values(REFERENCES)) + b"\n")
    assert ran(tmp_path) == {}  # The lot is not known yet: another system tells of it, in B2MML (M31).
    status, of = "<Status>Released</Status>", "<MaterialDefinitionID>M</MaterialDefinitionID>"
    lots = f"<MaterialLot><ID>L1</ID>{of}{status}</MaterialLot><MaterialLot><ID>L2</ID>{status}</MaterialLot>"
    (tmp_path / "reference/mes/lots.xml").write_bytes(transaction("MaterialLot", lots))
    assert ran(tmp_path) == {"postings-north": len(MADE), "dead-letters": 1}
    assert ran(tmp_path) == {}

    reader = SqliteStreams(tmp_path / "state/plantsync.db")
    made = [Posting.model_validate_json(stored.value) for stored in reader.read("postings-north", 0, 100)]
    stages = {dead_letters.parse(stored).stage for stored in reader.read("dead-letters", 0, 100)}
    reader.close()
    assert stages == {"desk"}  # An audit takes those of "decode" for records that plants sent.
    assert sorted(posting.kind.value for posting in made) == MADE
    assert [posting.number for posting in made] == list(range(len(MADE)))

    # Delivery tells that a person has withdrawn one of operation 0010: 0020 may not yield as much any more.
    instants = dict.fromkeys(("occurred_us", "enqueued_us", "first_sent_us", "sent_us", "answered_us"), 1)
    about = {"posting_id": made[0].posting_id, "kind": made[0].kind, "erp": "north", "plant": "A", "order": "4711"}
    receipt = Receipt(status="withdrawn", lane="standard", attempts=0, **about, **instants)
    write(tmp_path, Record("receipts", b"A/4711", receipt.model_dump_json().encode()))
    assert ran(tmp_path) == {}
    write(tmp_path, Record("confirmations", b"machine", *values([confirmation(9, "0020", good=2_000)])))
    assert ran(tmp_path) == {"unposted": 1}
    told(tmp_path, "run", "analytics", "--until-end")
    write(tmp_path, Record("confirmations", b"machine", *values([confirmation(10)])))
    told(tmp_path, "run", "analytics", "--until-end")
    known(tmp_path, "L1")


def known(folder: Path, lot: str) -> None:
    """The store knows what the desk does of orders, materials and lots, and read it once (M47)."""
    joined = "production_order JOIN material USING (material) JOIN lot USING (material)"
    rows = f"SELECT order_id, production_order.status, lot FROM {joined}"
    expected = [{"order_id": "4711", "status": "released", "lot": lot}]
    assert query(folder / "analytics.duckdb", rows).rows.to_pylist() == expected
    kinds = query(folder / "analytics.duckdb", "SELECT count(*) AS n FROM operation").rows.to_pylist()
    assert kinds == [{"n": 2}]


@pytest.mark.kafka
def test_postings_on_kafka_with_reference_data_from_a_topic(kafka, tmp_path):
    prefix, topic = f"t{uuid.uuid4().hex}.", f"erp-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    for future in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        future.result()
    (tmp_path / "plantsync.toml").write_text(
        f'plants = ["shipped:plant_a"]\n[log]\nkind = "kafka"\n[kafka]\nprefix = "{prefix}"\npartitions = 2\n'
        f'replication_factor = 1\nproperties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
        f'[reference.topics]\nnorth = ["{topic}"]\n'
    )
    settings = load(tmp_path / "plantsync.toml")
    fill(KafkaLog("inputs", settings.kafka.connection()))
    assert ran(tmp_path) == {"dead-letters": 1, "unposted": 7}

    producer = Producer({"bootstrap.servers": kafka.servers})
    for value in values([*REFERENCES, lot()]):
        producer.produce(topic, value)
    producer.flush()
    assert ran(tmp_path) == {"postings-north": len(MADE)}
    assert ran(tmp_path) == {}
    told(tmp_path, "run", "analytics", "--until-end")
    known(tmp_path, "L1")
    for future in admin.delete_topics([topic]).values():
        future.result()
