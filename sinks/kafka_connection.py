"""The administrative side of a Kafka cluster: is it there, which topics has it, where do they end.

Law: every failure becomes one of the commit log's errors with operation, brokers and hint; a wrong
password or certificate is told at once, a cluster that is down after the time given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from sinks.commit_log import CommitLogError, CommitLogUnavailable
from sinks.kafka_settings import KafkaSettings

LOGGER: Final = logging.getLogger(__name__)

_LEADER_POLL_S: Final = 0.05
# librdkafka's own codes begin with an underscore in Python too.
AUTHENTICATION: Final[int] = KafkaError._AUTHENTICATION
FENCED: Final[int] = KafkaError._FENCED
INVALID_ARG: Final[int] = KafkaError._INVALID_ARG
PARTITION_EOF: Final[int] = KafkaError._PARTITION_EOF
SSL: Final[int] = KafkaError._SSL

EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]

# What retrying cannot mend, and what does.
HINTS: Final = {
    AUTHENTICATION: "check sasl.mechanism, sasl.username and sasl.password",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check sasl.mechanism, sasl.username and sasl.password",
    SSL: "check ssl.ca.location, the broker's certificate and security.protocol",
    INVALID_ARG: "correct the Kafka properties",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "give this user the topic's permissions (docs/kafka.md)",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "give this user the cluster's permissions (docs/kafka.md)",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "give this user the transactional id (docs/kafka.md)",
    KafkaError.MSG_SIZE_TOO_LARGE: "raise record_bytes_max and the topic's max.message.bytes",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: "lower transaction_timeout_ms, or raise transaction.max.timeout.ms there",
    KafkaError.INVALID_REPLICATION_FACTOR: "lower replication_factor: there are fewer brokers",
    KafkaError.POLICY_VIOLATION: "ask who runs the cluster: its policy refuses this topic",
}


class KafkaConnection:
    """One administrative client of a cluster, and what the clients reported last."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Check the properties; nothing is sent yet.

        Raises: CommitLogError when librdkafka refuses a property.
        """
        self._settings = settings
        self._timeout_s = settings.request_timeout_ms / 1000
        self._reported: KafkaError | None = None
        with self.translating("connect"):
            self._admin = AdminClient(settings.client({"error_cb": self.note}), logger=LOGGER)

    def note(self, error: KafkaError) -> None:
        """Keep what a client reports on its own: the reason behind a time-out.

        That no broker answers does not push out a reason that says more.
        """
        if self._reported is None or error.code() in HINTS or self._reported.code() not in HINTS:
            self._reported = error

    def connect(self, timeout_s: float) -> dict[str, int]:
        """Wait until the cluster answers; returns the number of partitions of each topic it shows us.

        Raises: CommitLogUnavailable when it does not in time; CommitLogError at once when it refuses us.
        """
        deadline = time.monotonic() + timeout_s
        self._reported = None
        while True:
            try:
                return self._topics(min(1.0, timeout_s))
            except KafkaException as error:
                self._admin.poll(0)  # Hands what was reported meanwhile to note().
                refusal = self._refusal()
                if refusal is not None or time.monotonic() >= deadline:
                    raise self.translated("connect", refusal or error.args[0]) from error

    def create(self, topic: str, partitions: int, configuration: Mapping[str, str]) -> None:
        """Create a topic and wait until it has leaders; one that another process creates first stays as it is.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        new = NewTopic(topic, partitions, self._settings.replication_factor, config=dict(configuration))
        with self.translating(f"creation of topic {topic}"):
            try:
                self._answer(self._admin.create_topics([new], request_timeout=self._timeout_s))
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
            deadline = time.monotonic() + self._timeout_s
            while not self._topics(self._timeout_s).get(topic):
                if time.monotonic() >= deadline:
                    raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
                time.sleep(_LEADER_POLL_S)

    def configuration(self, topic: str, name: str) -> str:
        """Value of one configuration entry of a topic.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        with self.translating(f"look-up of {name} of topic {topic}"):
            resource = ConfigResource(ResourceType.TOPIC, topic)
            return str(self._answer(self._admin.describe_configs([resource]))[name].value)

    def bounds(self, topic: str, partition: int, timeout_s: float, *, stable: bool = False) -> tuple[int, int]:
        """Offset of the first record of a partition, and the one after its last, open transactions included.

        With ``stable`` the end is where the first open transaction begins.

        Raises: CommitLogUnavailable, CommitLogError.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._offset(topic, partition, EARLIEST), self._offset(topic, partition, LATEST, stable=stable)
            except KafkaException as error:  # The leader of a topic just created, or just moved, takes a moment.
                if error.args[0].code() in HINTS or time.monotonic() >= deadline:
                    raise self.translated(f"look-up of the offsets of {topic}[{partition}]", error.args[0]) from error
                time.sleep(_LEADER_POLL_S)

    def _offset(self, topic: str, partition: int, which: OffsetSpec, *, stable: bool = False) -> int:
        request = {TopicPartition(topic, partition): which}
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        answer = self._admin.list_offsets(request, isolation_level=level)
        return int(self._answer(answer).offset)

    @contextmanager
    def translating(self, operation: str) -> Iterator[None]:
        """Turn the driver's errors into the commit log's."""
        try:
            yield
        except KafkaException as error:
            raise self.translated(operation, error.args[0]) from error

    def translated(self, operation: str, error: KafkaError) -> CommitLogError:
        """Say what happened, where and what to do."""
        message = f"{operation} failed at Kafka {self._settings.properties['bootstrap.servers']}: {_said(error)}"
        if error.code() in HINTS:
            return CommitLogError(f"{message}; {HINTS[error.code()]}")
        if self._reported is not None:
            message = f"{message}; last reported: {_said(self._reported)}"
        return CommitLogUnavailable(f"{message}; check that the brokers run and can be reached, then try again")

    def _refusal(self) -> KafkaError | None:
        return self._reported if self._reported is not None and self._reported.code() in HINTS else None

    def _topics(self, timeout_s: float) -> dict[str, int]:
        """Topics whose partitions all have leaders. Asking for all of them creates none."""
        topics = self._admin.list_topics(timeout=timeout_s).topics
        return {
            name: len(found.partitions)
            for name, found in topics.items()
            if all(partition.leader >= 0 for partition in found.partitions.values())
        }

    def _answer(self, futures: Mapping[Any, Any]) -> Any:
        (future,) = futures.values()
        return future.result()


def _said(error: KafkaError) -> str:
    return f"{error.str()} ({error.name()})"
