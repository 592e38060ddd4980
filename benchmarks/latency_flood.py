"""Telemetry sent at a rate by a process of its own, so that probes wait behind none of it before they are sent.

    python -m benchmarks.latency_flood SERVERS RATE

Ends when its input is closed, and prints how many records a second it has sent. It yields the processor to what is
measured, since it would be other machines' work.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice

from confluent_kafka import Producer

from benchmarks.site import TOPIC

SOURCES = 1_000
TICK_S = 0.01
AT_ONCE = 5_000
"""Records at most between two looks at the time."""


def telemetry() -> Iterator[tuple[bytes, bytes]]:
    """Yield readings of every source, number by number, in sessions that are new each time."""
    now_ms = time.time_ns() // 1_000_000
    for number in count():
        told = (now_ms, number, now_ms)
        rest = b'","boot":"%d","n":%d,"kind":"TEMP","ts":%d,"order":"O-1","op":"0010","wc":"WC-1"}' % told
        for source in range(SOURCES):
            name = b"machine-%06d" % source
            yield name, b'{"source":"' + name + rest


def main(servers: str, rate: str) -> None:
    """Send until the input is closed."""
    os.nice(5)
    producer, flood = Producer({"bootstrap.servers": servers, "linger.ms": 5}), telemetry()
    closed = threading.Event()

    def until_told() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=until_told, daemon=True).start()
    print("ready", flush=True)
    began_s, sent = time.monotonic(), 0
    while not closed.is_set():
        due = round(float(rate) * (time.monotonic() - began_s)) - sent
        for key, line in islice(flood, min(due, AT_ONCE)):
            while True:
                try:
                    producer.produce(TOPIC, line, key)
                    break
                except BufferError:
                    producer.poll(0.01)
            sent += 1
        producer.poll(0 if due > AT_ONCE else TICK_S)
    unsent = producer.flush(10)
    print((sent - unsent) / (time.monotonic() - began_s))


if __name__ == "__main__":
    main(*sys.argv[1:])
