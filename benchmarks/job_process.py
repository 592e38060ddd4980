"""The process that ``job`` measures: run the flow over what has landed, print the seconds it took and its peak memory.

Where it is told how many events come first, it also prints the number and the seconds of those that follow the first
commit after them (``later_*``): from a commit to a commit, so that each event counted has its results paid for.
The peak is VmHWM of proc(5), which counts from when the program began: what wait4 reports (``ru_maxrss``) is never less
than what its parent held.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

from bytewax.run import cli_main

from benchmarks.workload import AVRO_MAPPING, MAPPING
from canonical.mapping import load
from canonical.records import RawRecords
from dataflows.confirmations import confirmations
from dataflows.heap import collect_seldom, keep_heap
from dataflows.sources.clock import SystemClock
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.sqlite import SqliteLog


class Counted(LandedFiles):
    """A folder that counts the events read from it."""

    read = 0

    def poll(self) -> RawRecords:
        """Return the next lines."""
        records = super().poll()
        self.read += len(records)
        return records


class Noted(SqliteLog):
    """A log that notes the time, and how many events have been read, at the first commit after so many."""

    folder: Counted
    first = 0
    noted: tuple[int, Times] | None = None

    def commit(self, *committed: Any) -> None:
        """Commit, and look at the clock."""
        super().commit(*committed)
        if self.noted is None and 0 < self.first <= self.folder.read:
            self.noted = self.folder.read, now()


Times = tuple[float, float]
"""Seconds on the wall, and of the processor."""


def now() -> Times:
    """Return both times."""
    cpu = os.times()
    return time.perf_counter(), cpu.user + cpu.system


def main(chunks: str, log_path: str, form: str = "json", first: str = "0", interval_s: str = "1") -> None:
    """Read the chunks to their end into the log; ``form`` is json or avro, ``interval_s`` the time between commits."""
    keep_heap()
    collect_seldom()
    clock, log = SystemClock(), Noted(Path(log_path))
    pattern, mapping = ("*.avro", AVRO_MAPPING) if form == "avro" else ("*.ndjson", MAPPING)
    config = FolderConfig(Path(chunks), pattern, form)
    folder = Counted(config, clock)
    log.folder, log.first = folder, int(first)
    shard = ShardInput(lambda: folder, load(mapping))
    pace = Pace(until_end=True, commit_interval_us=round(float(interval_s) * 1e6))
    flow = confirmations({"w": shard}, log, pace, clock, Event())
    began, began_cpu = now()
    cli_main(flow)
    ended, ended_cpu = now()
    log.close()
    before, (later, later_cpu) = log.noted or (0, (began, began_cpu))  # there may be fewer events
    told = {"flow_s": ended - began, "cpu_s": ended_cpu - began_cpu, "peak_mb": peak_mb()}
    told |= {"later_events": folder.read - before, "later_s": ended - later, "later_cpu_s": ended_cpu - later_cpu}
    sys.stdout.write(json.dumps(told))


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
