"""The whole job on workload W: landed files of JSON or Avro to confirmations in SQLite, a commit every second.

Runs in a process of its own, pinned to one processor, and says how long reading, deciding and
committing took; importing and starting are told apart. The outcome must have the oracle's hash.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.workload import ROOT, Workload, as_peers_row, canon
from sinks.sqlite import SqliteStreams


def measure(workload: Workload, processor: int | None = 0, form: str = "json") -> dict[str, float]:
    """Return seconds and events/s of one run, checked against the oracle; ``form`` is json or avro."""
    landed = workload.form(form)
    with tempfile.TemporaryDirectory(prefix="plantsync-bench-") as folder:
        log = Path(folder) / "log.db"
        began = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.job_process", str(landed.folder), str(log), form]
        pinned = [] if processor is None else ["taskset", "-c", str(processor)]
        done = subprocess.run([*pinned, *command], check=True, capture_output=True, text=True, cwd=ROOT)
        wall_s = time.perf_counter() - began
        told: dict[str, float] = json.loads(done.stdout)
        check(workload, log)
    told |= {"wall_s": wall_s, "events_per_s": workload.messages / told["flow_s"]}
    return told


def check(workload: Workload, log: Path) -> None:
    """Compare the confirmations with the oracle's. Raises: AssertionError."""
    streams = SqliteStreams(log)
    stored = streams.read("confirmations", 0, 10_000_000)
    streams.close()
    found = canon(as_peers_row(record.value) for record in stored)
    assert found == (workload.rows, workload.digest), f"{found} is not the oracle's {workload.rows, workload.digest}"
