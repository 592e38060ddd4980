"""A Kafka partition as one shard, read with ``read_committed`` from the committed position.

The position is the commit log's, never the broker's: records and position are stored together.
Messages go from librdkafka's queue straight into one batch, and no Python object is made of a message
(``partition_queue``). Where that cannot be done, the driver makes objects of them, a thousand at a
time, and what is needed is taken from them at once, while they are in the processor's cache.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import methodcaller
from typing import Any, Final

import numpy as np
import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from canonical.records import NO_RECORDS, Headers, RawRecords
from dataflows.sources.errors import PositionLost, SourceUnavailable
from dataflows.sources.fetch_ahead import FetchAhead
from dataflows.sources.partition_queue import CALL_MESSAGES, PartitionQueue
from sinks.kafka_settings import KafkaSettings

LOGGER: Final = logging.getLogger(__name__)
BATCH_MESSAGES: Final = 20_000
FETCHED_BYTES: Final = 64 << 20
"""Fetched ahead and not yet polled, per flow: its shards divide it, and none gets less than ``FETCHED_BYTES_MIN``.

With four times as much the whole job takes a tenth more of the processor's time: its caches forget what was fetched.
"""
FETCHED_BYTES_MIN: Final = 8 << 20
FETCHING: Final[Mapping[str, object]] = {
    "queued.min.messages": 1_000_000,
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 100,  # How long the end of a partition takes to be told.
}
"""Measured: 178 k to 761 k messages/s for one consumer. Settings of the user go before."""


class KafkaPartition:
    """Reads one partition of one topic; a ``Reader``. ``shards`` says with how many others it shares the memory."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int, shards: int = 1) -> None:
        self.topic, self.partition = topic, partition
        self._patience_s = settings.request_timeout_ms / 1000
        ahead = {"queued.max.messages.kbytes": max(FETCHED_BYTES // shards, FETCHED_BYTES_MIN) >> 10}
        own = {
            "group.id": f"plantsync.{topic}.{partition}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
        self._consumer = Consumer({**FETCHING, **ahead, **settings.client(own)}, logger=LOGGER)
        self._queue = queue = PartitionQueue.of(self._consumer, topic, partition)
        self._batches = None if queue is None else FetchAhead(lambda: queue.take(BATCH_MESSAGES))
        self._next = 0
        self._at_end = False

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on at the committed offset, or at the first one there is. Raises: PositionLost, SourceUnavailable."""
        low, high = self.watermarks()
        self._next = low if position is None else orjson.loads(position)["offset"]
        if not low <= self._next <= high:
            raise PositionLost(
                f"{self} is committed up to offset {self._next}, but the topic holds {low} to {high}: records were "
                "deleted before they were read, or the topic is another one. Restore the topic, or start the "
                "shard anew after settling what is missing."
            )
        if self._queue is not None and self._batches is not None:
            self._batches.drop()
            self._queue.restart()
        self._consumer.assign([TopicPartition(self.topic, self.partition, self._next)])

    def poll(self) -> RawRecords:
        """Return up to ``BATCH_MESSAGES`` records of those that have been fetched."""
        if self._queue is None or self._batches is None:
            raw = self._consumed()
        else:
            raw = self._taken(self._queue, self._batches)
        if len(raw):
            self._next = max(self._next, int(raw.offsets[-1]) + 1)
        return raw

    def position(self) -> str:
        """Return the next offset."""
        return orjson.dumps({"topic": self.topic, "partition": self.partition, "offset": self._next}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return nothing: the offset is all."""
        return {}

    def at_end(self) -> bool:
        """Return whether the broker has said that nothing follows, or with its last records that those were the last.

        The latter is known a long poll earlier, but not where markers of transactions come last.
        """
        return self._at_end or 0 < self._told_end() <= self._next

    def behind(self) -> int:
        """Return the number of offsets that follow, those of open and rolled back transactions included.

        As the broker said with the records it sent last: to ask it would hold up every shard of the
        process while it does not answer. It is asked only as long as it has sent nothing yet.
        """
        high = self._told_end()
        if high < 0:
            low, high = self.watermarks()
            return max(high - max(self._next, low), 0)
        return max(high - self._next, 0)

    def _told_end(self) -> int:
        """Return the offset after the last as the broker said with the records it sent last; negative before that."""
        _, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, self.partition), cached=True)
        return int(high)

    def watermarks(self) -> tuple[int, int]:
        """Ask for the first offset there is and the one after the last. Raises: SourceUnavailable."""
        try:
            place = TopicPartition(self.topic, self.partition)
            low, high = self._consumer.get_watermark_offsets(place, self._patience_s)
        except KafkaException as error:
            raise self._unavailable(error.args[0]) from error
        return low, high

    def close(self) -> None:
        """Leave the broker."""
        if self._queue is not None and self._batches is not None:
            self._batches.drop()
            self._queue.close()
        self._consumer.close()

    def _taken(self, queue: PartitionQueue, batches: FetchAhead) -> RawRecords:
        """Let the driver log and look after its connections, then take what has been fetched."""
        if told := self._checked(self._consumer.consume(CALL_MESSAGES, 0)):
            raise AssertionError(f"{self}: {len(told)} messages went past their queue, {told[0].offset()} first")
        raw = batches.next()
        if error := queue.error():
            raise self._unavailable(error)
        end = queue.end()
        self._at_end = end is not None
        self._next = end or self._next  # behind the markers that transactions leave
        if len(raw) == BATCH_MESSAGES or queue.more():
            batches.begin()
        return raw

    def _consumed(self) -> RawRecords:
        values: list[bytes | None] = []
        offsets: list[int] = []
        keys: list[bytes | None] = []
        headers: list[Headers] = []
        while room := min(BATCH_MESSAGES - len(values), CALL_MESSAGES):
            if not (messages := self._checked(self._consumer.consume(room, 0))):
                break
            values += map(_VALUE, messages)
            offsets += map(_OFFSET, messages)
            keys += map(_KEY, messages)
            headers += map(_headers, messages)
        if not values:
            return NO_RECORDS
        known = [value or b"" for value in values]
        return RawRecords.from_values(known, np.array(offsets), self.topic, self.partition, keys, headers)

    def _checked(self, messages: list[Any]) -> list[Any]:
        """Return those that are no errors. Raises: SourceUnavailable."""
        if not any(map(_ERROR, messages)):
            self._at_end &= not messages
            return messages
        for message in messages:
            error = message.error()
            self._at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
            if self._at_end:
                self._next = message.offset() or self._next  # behind the markers that transactions leave
            elif error is not None and (error.fatal() or not error.retriable()):
                raise self._unavailable(error)
        return [message for message in messages if message.error() is None]

    def _unavailable(self, error: KafkaError) -> SourceUnavailable:
        return SourceUnavailable(
            f"reading {self} failed: {error.str()}. Check the broker, the topic and this user's right to read it."
        )

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


_ERROR: Final = methodcaller("error")
_VALUE: Final = methodcaller("value")
_OFFSET: Final = methodcaller("offset")
_KEY: Final = methodcaller("key")


def _headers(message: Any) -> Headers:
    return tuple((name, value or b"") for name, value in message.headers() or ())
