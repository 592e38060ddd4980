"""Runs benchmarks, prints tables, and adds lines to the history.

    python -m benchmarks                speed: workload W through the whole job, on one core
    python -m benchmarks kafka          the same from Apache Kafka, beside a loop that only consumes
    python -m benchmarks latency        from an event to a committed record that can be read; holds under a flood
    python -m benchmarks scaling        more sources, disorder, duplicates; a second process
    python -m benchmarks micro          decoding by format, stages, commits by log, rows into the store
    python -m benchmarks recovery       SIGKILL with 10,000 sources: seconds to the first new commit
    python -m benchmarks memory         memory under floods, gaps and outages: does it stay bounded?
    python -m benchmarks analytics      every view over 100 million rows; three readers beside a writer for five minutes
    python -m benchmarks.pictures       the history and the roofline, drawn into docs/pictures/

Figures of different machines, or of different runs on a shared one, say little; compare ratios
measured in one run. Exit code 1 where a bound is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import analytics, job, kafka_job, latency, memory, micro, recovery, scaling, stage_costs
from benchmarks.table import Told, table
from benchmarks.workload import ROOT, workload

HISTORY = Path(__file__).with_name("history.jsonl")


def main() -> int:
    """Measure, print, remember."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures: dict[str, Callable[[argparse.Namespace, Console], Iterator[Told]]]
    measures = {
        "speed": speed,
        "kafka": kafka_job.run,
        "latency": latency.run,
        "scaling": scaling.run,
        "micro": micro.run,
        "recovery": recoveries,
        "memory": plateaus,
        "analytics": analytics.run,
    }
    parser.add_argument("what", nargs="*", choices=list(measures), default="speed", help="what to measure")
    parser.add_argument("--runs", type=int, help="runs of each; the median counts (speed 5, others 3)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--sources", type=int, help="sources (speed 1,000, recovery 10,000)")
    parser.add_argument("--per-source", type=int, default=2000, help="speed: events of each source")
    parser.add_argument("--logs", nargs="+", default=["sqlite", "kafka"], help="recovery: with which commit logs")
    parser.add_argument("--seconds", type=float, default=16, help="memory: how long each case is watched")
    parser.add_argument("--cases", nargs="+", default=list(memory.CASES), help="memory: which cases")
    parser.add_argument("--rows", type=int, default=100_000_000, help="analytics: confirmations; 0: no views")
    parser.add_argument("--reader-seconds", type=float, default=300, help="analytics: with readers, and as long alone")
    parser.add_argument("--folder", type=Path, help="analytics: where there are 10 GB of room (the system's folder)")
    parser.add_argument("--no-history", action="store_true", help="leave benchmarks/history.jsonl as it is")
    options = parser.parse_args()
    if options.quick:
        options.seconds = min(options.seconds, 8)
        options.rows, options.reader_seconds = min(options.rows, 20_000_000), min(options.reader_seconds, 40)
    console, exceeded = Console(), False
    load, _, _ = os.getloadavg()
    for what in dict.fromkeys([options.what] if isinstance(options.what, str) else options.what):
        for told in measures[what](options, console):
            exceeded |= bool(told.get("problems"))
            if not options.no_history:
                at = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
                with HISTORY.open("a") as history:
                    history.write(json.dumps(at | {"load": round(load, 1)} | told) + "\n")
    if load > (os.cpu_count() or 1):
        console.print(f"Others were at work here too (load {load:.0f}): seconds are longer than they need be.")
    return int(exceeded)


def speed(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure the whole job on workload W, and each stage."""
    try:
        made = workload(options.sources or 1000, options.per_source)
    except FileNotFoundError as error:
        sys.exit(str(error))
    count = options.runs or (2 if options.quick else 5)
    with console.status("whole job") as status:
        runs = []
        for number in range(count):
            status.update(f"whole job, run {number + 1} of {count}")
            runs.append(job.measure(made))
        status.update("processor time of each stage")
        costs = stage_costs.measure(made)

    shown = table(
        f"Workload W, {made.messages:,} messages: JSON files to SQLite, commits every second, one core",
        *("figure", "min", "median", "max"),
    )
    for name, digits in (("events_per_s", 0), ("flow_s", 2), ("cpu_s", 2), ("wall_s", 2)):
        values = [run[name] for run in runs]
        shown.add_row(name, *(f"{v:,.{digits}f}" for v in (min(values), median(values), max(values))))
    console.print(shown)
    parts = table("Processor time of an event", "part", "ns")
    for name, ns in costs.items():
        parts.add_row(name, f"{ns:,.0f}")
    parts.add_row("all", f"{sum(costs.values()):,.0f}", style="bold")
    console.print(parts)
    console.print("The confirmations of every run had the oracle's hash.")
    job_medians = {name: median(run[name] for run in runs) for name in runs[0]}
    yield {"messages": made.messages, "job": job_medians, "stage_ns": costs}


def recoveries(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Kill and restart a flow with each kind of log."""
    for log in options.logs:
        sources = options.sources or 10_000
        with console.status(f"recovery, {log}, {sources:,} sources"):
            found = recovery.measure(log, sources, options.runs or (1 if options.quick else 3))
        title = f"SIGKILL to first new commit: {sources:,} sources, {log}, {found.state_mb:.0f} MB state"
        shown = table(title, "part", "s")
        for name, seconds in found.phases.items():
            shown.add_row(name, f"{seconds:.2f}")
        worst = f"{median(found.seconds):.2f}, at most {max(found.seconds):.2f} of {len(found.seconds)} runs"
        shown.add_row("the command, from its start", worst, style="bold")
        console.print(shown)
        for problem in found.problems():
            console.print(f"{log}: {problem}", style="red")
        yield {"recovery": found.told(), "problems": found.problems()}


def plateaus(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Watch the memory of a flow in each case."""
    shown = table(
        f"Memory, {options.seconds:.0f} s watched each", "case", "peak MB", "MB/min at the end", "course", "and"
    )
    each = memory.session_bytes()
    for name in options.cases:
        with console.status(f"memory, {name}"):
            case = memory.measure(name, options.seconds)
        told = ", ".join([*(f"{k} {v:,.1f}" for k, v in case.figures.items()), *case.problems()])
        figures = (f"{case.peak_mb:,.0f}", f"{case.slope():,.0f}", course([mb for _, mb in case.seen]))
        shown.add_row(name, *figures, told, style="red" if case.problems() else None)
        yield {"memory": case.told(), "session_bytes": each, "problems": case.problems()}
    console.print(shown)
    console.print(f"Each session costs {each['memory']:,} bytes of memory and {each['state']:,} of state.")


def course(values: list[float], width: int = 24) -> str:
    """Return a picture of values as a line of bars, from 0 to the highest."""
    places = [values[place * len(values) // width] for place in range(width)]
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * value / max(values))] for value in places)


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
    sys.exit(main())
