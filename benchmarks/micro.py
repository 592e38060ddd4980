"""What each part costs by itself: decoding by format, the stages, a commit by log, rows into the store.

Processor time of one thread, medians of several turns, except for commits, which are waited for.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console

from benchmarks import stage_costs, store_commits
from benchmarks.site import COMMAND
from benchmarks.table import Told, table
from benchmarks.workload import MAPPED, MAPPING, ROOT, Workload, workload
from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from canonical.records import RawRecords
from dataflows.analytics import TABLES
from dataflows.sources.clock import SystemClock
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from sinks.analytics.store import Store, StoreConfig
from sinks.commit_log import CommitLog, Record
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings
from sinks.memory import MemoryLog
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.kafka_broker import running

TURNS = 5
SIMULATED_RECORDS = 100_000
COMMITS, COMMIT_RECORDS, STATE_BYTES = 30, 100, 200_000


def decoding(made: Workload, folder: Path) -> dict[str, float]:
    """Return ns of processor time a record for W's JSON, and for the records of each shipped plant."""
    with min(made.chunks.iterdir()).open("rb") as chunk:
        raw = RawRecords.from_lines(chunk.read())
    found = {"W, json": _decoded(load(MAPPING), raw), "W, json with expressions": _decoded(load(MAPPED), raw)}
    command = [*COMMAND, "simulate", "--out", str(folder), "--records", str(SIMULATED_RECORDS)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for path in shipped():
        mapping = load(path)
        config = FolderConfig(folder / mapping.input.folder, mapping.input.pattern, mapping.format, settle_us=0)
        reader, values = LandedFiles(config, SystemClock()), []
        reader.seek(None, {})
        while len(raw := reader.poll()) or not reader.at_end():
            values += [raw.value(row) for row in range(len(raw))]
        reader.close()
        whole = RawRecords.from_values(values, np.arange(len(values)))  # plants drop files of a few records
        found[f"plant {mapping.plant}, {mapping.format}"] = _decoded(mapping, whole)
    return found


def _decoded(mapping: PlantMapping, raw: RawRecords) -> float:
    spent = []
    for _ in range(TURNS):
        vocabulary, began_ns = Vocabulary(), time.process_time_ns()
        decode(mapping, raw, vocabulary, time.time_ns() // 1_000)
        spent.append((time.process_time_ns() - began_ns) / len(raw))
    return median(spent)


def committing(folder: Path) -> dict[str, float]:
    """Return ms of a commit of records and state, in each log."""
    with running() as broker:
        logs: dict[str, CommitLog] = {
            "memory": MemoryLog(),
            "sqlite": SqliteLog(folder / "micro.db"),
            "kafka": KafkaLog("micro", KafkaSettings({"bootstrap.servers": broker.servers})),
        }
        found = {}
        for name, log in logs.items():
            log.restore("shard")
            spent = []
            for number in range(COMMITS):
                records = [Record("confirmations", b"%d" % n, b"x" * 600) for n in range(COMMIT_RECORDS)]
                state, began_s = {"part": os.urandom(STATE_BYTES)}, time.perf_counter()
                log.commit("shard", str(number), state, records)
                spent.append(time.perf_counter() - began_s)
            log.close()
            found[name] = median(spent) * 1e3
    return found


def inserting(made: Workload, folder: Path) -> float:
    """Return ns of processor time for a confirmation of W to get into the store."""
    log = folder / "job.db"
    command = [sys.executable, "-m", "benchmarks.job_process", str(made.chunks), str(log)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    streams = SqliteStreams(log)
    stored = streams.read("confirmations", 0, 1_000_000)
    streams.close()
    name, rows = TABLES["confirmations"]
    raw = RawRecords.from_values([each.value for each in stored], np.array([each.offset for each in stored]))
    spent = []
    for turn in range(TURNS):
        store = Store(StoreConfig(path=folder / f"{turn}.duckdb", published=folder / f"{turn}-published.duckdb"))
        store.restore("shard")
        began_ns = time.process_time_ns()
        store.commit("shard", "1", {name: rows(raw)})
        spent.append((time.process_time_ns() - began_ns) / len(raw))
        store.close()
    return median(spent)


def stages(made: Workload, options: argparse.Namespace) -> dict[str, float]:
    """Return ns of processor time an event for each stage of the job."""
    turns = [stage_costs.measure(made, 20 if options.quick else 40) for _ in range(1 if options.quick else 3)]
    return {name: median(turn[name] for turn in turns) for name in turns[0]}


def expressions(made: Workload, options: argparse.Namespace) -> dict[str, float]:
    """Return the throughput of the stages with a mapping of expressions, as percentage of that without."""
    shares = []
    for _ in range(1 if options.quick else 3):
        plain, mapped = (stage_costs.measure(made, 20, mapping=mapping) for mapping in (MAPPING, MAPPED))
        shares.append(100 * sum(plain.values()) / sum(mapped.values()))
    return {"W, json with expressions": median(shares)}


def run(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure all parts, print, and tell."""
    made, told = workload(), {}
    with tempfile.TemporaryDirectory(prefix="plantsync-micro-") as name:
        folder, numbers = Path(name), count()
        parts: dict[str, tuple[str, Callable[[], dict[str, float]]]] = {
            "decode": ("ns a record", lambda: decoding(made, folder / "landing")),
            "stage": ("ns an event of W", lambda: stages(made, options)),
            "expressions": ("% of the throughput without", lambda: expressions(made, options)),
            "commit": ("ms: 100 records, 200 kB of state", lambda: committing(folder)),
            "insert": ("ns a confirmation", lambda: {"duckdb": inserting(made, folder)}),
            "store": ("ms a commit of so many rows", lambda: store_commits.measure(folder)),
        }
        for part, (unit, measure) in parts.items():
            with console.status(f"micro {next(numbers) + 1} of {len(parts)}: {part}"):
                told[part] = measure()
            shown = table(f"{part.capitalize()}, {unit}", part, unit.partition(" ")[0])
            for what, value in told[part].items():
                shown.add_row(what, f"{value:,.1f}" if value < 100 else f"{value:,.0f}")
            console.print(shown)
    yield {"micro": told}
