"""The commit log on Apache Kafka: records in topics, state in a compacted topic.

Law: a commit is one Kafka transaction over the records, the changed parts of the state and a
manifest that holds the position. ``restore`` first takes over the shard's transactional id, which
rolls back a transaction that the older writer left open and fences that writer for good, and only
then reads. Readers that use ``isolation.level=read_committed`` see whole commits.

How the state lies in its topic, and how it is read back: ``sinks.kafka_state``.
Source: KIP-98 (transactions), KIP-360 and KIP-588 (producer epochs), librdkafka INTRODUCTION.md.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from sinks import kafka_connection
from sinks.commit_log import (
    FENCED,
    CommitInDoubt,
    CommitLogError,
    Record,
    Snapshot,
    WriterFenced,
)
from sinks.kafka_connection import LOGGER, KafkaConnection
from sinks.kafka_settings import KafkaSettings
from sinks.kafka_state import StateTopic, cut, manifest_key, snapshot_of
from sinks.records import weighed

_POLL_S: Final = 0.1
TAKEN_AT_ONCE: Final = 16
"""Shards whose writers are fenced at the same time; each takes a few answers of the coordinator."""

OwnManifests = dict[str, set[bytes | None]]
"""By shard, what its manifest is after this process's last commit: two where it is not known which."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for a partition of any topic, as for a plant's own."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class _Writer:
    """A shard that this process holds: its producer and how many chunks each part of its state has."""

    producer: Any
    partition: int
    undelivered: list[str]
    chunks: dict[str, int] = field(default_factory=dict)
    fenced: bool = False


