"""A stream of the log, each record of which is handed out once, while flows write it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dataflows.settings import Settings
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.stored_records import from_file, kafka_of
from sinks.commit_log import CommitLogUnavailable, PlantsyncError
from sinks.kafka_connection import KafkaConnection


class FollowedStream:
    """What is new in a stream; none while there is no log yet.

    On Kafka the readers stay open, one for each partition, and go on where they were after an outage.
    """

    def __init__(self, settings: Settings, stream: str) -> None:
        """Read nothing yet."""
        self._settings, self._stream = settings, stream
        self._after = 0
        self._readers: dict[int, KafkaPartition] = {}
        self._positions: dict[int, str] = {}

    def new(self) -> Iterator[bytes]:
        """Yield what was committed since the last time. Raises: SourceUnavailable, CommitLogError."""
        if self._settings.log.kind == "sqlite":
            with contextlib.suppress(CommitLogUnavailable):  # The flow that makes the log has not run yet.
                for place, stored in from_file(self._settings, self._stream, self._after):
                    self._after = int(place)
                    yield stored.value
            return
        try:
            yield from self._of_topic()
        except PlantsyncError:
            self.close()
            raise

    def close(self) -> None:
        """Leave the log."""
        for reader in self._readers.values():
            reader.close()
        self._readers = {}

    def _of_topic(self) -> Iterator[bytes]:
        kafka = kafka_of(self._settings)
        topic = kafka.topic(self._stream)
        if not self._readers:
            count = KafkaConnection(kafka).connect(kafka.request_timeout_ms / 1000).get(topic, 0)
            for partition in range(count):
                reader = KafkaPartition(kafka, topic, partition, count)
                reader.seek(self._positions.get(partition), {})
                self._readers[partition] = reader
        for partition, reader in self._readers.items():
            while records := reader.poll():
                for row in range(len(records)):
                    yield records.value(row)
                self._positions[partition] = reader.position()
