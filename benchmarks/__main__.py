"""Runs the benchmarks, prints a table, and adds a line to the history.

    python -m benchmarks [--runs N] [--sources N] [--per-source N] [--no-history]

Figures of different machines, or of different runs on a shared one, say little; compare ratios
measured in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import job, stage_costs
from benchmarks.workload import ROOT, workload

HISTORY = Path(__file__).with_name("history.jsonl")


def main() -> None:
    """Measure, print, remember."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of the whole job; the median counts")
    parser.add_argument("--sources", type=int, default=1000, help="sources of workload W")
    parser.add_argument("--per-source", type=int, default=2000, help="events of each source")
    parser.add_argument("--no-history", action="store_true", help="leave benchmarks/history.jsonl as it is")
    options = parser.parse_args()
    console = Console()

    try:
        made = workload(options.sources, options.per_source)
    except FileNotFoundError as error:
        parser.exit(1, f"{error}\n")
    with console.status("whole job") as status:
        runs = []
        for number in range(options.runs):
            status.update(f"whole job, run {number + 1} of {options.runs}")
            runs.append(job.measure(made))
        status.update("processor time of each stage")
        costs = stage_costs.measure(made)

    table = Table(title=f"Workload W, {made.messages:,} messages: JSON files to SQLite, commits every second, one core")
    for column in ("figure", "min", "median", "max"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, digits in (("events_per_s", 0), ("flow_s", 2), ("cpu_s", 2), ("wall_s", 2)):
        values = [run[name] for run in runs]
        table.add_row(name, *(f"{v:,.{digits}f}" for v in (min(values), median(values), max(values))))
    console.print(table)
    parts = Table(title="Processor time of an event")
    parts.add_column("part")
    parts.add_column("ns", justify="right")
    for name, ns in costs.items():
        parts.add_row(name, f"{ns:,.0f}")
    parts.add_row("all", f"{sum(costs.values()):,.0f}", style="bold")
    console.print(parts)
    console.print("The confirmations of every run had the oracle's hash.")
    if not options.no_history:
        told = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
        told |= {"messages": made.messages, "job": {k: median(r[k] for r in runs) for k in runs[0]}, "stage_ns": costs}
        with HISTORY.open("a") as history:
            history.write(json.dumps(told) + "\n")


def commit() -> str:
    """Return the commit measured, with a plus where files have changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    cpus = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _read(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    main()