class KafkaLog:
    """Writer of a flow's shards (see ``CommitLog``)."""

    def __init__(self, flow: str, settings: KafkaSettings, own: OwnManifests | None = None) -> None:
        """Write as ``flow``; nothing is sent before the first ``restore``.

        Args: own: what this process committed last. Hand the same to the next log of the process: then a
            shard that another process took over meanwhile is not taken back (``take_over``).
        Raises: CommitLogError when librdkafka refuses a property.
        """
        self._own: OwnManifests = {} if own is None else own
        self._settings = settings
        self._flow = flow
        # Without a bound the driver waits for ever; and after this time the broker has given up too.
        self._patience_s = settings.transaction_timeout_ms / 1000
        self._connection = KafkaConnection(settings)
        self._state = StateTopic(flow, settings, self._connection)
        self._topics: dict[str, int] = {}
        self._writers: dict[str, _Writer] = {}
        self._taken: dict[str, _Writer] = {}
        self._read: dict[bytes, bytes] = {}  # state of the shards taken over and not restored yet

    def take_over(self, shards: Sequence[str]) -> None:
        """Fence the older writers of all these shards, before any of them is restored, and read their state.

        Shards share partitions of the state topic, and a transaction that a dead writer left open
        keeps the restore of every other shard there waiting; after this none of theirs is open.
        Each partition is read once for all its shards.

        Raises: as ``restore``; WriterFenced when another process has committed to one of the shards since
            this one did: it replaced us while we were paused or cut off.
        """
        deadline = self._prepared()
        self._check_own([shard for shard in shards if shard in self._own], deadline)
        with ThreadPoolExecutor(TAKEN_AT_ONCE) as pool:
            writers = list(pool.map(lambda shard: self._take_over(shard, deadline), shards))
        self._taken = dict(zip(shards, writers, strict=True))
        self._read = self._state.read(shards, deadline)

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit.

        Raises: CommitLogUnavailable; CommitLogError when the cluster refuses us or the state is damaged.
        """
        self._writers.pop(shard, None)
        writer, values = self._taken.pop(shard, None), self._read
        if writer is None:
            deadline = self._prepared()
            writer = self._take_over(shard, deadline)
            values = self._state.read([shard], deadline)
        snapshot, writer.chunks = snapshot_of(shard, values)
        self._own[shard] = {values.get(manifest_key(shard))}
        if not self._taken:
            self._read = {}
        self._writers[shard] = writer
        return snapshot

    def peek(self, shard: str) -> Snapshot | None:
        """Return the last commit of a shard and fence nobody: for those who only look.

        Raises: CommitLogUnavailable; CommitLogError when the cluster refuses us or the state is damaged.
        """
        deadline = time.monotonic() + self._settings.restore_timeout_ms / 1000
        self._topics = self._connection.connect(self._settings.request_timeout_ms / 1000)
        if self._state.topic not in self._topics:
            return None
        self._state.check(self._topics)
        return snapshot_of(shard, self._state.read([shard], deadline))[0]

    def commit(
        self,
        shard: str,
        position: str,
        state: Mapping[str, bytes],
        records: Collection[Record],
        deliveries: Sequence[Delivery] = (),
    ) -> None:
        """Store and deliver all of it in one transaction, or nothing.

        Raises: WriterFenced, CommitLogUnavailable, CommitInDoubt, CommitLogError.
        """
        assert shard in self._writers, f"restore shard {shard!r} before committing to it"
        writer = self._writers[shard]
        if writer.fenced:
            raise WriterFenced(f"commit of shard {shard!r} to Kafka refused: {FENCED}")
        for stream in weighed(records):
            self._ensure(self._settings.topic(stream), self._settings.partitions, self._settings.record_topic(stream))
        writer.undelivered.clear()
        try:
            writer.producer.begin_transaction()
            chunks, manifest = self._send(shard, writer, position, state, records)
            for sent in deliveries:
                message = {"value": sent.value, "key": sent.key, "partition": sent.partition}
                _produce(writer, sent.topic, {**message, "headers": list(sent.headers)})
            self._own[shard].add(manifest)  # Either may be the last one, until the broker has answered.
            writer.producer.commit_transaction(self._patience_s)
        except KafkaException as error:
            raise self._undone(shard, writer, error.args[0]) from error
        except BaseException:
            with suppress(KafkaException):  # The next commit, or the broker's time-out, rolls it back.
                writer.producer.abort_transaction(self._patience_s)
            raise
        writer.chunks, self._own[shard] = chunks, {manifest}

    def close(self) -> None:
        """Let go of all shards; between calls no transaction is open."""
        self._writers.clear()
        self._taken.clear()
        self._read.clear()

    def _prepared(self) -> float:
        """Return when a restore that begins now must be over; the state topic exists and is as it must be."""
        deadline = time.monotonic() + self._settings.restore_timeout_ms / 1000
        self._topics = self._connection.connect(self._settings.restore_timeout_ms / 1000)
        self._ensure(self._state.topic, self._settings.state_partitions, self._settings.compacted_topic())
        self._state.check(self._topics)
        return deadline

    def _take_over(self, shard: str, deadline: float) -> _Writer:
        """Become the shard's writer: from here on no other can commit to it."""
        undelivered: list[str] = []

        def note(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                undelivered.append(f"{message.topic()}: {error.str()} ({error.name()})")

        timeout_ms = self._settings.transaction_timeout_ms
        properties = self._settings.client(
            {
                "transactional.id": f"{self._settings.prefix}{self._flow}.{shard}",
                "transaction.timeout.ms": str(timeout_ms),
                "partitioner": "murmur2_random",  # Java's, so that readers in any language find a key.
                "message.max.bytes": str(self._settings.record_bytes_max),
                "error_cb": self._connection.note,
                "on_delivery": note,
                "delivery.report.only.error": True,
            }
        )
        # librdkafka demands that a request does not outlive its transaction.
        defaults = {"compression.type": "lz4", "socket.timeout.ms": str(min(60_000, timeout_ms))}
        with self._connection.translating(f"restore of shard {shard!r}"):
            producer = Producer(defaults | properties, logger=LOGGER)
            producer.init_transactions(max(deadline - time.monotonic(), _POLL_S))
        return _Writer(producer, self._state.partition(shard), undelivered)

    def _check_own(self, shards: Sequence[str], deadline: float) -> None:
        """See that nobody else has committed to these shards since this process did.

        Only up to the last stable offset: what follows is open, possibly a transaction of our own, which
        the taking over is about to end.
        """
        if shards:
            values = self._state.read(shards, deadline, stable=True)
            for shard in shards:
                if values.get(manifest_key(shard)) not in self._own[shard]:
                    raise WriterFenced(f"restore of shard {shard!r} from Kafka refused: {FENCED}")

    def _ensure(self, topic: str, partitions: int, configuration: Mapping[str, str]) -> None:
        if topic not in self._topics:
            self._topics = self._connection.connect(self._settings.request_timeout_ms / 1000)
        if topic not in self._topics:
            self._connection.create(topic, partitions, configuration)
            self._topics = self._connection.connect(self._settings.request_timeout_ms / 1000)

    def _send(
        self, shard: str, writer: _Writer, position: str, state: Mapping[str, bytes], records: Collection[Record]
    ) -> tuple[dict[str, int], bytes | None]:
        """Hand everything to the producer; returns the number of chunks of each part afterwards, and the manifest."""
        for record in records:
            message = {"value": record.value, "key": record.key, "headers": list(record.headers)}
            _produce(writer, self._settings.topic(record.stream), message)
        chunks, values = cut(shard, position, state, writer.chunks, self._settings.state_chunk_bytes)
        for key, piece in values.items():
            _produce(writer, self._state.topic, {"key": key, "value": piece, "partition": writer.partition})
        return chunks, values[manifest_key(shard)]

    def _undone(self, shard: str, writer: _Writer, error: KafkaError) -> CommitLogError:
        """Roll the transaction back and say what became of the commit."""
        operation = f"commit of shard {shard!r}"
        try:
            writer.producer.abort_transaction(self._patience_s)
        except KafkaException as aborting:
            if kafka_connection.FENCED in (error.code(), aborting.args[0].code()):
                writer.fenced = True
                return WriterFenced(f"{operation} to Kafka refused: {FENCED}")
            # Only the broker knows, and only the shard's next writer can ask it.
            del self._writers[shard]
            return CommitInDoubt(f"{operation}: the answer was lost ({error.str()}); restore the shard, then go on")
        if writer.undelivered:
            operation += f" ({len(writer.undelivered)} not delivered; first, to topic {writer.undelivered[0]})"
        return self._connection.translated(operation, error)


def _produce(writer: _Writer, topic: str, message: dict[str, Any]) -> None:
    while True:
        try:
            writer.producer.produce(topic, **message)
        except BufferError:
            writer.producer.poll(_POLL_S)  # Until sent messages make room; their own time-out bounds it.
        except KafkaException as error:
            writer.undelivered.append(f"{topic}: {error.args[0].str()}")
            raise
        else:
            return
