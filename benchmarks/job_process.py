"""The process that ``job`` measures: run the flow over what has landed, print the seconds it took and its peak memory.

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

from bytewax.run import cli_main

from benchmarks.workload import AVRO_MAPPING, MAPPING
from canonical.mapping import load
from dataflows.confirmations import confirmations
from dataflows.heap import keep_heap
from dataflows.sources.clock import SystemClock
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.sqlite import SqliteLog


def main(chunks: str, log_path: str, form: str = "json") -> None:
    """Read the chunks to their end into the log; ``form`` is json or avro."""
    keep_heap()
    clock, log = SystemClock(), SqliteLog(Path(log_path))
    pattern, mapping = ("*.avro", AVRO_MAPPING) if form == "avro" else ("*.ndjson", MAPPING)
    config = FolderConfig(Path(chunks), pattern, form)
    shard = ShardInput(lambda: LandedFiles(config, clock), load(mapping))
    flow = confirmations({"w": shard}, log, Pace(until_end=True, commit_interval_us=1_000_000), clock, Event())
    cpu, began = os.times(), time.perf_counter()
    cli_main(flow)
    flow_s, after = time.perf_counter() - began, os.times()
    log.close()
    cpu_s = after.user + after.system - cpu.user - cpu.system
    sys.stdout.write(json.dumps({"flow_s": flow_s, "cpu_s": cpu_s, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
