"""Avro of a real broker, with schemas of a registry over HTTP that goes away and comes back (M07, M28)."""

from __future__ import annotations

import json
import time
import uuid
from threading import Event

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dataflows.canary import Taken, canary
from dataflows.dead_letter_box import letters
from dataflows.replay.replay import Replay
from dataflows.replay.selection import Selection
from dataflows.runtime import run_flow
from dataflows.settings import load
from dataflows.sources.errors import SourceUnavailable
from dataflows.trail.operator_trail import operator_trail
from sinks.dead_letters import parse
from tests.peers.schema_registry import SchemaRegistry
from tests.unit.test_schema_registry import MAPPING, V1, V2, V3, message

pytestmark = pytest.mark.kafka


def now_us() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def plant(kafka, tmp_path):
    """Settings of a plant on a fresh topic, its registry, and what sends to the topic."""
    name = uuid.uuid4().hex
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    peer = SchemaRegistry()
    (tmp_path / "a.toml").write_text(MAPPING.partition("9000")[0].replace('["a"]', f'["{name}"]'))
    (tmp_path / "plantsync.toml").write_text(
        f'plants = ["a.toml"]\n[log]\nkind = "kafka"\n[kafka]\nprefix = "t{name}."\npartitions = 1\n'
        f'replication_factor = 1\nproperties = {{ "bootstrap.servers" = "{kafka.servers}" }}\n'
        f'[schema_registries.main]\nurl = "{peer.url}"\n'
    )
    producer = Producer({"bootstrap.servers": kafka.servers})

    def send(*values: bytes) -> None:
        for value in values:
            producer.produce(name, value)
        producer.flush()

    yield load(tmp_path / "plantsync.toml"), peer, send
    peer.close()
    admin.delete_topics([name])[name].result()


def test_what_was_known_is_read_and_replayed_while_the_registry_is_away_and_the_rest_is_not_lost(plant):
    settings, peer, send = plant

    def run() -> None:
        run_flow(settings, "confirmations", stop=Event(), until_end=True)

    def told() -> list[str]:
        return [parse(stored).fault.detail for _, stored in letters(settings)]

    def planned(origin: str) -> int:
        chosen = Selection(origin, plant="A") if origin == "input" else Selection(origin)
        return Replay(settings, now_us, lambda _: None).planned(chosen).records

    at = now_us() // 1_000
    for schema in (V1, V2):
        peer.register("a-value", json.dumps(schema))
    send(message(1, V1, 1, at=at), message(3, V3, 2, at=at), message(2, V2, 3, at=at))
    run()
    assert told() == ["the schema of id 3 is not in [avro.ids], and registry main has none"]

    port = peer.port
    peer.close()
    send(message(2, V2, 4, at=at))
    run()  # what is known needs no registry
    with pytest.raises(SourceUnavailable, match=r"schema_registries\.main"):
        planned("dead-letters")
    send(message(4, {**V1, "doc": "another"}, 5, at=at), message(1, V1, 6, at=at))
    with pytest.raises(SourceUnavailable, match=r"schema_registries\.main"):
        run()
    assert len(told()) == 1

    peer = SchemaRegistry(port)
    try:
        for schema in (V1, V2, V3, {**V1, "doc": "another"}):
            peer.register("a-value", json.dumps(schema))
        run()
        assert peer.asked == ["/schemas/ids/4"]
        with operator_trail(settings) as trail:
            replay = Replay(settings, now_us, lambda _: None)
            replay.applied(replay.planned(Selection(), trail.state), trail, "anna", "it was registered late")
        run()
    finally:
        peer.close()
    assert len(told()) == 1
    assert planned("input") == 7  # of all that was read, the replayed one twice; the registry is away
    made = canary(settings, settings.mappings()[0], Taken(100), now_us)
    assert (made.differs, dict(made.will.faults), made.will.totals["released"]) == (False, {}, 6)
