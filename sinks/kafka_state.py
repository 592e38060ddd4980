"""The state topic of a flow on Kafka: how the state of a shard lies in it, and how it is read back.

A shard has one partition. Its keys are JSON: ``[shard]`` for the manifest, ``[shard, part, i]`` for the
i-th chunk of a part. The manifest names each part's number of chunks, so a chunk left over from a longer
value is never read, and a missing one is noticed. Compaction keeps the last value of each key; what is
read is the live state plus at most the segments that compaction has not reached
(``KafkaSettings.state_segment_bytes``).

Why the end is the high watermark and not the last stable offset: shards share partitions, and
another shard's open transaction holds the last stable offset back, possibly below this shard's own
last commit. So ``restore`` notes the high watermark after fencing and reads committed records until
it is reached, if need be until that transaction ends (``transaction_timeout_ms`` at the latest).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Mapping
from typing import Final

import orjson
from confluent_kafka import Consumer, TopicPartition

from sinks.commit_log import CommitLogError, CommitLogUnavailable, Snapshot
from sinks.kafka_connection import LOGGER, PARTITION_EOF, KafkaConnection
from sinks.kafka_settings import KafkaSettings

MANIFEST_VERSION: Final = 1
_CONSUME_MAX: Final = 500
_POLL_S: Final = 0.1


class StateTopic:
    """The compacted topic that holds the states of a flow's shards."""

    def __init__(self, flow: str, settings: KafkaSettings, connection: KafkaConnection) -> None:
        self._flow, self._settings, self._connection = flow, settings, connection
        self.topic: Final = settings.state_topic(flow)

    def partition(self, shard: str) -> int:
        """Return where the state of a shard lies."""
        return zlib.crc32(shard.encode()) % self._settings.state_partitions

    def check(self, topics: Mapping[str, int]) -> None:
        """See that the topic, whoever created it, places the shards as we do and keeps their state.

        Args:   topics: their numbers of partitions.
        Raises: CommitLogUnavailable, CommitLogError.
        """
        topic, partitions = self.topic, self._settings.state_partitions
        if (found := topics[topic]) != partitions:
            raise CommitLogError(
                f"topic {topic} has {found} partitions, the settings say {partitions}: their number places the"
                f" shards and must not change; set state_partitions to what it was when the topic was created"
            )
        if (policy := self._connection.configuration(topic, "cleanup.policy")) != "compact":
            raise CommitLogError(
                f"topic {topic} has cleanup.policy={policy}, which would forget the state; set it to compact"
            )

    def read(self, shards: Collection[str], deadline: float, *, stable: bool = False) -> dict[bytes, bytes]:
        """Return the last committed value of each key of these shards.

        Args:   deadline: of ``time.monotonic``. stable: only as far as no transaction is open.
        Raises: CommitLogUnavailable, CommitLogError.
        """
        topic, operation = self.topic, f"restore of {_named(shards)}"
        own = tuple(manifest_key(shard)[:-1] for shard in shards)  # All keys of a shard, and of no other, begin so.
        bounds = {
            partition: self._connection.bounds(topic, partition, max(deadline - time.monotonic(), 0.0), stable=stable)
            for partition in sorted({self.partition(shard) for shard in shards})
        }
        properties = {
            "group.id": f"{self._settings.prefix}{self._flow}-restore",  # Demanded, and never joined.
            "enable.auto.commit": "false",
            "isolation.level": "read_committed",
            "enable.partition.eof": "true",
            "fetch.wait.max.ms": "10",
            "error_cb": self._connection.note,
        }
        values: dict[bytes, bytes | None] = {}
        with self._connection.translating(operation):
            consumer = Consumer(self._settings.client(properties), logger=LOGGER)
            try:
                consumer.assign([TopicPartition(topic, partition, start) for partition, (start, _) in bounds.items()])
                while bounds and time.monotonic() < deadline:
                    # One first: asked for many, the driver waits until it has them all or the time is over.
                    for message in [*consumer.consume(1, _POLL_S), *consumer.consume(_CONSUME_MAX, 0)]:
                        error, key, partition = message.error(), message.key(), message.partition()
                        if error is None:
                            if key is not None and key.startswith(own):
                                values[key] = message.value()
                        elif error.code() != PARTITION_EOF:
                            self._connection.note(error)
                        elif partition in bounds and (message.offset() or 0) >= bounds[partition][1]:
                            del bounds[partition]
            finally:
                consumer.close()
        if bounds:
            partition, (_, end) = next(iter(bounds.items()))
            raise CommitLogUnavailable(
                f"{operation} did not reach the end of {topic}[{partition}] (offset {end}) within"
                f" {self._settings.restore_timeout_ms} ms: another shard's transaction is open, or the brokers are"
                " slow; try again"
            )
        return {key: value for key, value in values.items() if value is not None}


def manifest_key(shard: str) -> bytes:
    """Return the key of the shard's manifest."""
    return orjson.dumps([shard])


def cut(
    shard: str, position: str, state: Mapping[str, bytes], before: Mapping[str, int], size: int
) -> tuple[dict[str, int], dict[bytes, bytes | None]]:
    """Return the chunks of each part after this commit, and the values to write: the changed parts, the manifest last.

    Args: before: chunks of each part as it is now. size: bytes of a chunk.
    """
    chunks = dict(before)
    values: dict[bytes, bytes | None] = {}
    for part, value in state.items():
        values |= {_chunk_key(shard, part, i): None for i in range(chunks.pop(part, 0))}
        pieces = [value[start : start + size] for start in range(0, len(value), size)]
        values |= {_chunk_key(shard, part, i): piece for i, piece in enumerate(pieces)}
        if pieces:
            chunks[part] = len(pieces)
    values[manifest_key(shard)] = orjson.dumps({"version": MANIFEST_VERSION, "position": position, "chunks": chunks})
    return chunks, values


def snapshot_of(shard: str, values: Mapping[bytes, bytes]) -> tuple[Snapshot | None, dict[str, int]]:
    """Put the chunks together as the manifest says; return their numbers, too.

    Raises: CommitLogError when a later release wrote them, or one is missing.
    """
    if manifest_key(shard) not in values:
        return None, {}
    manifest = orjson.loads(values[manifest_key(shard)])
    if manifest["version"] != MANIFEST_VERSION:
        raise CommitLogError(
            f"restore of shard {shard!r} failed: a newer plantsync wrote its state (version {manifest['version']},"
            f" this one knows {MANIFEST_VERSION}); upgrade plantsync"
        )
    state: dict[str, bytes] = {}
    for part, count in manifest["chunks"].items():
        pieces = [values.get(_chunk_key(shard, part, i)) for i in range(count)]
        if None in pieces:
            raise CommitLogError(
                f"restore of shard {shard!r} failed: the state topic lost chunk {pieces.index(None)} of {part!r};"
                " see that its cleanup.policy is compact, and restore the topic from a backup"
            )
        state[part] = b"".join(piece for piece in pieces if piece is not None)
    return Snapshot(manifest["position"], state), manifest["chunks"]


def _chunk_key(shard: str, part: str, i: int) -> bytes:
    return orjson.dumps([shard, part, i])


def _named(shards: Collection[str]) -> str:
    return f"shard {next(iter(shards))!r}" if len(shards) == 1 else f"{len(shards)} shards"
