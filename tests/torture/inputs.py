"""What is fed: the simulated plants with their truth, and a slice of workload W, as files and as topics.

Everything is made once and then only linked or read. The clock of the flows is a parameter (``Times``):
while records are read it stands still, and the plants' waits last a day, so that time decides nothing
before it is set on, first beyond the waits for missing numbers, then beyond those of idle confirmations.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.workload import MAPPING, Workload, workload
from canonical.mapping import load
from canonical.plants import shipped
from dataflows.simulator import FolderWriter, KafkaWriter, SimulationConfig, Truth, simulate

WAIT_S = 86_400
WAITS = {"gap_timeout_s": WAIT_S, "idle_s": WAIT_S}
HASTY = {"gap_timeout_s": 0.02, "idle_s": 0.05}
PARTITIONS = {"A": 3, "B": 2, "C": 1, "M": 1, "P": 2}
W_PLANTS = range(1, 6)
W_PARTITIONS = 3


@dataclass(frozen=True)
class Times:
    """Instants in UTC microseconds at which the clock stands still: read, then settle twice."""

    now_us: int = field(default_factory=lambda: time.time_ns() // 1_000 + 1_800_000_000)

    @property
    def settling_us(self):
        return [self.now_us + days * 2 * WAIT_S * 1_000_000 for days in (1, 2)]


@dataclass(frozen=True)
class Source:
    """One kind of input: its files, its topics once there is a broker, and what should come of it."""

    name: str
    files: Path
    topics: str
    truth: Truth | None = None
    oracle: Workload | None = None

    def mappings(self, folder, waits):
        """Write the plants' mappings, with other waits and our topics; return the names of the files."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.oracle:
            return self._mapping_of_w_topic(folder) if self.topics else self._mappings_of_w_folders(folder)
        for path in shipped():
            text = path.read_text("utf-8")
            for key, value in waits.items():
                text = re.sub(rf"^{key} = [\d_.]+.*$", f"{key} = {value}", text, flags=re.MULTILINE)
            text = re.sub(r'^topics = \["', f'topics = ["{self.topics}', text, flags=re.MULTILINE)
            text = re.sub(r"^collected = .*$", "", text, flags=re.MULTILINE)  # as files and topics, too
            (folder / path.name).write_text(text, "utf-8")
        return [path.name for path in shipped()]

    def _mappings_of_w_folders(self, folder):
        return [self._mapping_of_w(folder, f"w{n}.toml", f'folder = "p{n}"\npattern = "*.ndjson"') for n in W_PLANTS]

    def _mapping_of_w_topic(self, folder):
        return [self._mapping_of_w(folder, "w.toml", f'topics = ["{self.topics}w"]')]

    @staticmethod
    def _mapping_of_w(folder, name, place):
        head, _, rest = MAPPING.read_text("utf-8").partition("[input]")
        (folder / name).write_text(f"{head}[input]\n{place}\n\n[fields]{rest.partition('[fields]')[2]}", "utf-8")
        return name

    def landed(self):
        """Return the files as paths below the landing folder, in the order in which they land."""
        paths = [path for path in self.files.rglob("*") if path.is_file()]
        return [path.relative_to(self.files) for path in sorted(paths, key=lambda p: (p.stat().st_mtime_ns, str(p)))]

    def land(self, landing, pause_s=0.0):
        """Link every file into a landing folder, where each appears whole."""
        for path in self.landed():
            (landing / path.parent).mkdir(parents=True, exist_ok=True)
            os.link(self.files / path, landing / path)
            time.sleep(pause_s)


def plants(folder, seed, records):
    """Simulate the shipped plants into files. Returns: a Source."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    config = SimulationConfig.small(start, seed).model_copy(update={"records": records})
    (folder / "plants").mkdir()
    truth = simulate(config, FolderWriter(folder / "plants"))
    truth.save(folder / "truth.json")
    return Source("plants", folder / "plants", "", truth)


def slice_of_w(folder, sources=12, per_source=900):
    """Settle workload W's five plants as files; None where the generator is not at hand."""
    try:
        made = workload(sources, per_source)
    except FileNotFoundError:
        return None
    for number in W_PLANTS:
        target = folder / "w" / f"p{number}" / f"P{number}.ndjson"
        target.parent.mkdir(parents=True)
        target.write_bytes((made.folder / "plants" / f"P{number}.ndjson").read_bytes())
    return Source("w", folder / "w", "", oracle=made)


def at_topics(source, prefix):
    """Return the same input as read from topics of this prefix."""
    return replace(source, topics=prefix)


def create(source, servers):
    """Create the topics of an input."""
    if source.truth:
        counts = {topic: PARTITIONS[plant] for plant, topic in _topics(source).items()}
    else:
        counts = {f"{source.topics}w": W_PARTITIONS}
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.create_topics([NewTopic(name, count, 1) for name, count in counts.items()]).values():
        done.result(30)


def produce(source, servers, pause_s=0.0):
    """Write the records to the topics, each plant's in the order of arrival, in small batches."""
    settings = {"bootstrap.servers": servers, "batch.num.messages": 40, "linger.ms": 5}
    if source.truth:
        simulate(source.truth.config, _Slowly(settings, _topics(source), pause_s))
        return
    producer = Producer(settings | {"enable.idempotence": True})
    for path in source.landed():
        for line in (source.files / path).read_bytes().splitlines():
            at = line.index(b'"source":"') + 10
            producer.produce(f"{source.topics}w", line, line[at : line.index(b'"', at)])
        producer.flush(60)


def _topics(source):
    return {mapping.plant: f"{source.topics}{mapping.input.topics[0]}" for mapping in map(load, shipped())}


class _Slowly(KafkaWriter):
    """Pauses after each drop."""

    def __init__(self, settings, topics, pause_s):
        super().__init__(settings, topics)
        self._pause_s = pause_s

    def write(self, mapping, drop):
        super().write(mapping, drop)
        time.sleep(self._pause_s)
