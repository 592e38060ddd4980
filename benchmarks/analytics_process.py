"""The process that ``analytics`` measures: the flow ``analytics``, reading confirmations that never end.

    python -m benchmarks.analytics_process FOLDER SECONDS

Everything is the flow's own but the log: a reader in memory gives the same 50,000 records again and again under new
offsets, as fast as they are taken, and another one a gap each 0.1 s that says when it was told, by which
readers know how old what they see is. Prints the rows that were committed, the seconds that took, those of the
processor, and the rows of each publication.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from bytewax.run import cli_main

from benchmarks.facts import Scale, made
from canonical.contracts import Confirmation
from canonical.records import NO_RECORDS, RawRecords
from dataflows.analytics import analytics
from dataflows.heap import keep_heap
from dataflows.sources.clock import SystemClock
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.analytics.store import Store, StoreConfig

RECORDS, BATCH = 50_000, 10_000
TICK_S = 0.1
HOT_ROWS_MAX = 300_000
"""Fewer than a site has, so that rows move into files all the time."""


class Endless:
    """Confirmations, under offsets that never end."""

    def __init__(self) -> None:
        self._next = 1
        values = []
        for name, tables in made(Scale(RECORDS, order_hours=1)):
            if name == "confirmation":
                values += [_encoded(row) for row in tables[name].to_pylist()]
        self._batches = [values[first : first + BATCH] for first in range(0, RECORDS, BATCH)]

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position says all
        """Go on where the store says."""
        self._next = int(position or 1)

    def poll(self) -> RawRecords:
        """Return the next."""
        values = self._batches[self._next // BATCH % len(self._batches)]
        offsets = np.arange(self._next, self._next + len(values))
        self._next += len(values)
        return RawRecords.from_values(values, offsets)

    def position(self) -> str:
        """Return the next offset."""
        return str(self._next)

    def state(self) -> Mapping[str, bytes]:
        """Need nothing else."""
        return {}

    def at_end(self) -> bool:
        """Never end."""
        return False

    def behind(self) -> int:
        """Be not asked."""
        return 0

    def close(self) -> None:
        """Hold nothing."""


class Ticks(Endless):
    """Gaps that say when they were told."""

    def __init__(self) -> None:
        self._next = 1
        self._due_s = time.monotonic()

    def poll(self) -> RawRecords:
        """Return one when it is time."""
        if time.monotonic() < self._due_s:
            return NO_RECORDS
        self._due_s = time.monotonic() + TICK_S
        self._next += 1
        gap = {"plant": "A", "source": "clock", "session": "", "first_seq": 1, "last_seq": 1}
        told = json.dumps({**gap, "declared_us": time.time_ns() // 1_000}).encode()
        return RawRecords.from_values([told], np.array([self._next]))

    def at_end(self) -> bool:
        """Wait for the next."""
        return time.monotonic() < self._due_s


def _encoded(row: dict[str, object]) -> bytes:
    del row["stream_offset"]
    return Confirmation.model_validate(row).model_dump_json().encode()


class Counted(Store):
    """A store that counts."""

    rows = 0
    slowest_s = 0.0

    def commit(self, *arguments: object) -> int:
        """Count the rows."""
        new = super().commit(*arguments)  # type: ignore[arg-type]
        self.rows += new
        return new

    def publish(self) -> None:
        """Note the longest publication."""
        began = time.perf_counter()
        super().publish()
        self.slowest_s = max(self.slowest_s, time.perf_counter() - began)


def main(folder: str, seconds: str) -> None:
    """Run for so many seconds."""
    keep_heap()
    place = Path(folder)
    store = Counted(
        StoreConfig(path=place / "store.duckdb", published=place / "analytics.duckdb", hot_rows_max=HOT_ROWS_MAX)
    )
    stop = threading.Event()
    shards = {"stream:confirmations": ShardInput(Endless, stream="confirmations")}
    shards["stream:gaps"] = ShardInput(Ticks, stream="gaps")
    flow = analytics(shards, store, Pace(), SystemClock(), stop)
    threading.Timer(float(seconds), stop.set).start()
    began, before = time.perf_counter(), os.times()
    cli_main(flow)
    ended, after = time.perf_counter(), os.times()
    told = {"rows": store.rows, "s": ended - began, "publication_max_s": store.slowest_s}
    told["cpu_s"] = sum(after[:4]) - sum(before[:4])
    store.close()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
