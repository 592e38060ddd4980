"""The command line with Kafka as source and log: partitions as shards, positions seen from outside."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from canonical.plants import shipped
from dataflows.settings import load
from dataflows.simulator import Truth
from tests.command import plantsync

pytestmark = pytest.mark.kafka

PARTITIONS = 3


@pytest.fixture(scope="module")
def folder(kafka, tmp_path_factory) -> Path:
    """A folder with settings of plants A and C on fresh topics, in which traffic was simulated and both flows ran."""
    folder = tmp_path_factory.mktemp("kafka")
    prefix = f"t{uuid.uuid4().hex}."
    for path in shipped():
        # No test lasts so long that a missing number is no longer waited for.
        text = re.sub(r"(?m)^gap_timeout_s = \d+", "gap_timeout_s = 3600", path.read_text())
        (folder / path.name).write_text(text)
    # The simulator writes to the topics that the shipped mappings name.
    names = ["plant-a.events", "plant-c.quality"]
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result()
    (folder / "plantsync.toml").write_text(
        f'plants = ["plant_a.toml", "plant_c.toml"]\n[log]\nkind = "kafka"\n[kafka]\nprefix = "{prefix}"\n'
        f'partitions = 2\nreplication_factor = 1\nproperties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
    )
    plantsync(folder, "simulate", "--kafka", "--preset", "small", "--plant", "A", "--plant", "C")
    plantsync(folder, "run", "confirmations", "--until-end", "-q")
    plantsync(folder, "run", "analytics", "--until-end", "-q")
    yield folder
    for future in admin.delete_topics(names).values():
        future.result()


def test_every_record_is_accounted_for(folder):
    truth = Truth.load(folder / "truth.json")
    rows = json.loads(plantsync(folder, "query", "SELECT plant, read FROM conservation", "--json"))
    read = Counter()
    for row in rows:
        read[row["plant"]] += row["read"]

    assert read == {name: plant.records for name, plant in truth.plants.items()}


def test_a_lag_tool_sees_each_flow_in_its_group_and_nothing_is_read_back_from_there(folder, kafka):
    settings = load(folder / "plantsync.toml")
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    for flow, shards in (("confirmations", 2 * PARTITIONS), ("analytics", 2 * 5)):
        group = f"{settings.kafka.prefix}{flow}"
        told = group_offsets(admin, group)
        assert len(told) >= shards
        for (topic, partition), offset in told.items():
            place = TopicPartition(topic, partition)
            (end,) = [f.result().offset for f in admin.list_offsets({place: OffsetSpec.latest()}).values()]
            assert end - 2 <= offset <= end, (flow, topic, partition)
        back = [TopicPartition(topic, partition, 0) for topic, partition in told]
        for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, back)]).values():
            future.result()
    first = group_offsets(admin, f"{settings.kafka.prefix}confirmations")
    assert set(first.values()) == {0}

    run = json.loads(plantsync(folder, "run", "confirmations", "--until-end", "--json"))

    assert run["read"] == 0


def group_offsets(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    (answer,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return {(p.topic, p.partition): p.offset for p in answer.result().topic_partitions}


def test_running_again_adds_nothing(folder):
    run = json.loads(plantsync(folder, "run", "confirmations", "--until-end", "--json"))

    assert run["read"] == 0
    assert "confirmations" not in run["written"]


def test_the_doctor_sees_each_partition_and_fences_nobody(folder):
    document = json.loads(plantsync(folder, "doctor", "--json"))
    confirming = {s["shard"]: s for s in document["shards"] if s["flow"] == "confirmations"}

    assert document["fine"], document["problems"]
    assert list(confirming) == [f"{t}-{n}" for t in ("plant-a.events", "plant-c.quality") for n in range(PARTITIONS)]
    assert {shard["behind"] for shard in confirming.values()} == {0}
    assert sum(shard["totals"]["held"] for shard in confirming.values() if shard["totals"]) > 0


def test_dead_letters_have_places_in_partitions(folder):
    listed = json.loads(plantsync(folder, "dead-letters", "list", "--limit", 10_000, "--json"))
    truth = Truth.load(folder / "truth.json")
    faults = Counter()
    for plant in truth.plants.values():
        faults.update(plant.faults)
    assert listed["codes"] == dict(faults)

    letter = next(letter for letter in listed["letters"] if letter["code"] == "MALFORMED")
    partition, _, offset = letter["place"].partition(":")
    assert partition in {"0", "1"}
    assert offset.isdigit()
    shown = json.loads(plantsync(folder, "dead-letters", "show", letter["place"], "--json"))
    assert shown["code"] == "MALFORMED"
    assert base64.b64decode(shown["value_base64"])
    plantsync(folder, "dead-letters", "show", "0:999999", code=1)


def test_a_topic_that_is_missing_is_told(folder):
    (folder / "missing.toml").write_text((folder / "plant_a.toml").read_text().replace("plant-a.events", "no.such"))
    settings = (folder / "plantsync.toml").read_text().replace("plant_a.toml", "missing.toml")
    (folder / "other.toml").write_text(settings)

    plantsync(folder, "run", "confirmations", "--until-end", "-c", "other.toml", code=75)
