"""What the sources of a site send: counted rounds, each a record of every source, with holes.

A number of each ``hole_every`` never comes, so that every source always has a gap, held records and
an open confirmation. Records land as files that appear whole, or in a topic, keyed by source.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.site import TOPIC, Site

Lines = list[tuple[bytes, bytes]]
"""Key and record."""


def rounds(sources: int, first: int, last: int, hole_every: int = 12) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records numbered ``first`` to ``last`` of every source, number by number."""
    now_ms = time.time_ns() // 1_000_000
    for number in range(first, last + 1):
        if number % hole_every == hole_every // 2:
            continue
        order = number // 40
        told = b'","boot":"1","n":%d,"kind":"CYCLE","ts":%d,"order":"O-' % (number, now_ms + number * 10)
        rest = b'","op":"0010","wc":"WC-%d","lot":"L-1","good":1,"cycle_ms":900}'
        for source in range(sources):
            name = b"machine-%06d" % source
            yield name, b'{"source":"%s%s%d-%d%s' % (name, told, source % 500, order, rest % (source % 50))


class Traffic:
    """Sends records to a site, all at once or steadily from a thread; to its topic where ``servers`` are named."""

    def __init__(self, site: Site, servers: str = "") -> None:
        self._site = site
        self._files = count()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5}) if servers else None
        self.sent = 0

    def send(self, lines: Lines, *, wait: bool = True) -> None:
        """Let these records land now; with ``wait``, until the broker has all of them."""
        if self._producer is None:
            land(self._site.landing / f"{next(self._files):08d}.ndjson", b"\n".join(line for _, line in lines) + b"\n")
        else:
            for key, line in lines:
                while True:
                    try:
                        self._producer.produce(TOPIC, line, key)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
            self._producer.flush(-1 if wait else 0)
        self.sent += len(lines)

    def send_all(self, lines: Iterator[tuple[bytes, bytes]], at_once: int = 100_000) -> None:
        """Let all of them land, some at a time."""
        while part := list(islice(lines, at_once)):
            self.send(part)

    def go_on(self, lines: Callable[[], Lines], interval_s: float) -> None:
        """Let ``lines()`` land every so often, until told to stop."""

        def run() -> None:
            due_s = time.monotonic()
            while not self._stop.wait(max(due_s - time.monotonic(), 0)):
                self.send(lines())
                due_s += interval_s

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._producer is not None:
            self._producer.flush(10)
            self._producer = None


def land(path: Path, data: bytes) -> None:
    """Let a file appear whole."""
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.rename(path)
