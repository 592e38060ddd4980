"""The real flow on a real cluster while something goes wrong, and what must hold nevertheless.

Law (M25, M42, M49; DESIGN law 3): whatever the fault, the flow goes on by itself when it is over;
then confirmations, events and dead letters are those of an uninterrupted run, each once; and a
reader of committed records that ran all the time was given exactly what is committed in the end.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from sinks.kafka_connection import KafkaConnection
from sinks.kafka_settings import KafkaSettings
from tests.command import started
from tests.faults.plant import PARTITIONS, Plant, Record, mapping
from tests.faults.watcher import Place, Seen, Watcher, read
from tests.kafka_cluster import Cluster

STREAMS = ("confirmations", "events", "dead-letters")
PATIENCE_S = 180
ENDING_S = 40
OPEN_S = 0.2
"""Longer than one reader may be behind another."""
RECORDS_PER_S = 250
TRANSACTION_TIMEOUT_S = 4.0
BOUNDS = {"transaction_timeout_ms": 4_000, "request_timeout_ms": 3_000, "restore_timeout_ms": 12_000}
PROPERTIES = {
    "socket.timeout.ms": "2000",
    "socket.connection.setup.timeout.ms": "2000",
    "reconnect.backoff.max.ms": "500",
    "topic.metadata.refresh.interval.ms": "2000",
}
"""What a user would set too who cannot wait for a minute until a silent connection is given up."""

_numbers = itertools.count()


class Service:
    """``plantsync run confirmations`` as a process; what it says is kept in a file."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._said = folder / f"said-{next(_numbers)}"
        self._said.touch()
        said = (self._said, self._said)
        self.process = started(folder, "run", "confirmations", "--quiet", *arguments, said=said)

    @property
    def said(self) -> str:
        """Everything it has said so far."""
        return self._said.read_text()

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        try:
            return self.process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {ENDING_S} s; it said: {self.said}") from None

    def stop(self) -> int:
        """Ask it to end after a last commit; returns the exit code."""
        self.process.terminate()
        return self.ended()


