"""Job J on workload W from Apache Kafka, beside a loop that only consumes, and beside the same job from files.

One run is all of them in turn: the flow of a real process (partitions in, transactions out, a commit every second),
the bare loop on the same topic, and the files. The outcome of every run has the oracle's hash.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from benchmarks import job
from benchmarks.kafka_topic import committed, filled
from benchmarks.table import Told, spread, table
from benchmarks.workload import ROOT, Workload, as_peers_row, canon, workload
from tests.kafka_broker import running

OF_FILES, OF_BARE = 0.8, 0.9
"""What is asked of the job: this part of its figure from files, or of the bare loop's, whichever is lower."""

LONGER: Final = 3
"""So many times as long is W here, for each of them: connecting, and finding out that nothing follows, are not what a
service does all day. A quick run takes W as it is."""

CASES = (("json", 1), ("avro", 1), ("json", 4))
"""Forms of W and numbers of partitions; a quick run takes the first two."""

Figures = dict[str, float]


def measured(program: list[str], processor: int | None) -> Figures:
    """Run the process that is measured, on one processor or on all."""
    pinned = [] if processor is None else ["taskset", "-c", str(processor)]
    command = [*pinned, sys.executable, "-m", "benchmarks.kafka_job_process", *program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: Figures = json.loads(done.stdout)
    return told


def check(made: Workload, servers: str, prefix: str) -> None:
    """Compare the confirmations with the oracle's. Raises: AssertionError."""
    found = canon(map(as_peers_row, committed(servers, f"{prefix}confirmations")))
    assert found == (made.rows, made.digest), f"{found} is not the oracle's {made.rows, made.digest}"


def one_run(made: Workload, servers: str, topic: str, partitions: int, form: str, mapping: Path) -> dict[str, Figures]:
    """Return the figures of each, in turn, on one processor and on all."""
    found: dict[str, Figures] = {}
    for processor, where in ((0, "one core"), (None, "all cores")):
        place = [servers, topic, str(partitions)]
        prefix = f"run-{time.time_ns()}."
        found[f"bare, {where}"] = measured(["bare", *place], processor)
        found[f"job, {where}"] = measured(["job", *place, prefix, str(mapping)], processor)
        check(made, servers, prefix)
        if processor is not None:
            found[f"files, {where}"] = job.measure(made, processor, form)
    return found


def run(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure from one partition and from several, print, and tell."""
    made = workload(options.sources or 1000, options.per_source * (1 if options.quick else LONGER))
    for form, partitions in CASES[:2] if options.quick else CASES:
        runs = []
        with console.status(f"Kafka, {form}: filling the topic") as status, ExitStack() as opened:
            servers = opened.enter_context(running()).servers
            topic, mapping = filled(servers, made, partitions, form), made.form(form).mapping
            for number in range(options.runs or (1 if options.quick else 3)):
                status.update(f"Kafka, {form}, {partitions} partitions, run {number + 1}")
                runs.append(one_run(made, servers, topic, partitions, form, mapping))
        yield shown(made, form, partitions, runs, console)


def shown(made: Workload, form: str, partitions: int, runs: list[dict[str, Figures]], console: Console) -> Told:
    """Print what was measured, and return it for the history."""
    title = f"Workload W, {made.messages:,} {form} messages, Apache Kafka, {partitions} partitions"
    rows = table(title, "what", "thousand events/s", "ns of processor an event", "ns of the first thread")
    rates: dict[str, float] = {}
    for name in runs[0]:
        rate = [made.messages / each[name]["flow_s"] for each in runs]
        cpu = [each[name]["cpu_s"] / made.messages * 1e9 for each in runs]
        thread = [each[name]["thread_s"] / made.messages * 1e9 for each in runs if "thread_s" in each[name]]
        rows.add_row(name, spread([each / 1e3 for each in rate]), spread(cpu), spread(thread) if thread else "")
        rates[name] = median(rate)
    console.print(rows)
    ratios = {
        f"{of}, {where}": median(each[f"{of}, {at}"]["flow_s"] / each[f"job, {where}"]["flow_s"] for each in runs)
        for where in ("one core", "all cores")
        for of, at in (("files", "one core"), ("bare", where))
    }
    for where in ("one core", "all cores"):  # what a busy machine does not spoil
        ratios[f"processor time of files, {where}"] = median(
            each["files, one core"]["cpu_s"] / each[f"job, {where}"]["cpu_s"] for each in runs
        )
    asked = table("The job from Kafka, in parts of", "what", "reached", "asked (one of the two)")
    for name, ratio in ratios.items():
        least = {"files": f"{OF_FILES}", "bare": f"{OF_BARE}"}.get(name.partition(",")[0], "")
        asked.add_row(name, f"{ratio:.2f}", least)
    console.print(asked)
    reached = any(
        ratios[f"files, {where}"] >= OF_FILES or ratios[f"bare, {where}"] >= OF_BARE
        for where in ("one core", "all cores")
    )
    problems = [] if reached else [f"from Kafka neither {OF_FILES} of the files nor {OF_BARE} of the bare loop"]
    figures = {"form": form, "partitions": partitions, "events_per_s": rates, "ratios": ratios}
    return {"messages": made.messages, "kafka_job": figures, "problems": problems}
