"""The whole job on workload W: landed JSON files to confirmations in SQLite, a commit every second.

Runs in a process of its own, pinned to one processor, and says how long reading, deciding and
committing took; importing and starting are told apart. The outcome must have the oracle's hash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from benchmarks.workload import MAPPING, ROOT, Workload, as_peers_row, canon


def measure(workload: Workload, processor: int | None = 0) -> dict[str, float]:
    """Return seconds and events/s of one run, checked against the oracle."""
    with tempfile.TemporaryDirectory(prefix="plantsync-bench-") as folder:
        log = Path(folder) / "log.db"
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.job", str(workload.chunks), str(log)]
        pinned = [] if processor is None else ["taskset", "-c", str(processor)]
        done = subprocess.run([*pinned, *command], check=True, capture_output=True, text=True, cwd=ROOT)
        wall_s = time.perf_counter() - began
        told: dict[str, float] = json.loads(done.stdout)
        check(workload, log)
    told |= {"wall_s": wall_s, "events_per_s": workload.messages / told["flow_s"]}
    return told


def check(workload: Workload, log: Path) -> None:
    """Compare the confirmations with the oracle's. Raises: AssertionError."""
    from sinks.sqlite import SqliteStreams

    streams = SqliteStreams(log)
    stored = streams.read("confirmations", 0, 10_000_000)
    streams.close()
    found = canon(as_peers_row(record.value) for record in stored)
    assert found == (workload.rows, workload.digest), f"{found} is not the oracle's {workload.rows, workload.digest}"


def main(chunks: str, log_path: str) -> None:
    """Run the flow over what has landed, and print the seconds it took."""
    from bytewax.testing import run_main

    from canonical.mapping import load
    from dataflows.confirmations import confirmations
    from dataflows.sources.clock import SystemClock
    from dataflows.sources.landed_files import FolderConfig, LandedFiles
    from dataflows.sources.shard_source import Pace, ShardInput
    from sinks.sqlite import SqliteLog

    clock, log = SystemClock(), SqliteLog(Path(log_path))
    config = FolderConfig(Path(chunks), "*.ndjson")
    shard = ShardInput(lambda: LandedFiles(config, clock), load(MAPPING))
    flow = confirmations({"w": shard}, log, Pace(until_end=True), clock, Event())
    cpu, began = os.times(), time.perf_counter()
    run_main(flow)
    flow_s, after = time.perf_counter() - began, os.times()
    log.close()
    cpu_s = after.user + after.system - cpu.user - cpu.system
    sys.stdout.write(json.dumps({"flow_s": flow_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
