"""``plantsync replay`` with Kafka: back to the partition, in one transaction with the trail (M28, M29, M35)."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.command import plantsync, told

pytestmark = pytest.mark.kafka

MAPPING = """\
plant = "P"
format = "json"
[input]
topics = ["{topic}"]
[fields]
source = "s"
seq = "n"
type = "t"
occurred = "at"
order = "o"
unit = "u"
good = "g"
good_counter = "c"
[units]
H87 = "H87"
[counters]
jump_max = 100
[sequencing]
gap_timeout_s = 3600
"""


def run(folder: Path) -> None:
    plantsync(folder, "run", "confirmations", "--until-end", "-q")


def record(source: str, number: int, **fields: object) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    content = {"s": source, "n": number, "t": "complete", "at": at, "o": "1", "u": "H87", "g": 1}
    return json.dumps({**content, **fields}).encode()


def read(servers: str, topic: str, partitions: int) -> list:
    """Every committed message of a topic, those of a partition in order."""
    own = {"group.id": "look", "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": servers, **own})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    messages, ended = [], set()
    while len(ended) < partitions:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            ended.add(message.partition())
        else:
            messages.append(message)
    consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


@pytest.fixture(scope="module")
def plant(kafka, tmp_path_factory):
    """A folder whose flow has read records of three sources, with one record refused and one refused late."""
    folder = tmp_path_factory.mktemp("kafka")
    name = uuid.uuid4().hex
    topic = f"raw.{name}"
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    for future in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        future.result()
    (folder / "p.toml").write_text(MAPPING.format(topic=topic))
    (folder / "plantsync.toml").write_text(
        f'plants = ["p.toml"]\n[log]\nkind = "kafka"\n[kafka]\nprefix = "t{name}."\n'
        f'partitions = 2\nreplication_factor = 1\nproperties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
    )
    producer = Producer({"bootstrap.servers": kafka.servers})

    def send(partition: int, value: bytes, headers: list | None = None) -> None:
        producer.produce(topic, value, key=b"k\xff", partition=partition, headers=headers)
        producer.flush()

    send(0, record("m", 0))
    send(0, record("m", 1, u="STCK", o="2"), [("ce_correlationid", b"c-1"), ("h", b"\x00")])
    send(0, record("m", 2))
    send(1, record("c", 0, c=1, g=0))
    send(1, record("c", 2, c=100_000, g=0))
    run(folder)
    send(1, record("c", 1, c=2, g=0))
    run(folder)
    yield folder, kafka.servers, topic, f"t{name}."
    admin.delete_topics([topic])[topic].result()


def test_a_letter_goes_back_to_its_partition_with_all_it_had(plant):
    folder, servers, topic, prefix = plant
    listed = told(folder, "dead-letters", "list")["letters"]
    (letter,) = [letter for letter in listed if letter["code"] == "UNKNOWN_UNIT"]

    # The first time the mapping has not been mended: it would fail again and stays where it is.
    assert told(folder, "replay", "--place", letter["place"])["left_out"]["still_faulty"] == {"UNKNOWN_UNIT": 1}
    assert told(folder, "replay", "--place", letter["place"], "--apply", "--reason", "x")["applied"] is None
    assert len(read(servers, topic, 2)) == 6

    mapping = folder / "p.toml"
    mapping.write_text(mapping.read_text().replace("[units]\n", '[units]\nSTCK = "H87"\n'))
    plan = told(folder, "replay", "--place", letter["place"])
    assert (plan["records"], plan["shards"]) == (1, {f"{topic}-0": 1})
    assert plan["would"]["ledger"] == {"read": 1, "released": 2, "held": -1}
    assert len(read(servers, topic, 2)) == 6

    done = told(folder, "replay", "--code", "UNKNOWN_UNIT", "--apply", "--reason", "mended", "--actor", "anna")
    before = read(servers, topic, 2)
    sent = before[3]
    assert (len(before), sent.partition(), sent.key(), sent.value()) == (7, 0, b"k\xff", before[1].value())
    names = [name for name, _ in sent.headers()]
    assert names[:3] == ["ce_correlationid", "h", "__connect.errors.topic"]
    assert sent.headers()[-1] == ("plantsync.replay", done["applied"]["id"].encode())
    assert dict(sent.headers())["plantsync.attempts"] == b"1"

    (entry,) = [json.loads(m.value()) for m in read(servers, f"{prefix}trail", 2) if m.key() == b"operator"]
    assert (entry["actor"], entry["reason"], entry["hash"]) == ("anna", "mended", done["applied"]["hash"])

    run(folder)
    made = [json.loads(m.value()) for m in read(servers, f"{prefix}confirmations", 2)]
    assert sorted((row["order"], row["first_seq"]) for row in made if row["source"] == "m") == [
        ("1", 0),
        ("1", 2),
        ("2", 1),
    ]
    assert told(folder, "replay", "--code", "UNKNOWN_UNIT")["left_out"]["replayed_before"] == 1

    # Once more all the same: it is a duplicate.
    told(folder, "replay", "--code", "UNKNOWN_UNIT", "--again", "--apply", "--reason", "once more")
    run(folder)
    again = [json.loads(m.value()) for m in read(servers, f"{prefix}confirmations", 2)]
    assert again == made
    report = told(folder, "audit", "--trail")
    assert report["clean"]
    assert {chain: head["number"] for chain, head in report["heads"].items()} == {
        f"{topic}-0": 1,
        f"{topic}-1": 1,
        "operator": 1,
    }


def test_bytes_that_were_not_kept_are_fetched_from_the_topic(plant):
    folder, _, topic, _ = plant
    listed = told(folder, "dead-letters", "list")["letters"]
    (letter,) = [letter for letter in listed if letter["code"] == "ABSURD_QUANTITY"]
    shown = told(folder, "dead-letters", "show", letter["place"])

    assert shown["original"]
    assert shown["input_offset"] == 1
    assert told(folder, "replay", "--place", letter["place"])["shards"] == {f"{topic}-1": 1}


def test_original_records_by_offset(plant):
    folder, _, topic, _ = plant
    by = ("replay", "--from", "input", "--shard", f"{topic}-0")

    assert told(folder, *by, "--offsets", "0:0")["records"] == 1
    plan = told(folder, *by, "--offsets", "0:2", "--order", "1")
    assert (plan["records"], plan["would"]["ledger"]) == (2, {"read": 2, "duplicates": 2})
    told(folder, *by, "--offsets", "0:0", "--order", "9", code=1)


def test_what_fails_again_keeps_its_first_failure_and_counts(plant):
    folder, servers, topic, prefix = plant
    producer = Producer({"bootstrap.servers": servers})
    first = next(
        m for m in read(servers, f"{prefix}dead-letters", 2) if dict(m.headers())["plantsync.attempts"] == b"1"
    )
    spoilt = [*first.headers(), ("plantsync.replay", b"0" * 16)]
    producer.produce(topic, b"{", key=first.key(), partition=0, headers=spoilt)
    producer.flush()
    run(folder)

    (again,) = [m for m in read(servers, f"{prefix}dead-letters", 2) if m.value() == b"{"]
    headers = dict(again.headers())
    assert headers["plantsync.attempts"] == b"2"
    assert headers["plantsync.first-failed-us"] == dict(first.headers())["plantsync.first-failed-us"]
    assert "plantsync.replay" not in headers
