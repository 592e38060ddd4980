"""A plant that sends its records to a topic bit by bit, the same ones in the same places each time."""

from __future__ import annotations

import re
import threading
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

from canonical.plants import shipped
from dataflows.simulator import SimulationConfig, simulate

PARTITIONS = 3
KEPT_BACK = 600
CONFIG = SimulationConfig.small(datetime(2026, 3, 2, tzinfo=UTC), seed=3).model_copy(
    update={"plants": ("A",), "machines": 6, "records": 6_000}
)

Record = tuple[bytes, bytes]
"""Key and value."""


def records() -> list[Record]:
    """Simulate plant A: disorder, duplicates, gaps, restarts, faults and all."""
    made: list[Record] = []

    class Collected:
        def write(self, _mapping, drop):
            made.extend((key.encode(), record) for key, record in drop.records)

        def flush(self):
            pass

    simulate(CONFIG, Collected())
    return made


def mapping(path: Path, topic: str) -> None:
    """Write the mapping of plant A for a topic; no test lasts until a missing number or an idle run is given up."""
    (shipped_path,) = (path for path in shipped() if path.stem == "plant_a")
    text = shipped_path.read_text()
    text, gaps = re.subn(r"(?m)^gap_timeout_s = \d+", "gap_timeout_s = 3600", text)
    text, idle = re.subn(r"(?m)^idle_s = \d+", "idle_s = 86400", text)
    text, topics = re.subn(r"(?m)^topics = .*", f'topics = ["{topic}"]', text)
    text, buckets = re.subn(r"(?m)^bucket_s = \d+", "bucket_s = 300", text)  # More confirmations than an hour gives.
    assert gaps == idle == topics == buckets == 1
    path.write_text(text)


class Plant:
    """Sends records in order, at a pace until ``finish`` sends the rest; the last ones only then.

    Each key has one partition.
    """

    def __init__(self, servers: str, topic: str, sent: list[Record], per_s: float) -> None:
        self.topic, self._records, self._per_s = topic, sent, per_s
        # Idempotence keeps the order through whatever happens, so every run finds the same offsets.
        properties = {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 5, "log_level": 0}
        self._producer = Producer(properties | {"reconnect.backoff.max.ms": 500})
        self._failed: list[str] = []
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Send what is left, and wait until the brokers have everything."""
        self._hurry.set()
        self._thread.join()
        left = self._producer.flush(60)
        assert not left, f"{left} records did not reach {self.topic}"
        assert not self._failed, self._failed[:3]

    def _send(self) -> None:
        began = time.monotonic()
        for number, (key, value) in enumerate(self._records):
            wait_s = began + number / self._per_s - time.monotonic()
            if number == len(self._records) - KEPT_BACK:
                self._hurry.wait()  # Whatever happens until then, something is left to be done afterwards.
            elif wait_s > 0.02:
                self._hurry.wait(wait_s)
            partition = zlib.crc32(key) % PARTITIONS
            self._producer.produce(self.topic, value, key, partition, on_delivery=self._told)
            self._producer.poll(0)

    def _told(self, error, _message):
        if error is not None:
            self._failed.append(str(error))
