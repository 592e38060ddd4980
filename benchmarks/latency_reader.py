"""A reader of committed records that notes when it saw each probe; a process of its own, so that nothing holds it up.

    python -m benchmarks.latency_reader SERVERS SEEN.json TOPIC...

Ends when its input is closed, and writes lot -> monotonic seconds for lots that begin with ``probe``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import orjson
from confluent_kafka import Consumer, TopicPartition


def main(servers: str, seen_in: str, *topics: str) -> None:
    """Read from the end of the topics on."""
    properties = {"bootstrap.servers": servers, "group.id": "latency", "isolation.level": "read_committed"}
    consumer = Consumer({**properties, "fetch.wait.max.ms": 5, "enable.auto.commit": False})
    known = consumer.list_topics(timeout=10).topics
    places = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
    for place in places:
        place.offset = consumer.get_watermark_offsets(place, 10)[1]
    consumer.assign(places)
    closed = threading.Event()

    def until_told() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=until_told, daemon=True).start()
    print("ready", flush=True)
    seen: dict[str, float] = {}
    while not closed.is_set():
        messages, at_s = consumer.consume(1_000, 0.05), time.monotonic()
        for message in messages:
            assert message.error() is None, message.error()
            lot = orjson.loads(message.value() or b"{}").get("lot", "")
            if lot.startswith("probe"):
                seen.setdefault(lot, at_s)
    consumer.close()
    Path(seen_in).write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
