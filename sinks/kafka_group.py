"""The offsets of a flow, told to a consumer group for those who look at groups: lag tools and dashboards (M36).

Law: nothing is ever read back from the group. Where a shard goes on is what its last commit says; that the group cannot
be told, or is told late, changes nothing else. So one request is under way at most, at most one begins in ``TELL_S``,
and nobody waits for its answer but ``close``, and that only ``CLOSE_S``.

The group has no members: offsets are told as an administrator resets them, which takes the group's right Read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from sinks.kafka_connection import LOGGER
from sinks.kafka_settings import KafkaSettings

TELL_S: Final = 1.0
CLOSE_S: Final = 2.0
ANSWER_S: Final = 120.0
"""An answer is waited for longer than a connection waits for it (``socket.timeout.ms``, 60 s): librdkafka ends the
whole process where an answer comes that it has given up (its issue 4605)."""

Places = Mapping[tuple[str, int], int]
"""The next offset of each partition of each topic."""


class GroupOffsets:
    """Tells one group. Not for several threads at once.

    Args: told: told of each request whether it succeeded.
    """

    def __init__(self, group: str, settings: KafkaSettings, told: Callable[[bool], None]) -> None:
        self._group, self._told = group, told
        self._admin = AdminClient(settings.client({}), logger=LOGGER)
        self._waiting: dict[tuple[str, int], int] = {}
        self._under_way: Future[Any] | None = None
        self._due_us = 0
        self._failed = False

    def tell(self, places: Places, now_us: int) -> None:
        """Tell the group so, soon."""
        self._waiting.update(places)
        if self._waiting and now_us >= self._due_us and self._answered():
            self._due_us = now_us + round(TELL_S * 1e6)
            self._begin()

    def close(self) -> None:
        """Tell what is left, and wait for the answer for a moment."""
        if self._under_way is not None:
            wait([self._under_way], CLOSE_S)
        if self._answered() and self._waiting:
            self._begin()
            assert self._under_way is not None
            wait([self._under_way], CLOSE_S)
            self._answered()

    def _begin(self) -> None:
        places, self._waiting = self._waiting, {}
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in places.items()]
        request = ConsumerGroupTopicPartitions(self._group, offsets)
        answers = self._admin.alter_consumer_group_offsets([request], request_timeout=ANSWER_S)
        (self._under_way,) = answers.values()

    def _answered(self) -> bool:
        """Return whether no request is under way; of the one that was, say whether it succeeded."""
        if self._under_way is None:
            return True
        if not self._under_way.done():
            return False
        problem = self._problem(self._under_way)
        self._under_way = None
        self._told(not problem)
        if problem and not self._failed:
            LOGGER.warning(
                "offsets of group %s were not told: %s. Nothing but lag tools needs them.", self._group, problem
            )
        self._failed = bool(problem)
        return True

    def _problem(self, answer: Future[Any]) -> str:
        try:
            told = answer.result()
        except KafkaException as error:
            return str(error.args[0].str())
        errors = [place.error for place in told.topic_partitions if place.error is not None]
        return str(errors[0].str()) if errors else ""
