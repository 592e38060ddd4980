"""The process that ``kafka_job`` measures: the flow over a topic, or a loop that only consumes it.

    python -m benchmarks.kafka_job_process job SERVERS TOPIC PARTITIONS PREFIX MAPPING
    python -m benchmarks.kafka_job_process bare SERVERS TOPIC PARTITIONS

Prints the seconds, and the processor time of the whole process and of its first thread, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from pathlib import Path
from threading import Event

from bytewax.run import cli_main
from confluent_kafka import Consumer, TopicPartition

from canonical.mapping import load
from dataflows.confirmations import confirmations
from dataflows.heap import collect_seldom, keep_heap
from dataflows.in_flight import CommitsInFlight
from dataflows.sources.clock import SystemClock
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings

CALL_MESSAGES = 1_000
BARE = {
    "group.id": "bare",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 262_144,
    "fetch.queue.backoff.ms": 5,
}
"""The best that settings make of a consumer."""


def job(servers: str, topic: str, partitions: int, prefix: str, mapping: str) -> Callable[[], None]:
    """Prepare the flow of a real process: partitions in, transactions out, a commit every second."""
    clock, settings = SystemClock(), KafkaSettings({"bootstrap.servers": servers}, prefix=prefix)
    log, plant = KafkaLog("confirmations", settings), load(Path(mapping))
    shards = {
        f"{topic}-{number}": ShardInput(partial(KafkaPartition, settings, topic, number, partitions), plant)
        for number in range(partitions)
    }
    log.take_over(list(shards))
    stop, pace = Event(), Pace(until_end=True, commit_interval_us=1_000_000)
    flight = CommitsInFlight(stop)
    flow = confirmations(shards, log, pace, clock, stop, flight.begin)

    def run() -> None:
        with flight:
            cli_main(flow)
        log.close()

    return run


def bare(servers: str, topic: str, partitions: int) -> Callable[[], None]:
    """Prepare a loop that takes the values of all messages and does nothing with them."""
    consumer = Consumer({"bootstrap.servers": servers, **BARE})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, 10)[1] for place in places)

    def run() -> None:
        nonlocal left
        consumer.assign(places)
        value = methodcaller("value")
        while left > 0:
            left -= len(list(map(value, consumer.consume(CALL_MESSAGES, 0.1))))
        consumer.close()

    return run


def main(what: str, servers: str, topic: str, partitions: str, *more: str) -> None:
    """Prepare, run, and tell what it took."""
    keep_heap()
    collect_seldom()
    made: dict[str, Callable[..., Callable[[], None]]] = {"job": job, "bare": bare}
    run = made[what](servers, topic, int(partitions), *more)
    cpu, thread_s, began_s = os.times(), time.thread_time(), time.perf_counter()
    run()
    flow_s, after = time.perf_counter() - began_s, os.times()
    cpu_s = after.user + after.system - cpu.user - cpu.system
    sys.stdout.write(json.dumps({"flow_s": flow_s, "cpu_s": cpu_s, "thread_s": time.thread_time() - thread_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