class Scenario:
    """Topics of its own, a plant that goes on sending, and three readers that never stop."""

    def __init__(self, cluster: Cluster, folder: Path, records: list[Record], topic: str = "") -> None:
        self.cluster, self.folder, self.records = cluster, folder, records
        self.services: list[Service] = []
        number = next(_numbers)
        self.topic, self.prefix = topic or f"plant-{number}", f"ps{number}."
        # All shards' state in one partition: each is in the others' way as much as can be.
        properties = {"bootstrap.servers": cluster.direct}
        self._direct = KafkaSettings(properties, prefix=self.prefix, partitions=1, state_partitions=1)
        self.state_topic = self._direct.state_topic("confirmations")
        self.ledger = self._direct.topic("ledger")
        names = [*map(self._direct.topic, STREAMS), self.ledger, self.state_topic]
        self.topics = dict.fromkeys(names, 1)
        connection = KafkaConnection(self._direct)
        if not topic:
            connection.create(self.topic, PARTITIONS, {})
        for name in names:
            state = name == self.state_topic
            configuration = self._direct.compacted_topic() if state else {}
            connection.create(name, 1, configuration)
        cluster.ready()
        mapping(folder / f"{self.topic}.toml", self.topic)
        self._settings("service", cluster.servers)
        self._settings("direct", cluster.direct)

    def _settings(self, name: str, servers: str) -> None:
        properties = PROPERTIES | {"bootstrap.servers": servers}
        kafka = {"prefix": self.prefix, "partitions": 1, "state_partitions": 1, **BOUNDS}
        lines = [f'plants = ["{self.topic}.toml"]', '[log]\nkind = "kafka"', "[kafka]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in kafka.items()]
        lines += ["[kafka.properties]", *(f"{json.dumps(key)} = {json.dumps(v)}" for key, v in properties.items())]
        lines += ["[pace]", "commit_interval_s = 0.25"]
        (self.folder / f"{self.topic}-{name}.toml").write_text("\n".join(lines) + "\n")

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Have the readers running."""
        direct, servers, topics = self.cluster.direct, self.cluster.servers, self.topics
        with (
            Watcher(direct, topics, "read_committed") as self.committed,
            Watcher(servers, topics, "read_committed") as self.client,
            Watcher(direct, topics, "read_uncommitted") as self.everything,
        ):
            yield

    def plant(self, per_s: float = RECORDS_PER_S) -> Plant:
        """Let the plant begin to send."""
        return Plant(self.cluster.direct, self.topic, self.records, per_s)

    def service(self, *arguments: str, settings: str = "service") -> Service:
        """Start the flow; with the settings ``direct`` it does not feel the faults of the network."""
        self.services.append(Service(self.folder, "-c", f"{self.topic}-{settings}.toml", *arguments))
        return self.services[-1]

    def begun(self, per_s: float = RECORDS_PER_S) -> tuple[Plant, Service]:
        """Let the plant send and the flow run until it is in the middle of its work."""
        plant, service = self.plant(per_s), self.service()
        until(lambda: len(self.commits()) >= 4, "the first commits")
        return plant, service

    def amid_a_transaction(self) -> None:
        """Wait until records have been at the brokers for a while and are still not committed."""

        until(self.is_open, "an open transaction")

    def is_open(self) -> bool:
        """Whether records have been at the brokers for a while and are still not committed."""
        now, committed = time.monotonic(), self.committed.values()
        return any(seen.place not in committed and now - seen.at > OPEN_S for seen in self.everything.seen[-500:])

    def paused(self, service: Service) -> None:
        """Stop a process (SIGSTOP) that has sent records and not the end of their transaction."""
        for _ in range(50):
            self.amid_a_transaction()
            service.process.send_signal(signal.SIGSTOP)
            time.sleep(4 * OPEN_S)  # What was on its way when it was stopped has come by then.
            if self.is_open():
                return
            service.process.send_signal(signal.SIGCONT)
        raise AssertionError("it was never stopped amid a transaction")

    def transactional_id(self, partition: int) -> str:
        """Id of the transactions of the shard of an input partition."""
        return f"{self.prefix}confirmations.{self.topic}-{partition}"

    def commits(self, since: float = 0.0) -> list[Seen]:
        """Commits that could be read, of those that became visible after an instant."""
        seen = list(self.committed.seen)
        return [s for s in seen if s.at > since and s.place.topic == self.state_topic and s.key.count(b",") == 0]

    def positions(self) -> dict[bytes | None, int]:
        """Up to which offset each shard's records are part of a commit that can be read."""
        return {c.key: json.loads(json.loads(c.value or b"")["position"])["offset"] for c in self.commits()}

    def read_records(self) -> int:
        """How many of the plant's records are part of a commit that can be read."""
        return sum(self.positions().values())

    def first_commit(self, since: float) -> float:
        """Wait for the first commit after an instant; returns the seconds in between."""
        until(lambda: self.commits(since), "a commit")
        return self.commits(since)[0].at - since

    def sent_records(self) -> int:
        """How many records the plant's topic holds; an idempotent producer may repeat some when brokers are killed."""
        consumer = Consumer({"bootstrap.servers": self.cluster.direct, "group.id": "counter"})
        try:
            places = (TopicPartition(self.topic, number) for number in range(PARTITIONS))
            return sum(consumer.get_watermark_offsets(place, 30)[1] for place in places)
        finally:
            consumer.close()

    def all_read(self) -> None:
        """Wait until everything the plant has sent is part of a commit."""
        sent = self.sent_records()
        try:
            until(lambda: self.read_records() == sent, "all records in commits")
        except AssertionError as error:
            error.add_note(f"committed: {self.positions()} of {sent} records")
            unseen = sorted(read(self.cluster.direct, self.topics).keys() - self.committed.values().keys())
            error.add_note(f"a fresh reader sees {len(unseen)} records more: {unseen[:3]} ... {unseen[-3:]}")
            error.add_note("\n".join(f"it said: {service.said}" for service in self.services))
            raise

    def readers_at_the_end(self) -> dict[Place, bytes | None]:
        """Wait until the readers have all that is committed, which may reach them later than the commit; returns it."""
        final = read(self.cluster.direct, self.topics)
        for watcher in (self.committed, self.client):
            until(lambda: len(watcher.seen) >= len(final), "readers at the end")  # noqa: B023 - called at once
        return final

    def check(self, expected: dict[str, Counter[bytes]]) -> int:
        """Check the law; returns the number of records that were written and rolled back."""
        final = self.readers_at_the_end()
        for watcher in (self.committed, self.client):
            assert watcher.values() == final, "a reader of committed records saw something else"
            assert len(watcher.seen) == len(final), "a reader of committed records was given something twice"
            assert not watcher.errors
        if self.sent_records() != len(self.records):
            expected = self.undisturbed()
        assert self.outcome() == expected
        return len(self.everything.values().keys() - final.keys())

    def undisturbed(self) -> dict[str, Counter[bytes]]:
        """What comes of the topic's records, as they are there, when nothing goes wrong."""
        again = Scenario(self.cluster, self.folder, self.records, self.topic)
        with again.watched():
            service = again.service("--until-end")
            assert service.ended() == 0, service.said
            again.all_read()
            again.readers_at_the_end()
            return again.outcome()

    def outcome(self) -> dict[str, Counter[bytes]]:
        """What is committed of each stream."""
        topics = {self._direct.topic(stream): stream for stream in STREAMS}
        found: dict[str, Counter[bytes]] = {stream: Counter() for stream in STREAMS}
        for place, value in self.committed.values().items():
            if place.topic in topics:
                found[topics[place.topic]][value or b""] += 1
        return found


def until(reached: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + patience_s
    while not reached():
        assert time.monotonic() < deadline, f"waited {patience_s} s in vain for {what}"
        time.sleep(0.02)
