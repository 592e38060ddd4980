"""A site under load: settings, a plant, and ``plantsync run`` as a real process that is watched and killed.

Memory is what the system says the process holds (VmRSS, VmHWM of proc(5)); a commit is seen by
looking at the log as any reader would.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import orjson
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.kafka_topic import committed
from benchmarks.workload import ROOT
from sinks.commit_log import CommitLogUnavailable, Snapshot
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings
from sinks.sqlite import SqliteStreams

TOPIC = "site.events"
PARTITIONS = 4
COMMAND = (str(Path(sys.executable).with_name("plantsync")),)
PLANT = """
title = "A site under load"
plant = "SITE"
format = "json"

[input]
folder = "site"
pattern = "*.ndjson"
topics = ["site.events"]

[fields]
source = "source"
session = "boot"
seq = "n"
type = "kind"
occurred = "ts"
order = "order"
operation = "op"
work_center = "wc"
lot = "lot"
good = "good"
machine = { path = "cycle_ms", unit = "ms" }

[time]
format = "epoch_ms"

[types]
CYCLE = "partial"
END = "complete"
TEMP = "telemetry"
HOLD = "hold"

[sequencing]
"""


class Site:
    """A folder with settings and one plant; its log is SQLite, or Kafka where ``servers`` are named."""

    def __init__(self, folder: Path, sequencing: Mapping[str, object], servers: str = "", **pace: object) -> None:
        self.folder, self.servers = folder, servers
        self.landing, self.log = folder / "landing" / "site", folder / "state" / "log.db"
        self.landing.mkdir(parents=True)
        (folder / "plant.toml").write_text(PLANT + _toml(sequencing))
        lines = ['landing = "landing"', 'plants = ["plant.toml"]', "[log]"]
        lines += [f'kind = "{"kafka" if servers else "sqlite"}"', f'path = "{self.log}"', "[pace]", "settle_s = 0"]
        lines += [_toml(pace)]
        if servers:
            lines += ["[kafka]", "transaction_timeout_ms = 4_000", "restore_timeout_ms = 20_000"]
            lines += ["[kafka.properties]", f'"bootstrap.servers" = "{servers}"']
            admin = AdminClient({"bootstrap.servers": servers})
            for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
                future.result()
        self.settings = folder / "plantsync.toml"
        self.settings.write_text("\n".join(lines) + "\n")

    def start(self, flow: str = "confirmations", program: tuple[str, ...] = COMMAND) -> Service:
        """Start a flow with the command that a service runs."""
        command = [*program, "run", flow, "--quiet", "-c", str(self.settings)]
        return Service(command, self.folder / f"{flow}.log")

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the last commit of each shard; empty before the first."""
        if self.servers:
            log = KafkaLog("confirmations", KafkaSettings({"bootstrap.servers": self.servers}))
            shards = ["folder:site", *(f"{TOPIC}-{number}" for number in range(PARTITIONS))]
            found = {shard: log.peek(shard) for shard in shards}
            return {shard: snapshot for shard, snapshot in found.items() if snapshot is not None}
        if not self.log.exists():
            return {}
        with suppress(CommitLogUnavailable), closing(SqliteStreams(self.log)) as streams:
            return streams.snapshots()
        return {}  # its tables are just being created

    def records(self, stream: str) -> Iterator[bytes]:
        """Yield the committed records of a stream, those of a key in order."""
        if self.servers:
            yield from committed(self.servers, KafkaSettings({"bootstrap.servers": self.servers}).topic(stream))
            return
        with closing(SqliteStreams(self.log)) as streams:
            after = 0
            while stored := streams.read(stream, after, 10_000):
                yield from (record.value for record in stored)
                after = stored[-1].offset

    def commits(self) -> Commits:
        """Return something that tells when the next commit has been made."""
        return KafkaCommits(self.servers) if self.servers else SqliteCommits(self.log)


class Service:
    """A process of ours."""

    def __init__(self, command: list[str], said: Path) -> None:
        self.began_s = time.monotonic()
        self.said = said
        with said.open("ab") as out:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        self.pid = self._process.pid

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Return what the process holds now, or at its peak (VmHWM). Raises: AssertionError when it has ended."""
        assert self._process.poll() is None, f"the flow has ended; it said: {self.said.read_text()[-2000:]}"
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) / 1024

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as power failure would."""
        self._process.kill()
        self._process.wait()

    def stop(self, patience_s: float = 60) -> int:
        """End it in order and return its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class SqliteCommits:
    """Commits of a SQLite log, seen from outside."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        self._before = self._positions()

    def next_s(self, patience_s: float) -> float:
        """Wait for a commit and return when it was seen (monotonic). Raises: AssertionError."""
        deadline = time.monotonic() + patience_s
        while (now_s := time.monotonic()) < deadline:
            if self._positions() != self._before:
                self._db.close()
                return now_s
            time.sleep(0.005)
        raise AssertionError(f"no commit within {patience_s} s")

    def _positions(self) -> list[tuple[str]]:
        return self._db.execute("SELECT position FROM shard").fetchall()


class KafkaCommits:
    """Commits of a log on Kafka, seen by the ledger entry that each one writes."""

    def __init__(self, servers: str) -> None:
        topic = KafkaSettings({"bootstrap.servers": servers}).topic("ledger")
        properties = {"bootstrap.servers": servers, "group.id": "benchmark", "isolation.level": "read_committed"}
        self._consumer = Consumer({**properties, "fetch.wait.max.ms": 5})
        parts = [TopicPartition(topic, n) for n in self._consumer.list_topics(topic).topics[topic].partitions]
        ends = [self._consumer.get_watermark_offsets(part)[1] for part in parts]
        self._consumer.assign([TopicPartition(topic, p.partition, end) for p, end in zip(parts, ends, strict=True)])

    def next_s(self, patience_s: float) -> float:
        """Wait for a commit and return when it was seen (monotonic). Raises: AssertionError."""
        message = self._consumer.poll(patience_s)
        seen_s = time.monotonic()
        assert message is not None, f"no commit within {patience_s} s"
        assert message.error() is None, message.error()
        self._consumer.close()
        return seen_s


Commits = SqliteCommits | KafkaCommits


def wait_for(what: str, true: Callable[[], bool], patience_s: float = 120) -> None:
    """Wait until it is true. Raises: AssertionError."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s"
        time.sleep(0.1)


def offset(snapshot: Snapshot) -> int:
    """Return how far a shard has got: files of a folder, records of a partition."""
    place = orjson.loads(snapshot.position)
    return int(place.get("ordinal", place.get("offset", 0)))


def _toml(values: Mapping[str, object]) -> str:
    return "".join(f"{name} = {orjson.dumps(value).decode()}\n" for name, value in values.items())
