"""Positions of commits, as partitions and next offsets; and a group that cannot be told."""

from __future__ import annotations

import orjson
import pytest

from dataflows.positions import next_offsets
from sinks import kafka_group
from sinks.kafka_group import GroupOffsets
from sinks.kafka_settings import KafkaSettings


def kafka(topic: str, partition: int, offset: int) -> str:
    return orjson.dumps({"topic": topic, "partition": partition, "offset": offset}).decode()


def merged(**places: str) -> str:
    return orjson.dumps({"places": places, "turn": list(places)}).decode()


@pytest.mark.parametrize(
    ("position", "offsets"),
    [
        ("", {}),
        (kafka("t", 3, 17), {("t", 3): 17}),
        (orjson.dumps({"stream": "confirmations", "offset": 5}).decode(), {}),
        (orjson.dumps({"file": "a.csv", "offset": 5, "done": []}).decode(), {}),
        (merged(a=kafka("t", 0, 1), b=kafka("t", 1, 2)), {("t", 0): 1, ("t", 1): 2}),
        (merged(q=orjson.dumps({"place": kafka("q", 0, 40), "given": 2}).decode()), {("q", 0): 42}),
    ],
)
def test_a_position_names_its_partitions(position, offsets):
    assert next_offsets(position) == offsets


def test_a_broker_that_is_away_holds_nobody_up_and_is_told_of_once(caplog, monkeypatch):
    monkeypatch.setattr(kafka_group, "ANSWER_S", 0.2)
    told: list[bool] = []
    settings = KafkaSettings(properties={"bootstrap.servers": "127.0.0.1:1"})
    group = GroupOffsets("g", settings, told.append)
    group.tell({}, 0)
    assert group._under_way is None
    group.tell({("t", 0): 1}, 1)
    first = group._under_way
    group.tell({("t", 0): 2}, 2)
    assert group._under_way is first  # one at a time, and nobody waits for it
    group.close()
    group.close()

    assert told == [False, False]
    assert caplog.text.count("Nothing but lag tools needs them") == 1
