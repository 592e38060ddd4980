"""How to reach Kafka, and the bounds of the commit log that lives on it.

Law: every property of librdkafka passes through unchanged, except the few on which the commit log's
guarantees rest; and no secret is ever shown.
Source: librdkafka CONFIGURATION.md (names and meanings of ``properties``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sinks.stream_terms import FOR_EVER

# A commit is one transaction only as long as these are what the log sets them to.
RESERVED: Final = frozenset(
    {
        "acks",
        "enable.idempotence",
        "isolation.level",
        "message.max.bytes",
        "partitioner",
        "request.required.acks",
        "transactional.id",
        "transaction.timeout.ms",
    }
)
_SECRET: Final = re.compile(r"password|secret|key|token", re.IGNORECASE)
# What a broker counts beyond the record itself.
_FRAMING_BYTES: Final = 64 * 1024
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, repr=False)
class KafkaSettings:
    """Settings of the commit log on Kafka; its ``repr`` shows no secret.

    Args:
        properties: librdkafka's, at least ``bootstrap.servers``; TLS and SASL belong here.
        prefix: begins every topic and transactional id, so that one ACL covers them all.
        partitions: of a record topic that the log creates.
        state_partitions: of the state topic; fixed once the topic exists, since it places the shards.
        replication_factor: of topics that the log creates; -1 takes the broker's default.
        retention_ms: of records in topics that the log creates.
        record_bytes_max: largest record that may be written, key and headers included.
        state_chunk_bytes: larger parts of a state are cut into messages of this size.
        state_segment_bytes: segment size of the state topic; what is older than one segment gets
            compacted, so this bounds what ``restore`` reads beyond the live state.
        transaction_timeout_ms: a commit that takes longer fails, and the broker rolls back the
            transaction of a dead writer after this time.
        request_timeout_ms: bound of one administrative request.
        restore_timeout_ms: bound of a whole restore. Longer than a transaction may stay open,
            because a dead neighbour's transaction delays the reading of its partition that long.

    Raises:
        ValueError: naming every problem at once.
    """

    properties: Mapping[str, str]
    prefix: str = "plantsync."
    partitions: int = 6
    state_partitions: int = 16
    replication_factor: int = -1
    retention_ms: int = 30 * 24 * 3600 * 1000
    record_bytes_max: int = 4 * 1024 * 1024
    state_chunk_bytes: int = 900_000
    state_segment_bytes: int = 32 * 1024 * 1024
    transaction_timeout_ms: int = 30_000
    request_timeout_ms: int = 10_000
    restore_timeout_ms: int = 90_000

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise ValueError("Kafka settings: " + "; ".join(problems))

    def _problems(self) -> list[str]:
        problems = []
        if not self.properties.get("bootstrap.servers"):
            problems.append("properties lack bootstrap.servers; name a broker as host:port")
        problems += [
            f"property {name} is set by the commit log itself; remove it"
            for name in sorted(self.properties)
            if name in RESERVED
        ]
        if not _TOPIC.fullmatch(self.prefix):
            problems.append(f"prefix {self.prefix!r} may hold only letters, digits, '.', '_' and '-'")
        positive = (
            "partitions",
            "state_partitions",
            "state_chunk_bytes",
            "transaction_timeout_ms",
            "request_timeout_ms",
        )
        bounds = {name: int(getattr(self, name)) for name in positive}
        problems += [f"{name} is {value}; it must be at least 1" for name, value in bounds.items() if value < 1]
        if self.state_chunk_bytes > self.record_bytes_max:
            problems.append(f"state_chunk_bytes exceeds record_bytes_max ({self.record_bytes_max})")
        if self.restore_timeout_ms <= self.transaction_timeout_ms:
            problems.append(f"restore_timeout_ms must exceed transaction_timeout_ms ({self.transaction_timeout_ms})")
        return problems

    def topic(self, stream: str) -> str:
        """Topic of a stream."""
        return self.prefix + stream

    def state_topic(self, flow: str) -> str:
        """Topic that holds the state of a flow's shards."""
        return f"{self.prefix}{flow}-state"

    def record_topic(self, stream: str = "") -> dict[str, str]:
        """Configuration of a record topic that the log creates; some streams forget nothing."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": "-1" if stream in FOR_EVER else str(self.retention_ms),
            "max.message.bytes": str(self.record_bytes_max + _FRAMING_BYTES),
        }

    def compacted_topic(self) -> dict[str, str]:
        """Configuration of the state topic that the log creates."""
        return {
            "cleanup.policy": "compact",
            "segment.bytes": str(self.state_segment_bytes),
            "min.cleanable.dirty.ratio": "0.1",
            "max.message.bytes": str(self.record_bytes_max + _FRAMING_BYTES),
        }

    def client(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Properties of one client: defaults, then the user's, then what the log itself needs."""
        return {"reconnect.backoff.ms": "200"} | dict(self.properties) | dict(own)

    def __repr__(self) -> str:
        shown = {name: "***" if _SECRET.search(name) else value for name, value in self.properties.items()}
        values = [f"{f.name}={shown if f.name == 'properties' else getattr(self, f.name)!r}" for f in fields(self)]
        return f"KafkaSettings({', '.join(values)})"
