"""The analytics store at size: every view over 100 million confirmations, and readers beside a writer at full speed.

Views are asked as a reader asks them, with two threads and 1 GB: all their rows are computed, and of those that have an
order, those of one. Cold means that the system has none of the files in memory. The writer is the flow itself
(``analytics_process``) on a core of its own; the readers share another, since what is asked is whether they wait for
each other, not who of them gets the processor; each takes one thread and waits a second after each answer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.progress import Progress

from benchmarks.facts import Scale, fill
from benchmarks.site import COMMAND
from benchmarks.table import Told, spread, table
from benchmarks.workload import ROOT
from sinks.analytics.published import open_published
from sinks.analytics.sealing import sealed_folder
from sinks.analytics.store import Store, StoreConfig

WARM = 3
VIEW_MAX_S, STALE_MAX_S, SLOWER_MAX = 1.0, 10.0, 0.1
WRITING, READING = 0, 1
"""The processors of the writer and of the readers."""
THINK_S = 1.0
TURNS = 2


def run(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure the views, then the readers."""
    with tempfile.TemporaryDirectory(prefix="plantsync-analytics-", dir=options.folder) as name:
        if options.rows:
            yield views(Scale(options.rows), Path(name), console)
        if options.reader_seconds:
            yield readers(Path(name) / "readers", options.reader_seconds, console)


def views(scale: Scale, folder: Path, console: Console) -> Told:
    """Fill a store, and time every view and the questions that go deep."""
    config = StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb", memory_max_mb=2048)
    store, began, before = Store(config, calendars=scale.calendars()), time.perf_counter(), time.process_time()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("committing", total=scale.confirmations)
        fill(store, scale, lambda rows: progress.advance(task, rows))
    store.close()
    filled = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - before}
    files = list(sealed_folder(config.published).rglob("*.parquet"))
    filled |= {"snapshot_mb": config.published.stat().st_size / 1e6}
    filled |= {"files": len(files), "files_mb": sum(file.stat().st_size for file in files) / 1e6}
    console.print(", ".join(f"{name} {value:,.0f}" for name, value in filled.items()))
    found = asked(config.published, questions(config.published, scale), files)
    shown = table(f"{scale.confirmations:,} confirmations, seconds", "question", "rows", "cold", "warm", "processor")
    for name, each in found.items():
        figures = (f"{each['rows']:,.0f}", *(f"{each[part]:.3f}" for part in ("cold_s", "warm_s", "warm_cpu_s")))
        shown.add_row(name, *figures, style="red" if each["warm_s"] > VIEW_MAX_S else None)
    console.print(shown)
    slow = [f"{name}: {each['warm_s']:.1f} s" for name, each in found.items() if each["warm_s"] > VIEW_MAX_S]
    return {"rows": scale.confirmations, "filled": filled, "views": found, "problems": slow}


def questions(published: Path, scale: Scale) -> dict[str, str]:
    """Return what is asked: each view, and of each that knows orders one; a lot eight levels deep; rows of an order."""
    lot = scale.deep_lot()
    of = int(lot[1:])
    with open_published(published) as db:
        names = db.execute(
            "SELECT view_name, 'order_id' IN (SELECT column_name FROM duckdb_columns() WHERE table_name = view_name)"
            " FROM duckdb_views() WHERE NOT internal"
            " AND 'store_hot_' || view_name NOT IN (SELECT table_name FROM duckdb_tables()) ORDER BY view_name"
        ).fetchall()
    found = {name: f"SELECT count(*), bit_xor(hash(v)) FROM {name} AS v" for name, _ in names}
    found |= {f"{n}, one order": f"{found[n]} WHERE order_id = 'WO{of // 2}'" for n, ordered in names if ordered}
    found["trace_back, 8 levels"] = f"SELECT count(*), max(level) FROM trace_back('{lot}')"
    found["trace_forward, 8 levels"] = (
        f"SELECT count(*), max(level) FROM trace_forward('L{of - 8 * scale.work_centres}')"
    )
    found["confirmation, one order"] = f"SELECT count(*), sum(good) FROM confirmation WHERE order_id = 'WO{of // 2}'"
    return found


def asked(published: Path, told: dict[str, str], files: list[Path]) -> dict[str, dict[str, float]]:
    """Return rows and times of each question."""
    found: dict[str, dict[str, float]] = {}
    for name, sql in told.items():
        for file in (published, *files):
            forget(file)
        spent: list[tuple[float, float]] = []
        with open_published(published) as db:
            for _ in range(1 + WARM):
                began, before = time.perf_counter(), time.process_time()
                ((rows, _),) = db.execute(sql).fetchall()
                spent.append((time.perf_counter() - began, time.process_time() - before))
        warm_s, warm_cpu_s = (median(part) for part in zip(*spent[1:], strict=True))
        found[name] = {"rows": rows, "cold_s": spent[0][0], "warm_s": warm_s, "warm_cpu_s": warm_cpu_s}
    return found


def forget(path: Path) -> None:
    """Have the system drop what it holds of a file in memory."""
    handle = os.open(path, os.O_RDONLY)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


QUESTION = (
    "SELECT (SELECT max(declared_us) FROM gap) AS told_us, (SELECT count(*) FROM confirmation) AS rows,"
    " (SELECT sum(good) FROM order_progress) AS good"
)


@dataclass
class Asking:
    """A reader that asks until it is stopped, and keeps how old answers were and what went wrong."""

    name: str
    ask: Callable[[], tuple[int, int]]
    stale_s: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def until(self, stopped: threading.Event) -> None:
        """Ask, wait, ask."""
        while not stopped.wait(THINK_S):
            try:
                told_us, rows = self.ask()
            except Exception as error:  # noqa: BLE001 - any error is what is looked for
                self.errors.append(f"{error} {getattr(error, 'stderr', '')}"[:300])
                continue
            self.stale_s.append(time.time() - told_us / 1e6)
            self.rows.append(rows)


def asking(folder: Path) -> list[Asking]:
    """Return the three readers: Python, DuckDB's command line, ``plantsync query``."""
    published = folder / "analytics.duckdb"
    settings = folder / "plantsync.toml"
    settings.write_text(
        'landing = "landing"\nplants = ["shipped:plant_a"]\n[store]\npath = "store.duckdb"\n'
        'published = "analytics.duckdb"\nthreads = 1\n'
    )

    def python() -> tuple[int, int]:
        with open_published(published, threads=1) as db:
            ((told_us, rows, _),) = db.execute(QUESTION).fetchall()
        return told_us, rows

    def command(*words: object) -> tuple[int, int]:
        done = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, cwd=ROOT)
        (answer,) = json.loads(done.stdout)
        return int(answer["told_us"]), int(answer["rows"])

    cli = Path(sys.executable).with_name("duckdb")
    return [
        Asking("Python", python),
        Asking("duckdb", lambda: command(cli, "-readonly", "-json", "-cmd", "SET threads = 1", published, QUESTION)),
        Asking("plantsync query", lambda: command(*COMMAND, "query", QUESTION, "--json", "-c", settings)),
    ]


def publications(published: Path, count: int) -> None:
    """Wait for so many of them: the first tells again what there was when the writer opened its store."""
    for _ in range(count):
        before = published.stat().st_mtime_ns
        while published.stat().st_mtime_ns == before:
            time.sleep(0.05)


def beside_it(seen: list[Asking], seconds: float) -> None:
    """Have the readers ask for so long."""
    stopped = threading.Event()
    threads = [threading.Thread(target=each.until, args=(stopped,)) for each in seen]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stopped.set()
    for thread in threads:
        thread.join()


def readers(folder: Path, seconds: float, console: Console) -> Told:
    """Run the writer alone and beside the readers, in turn."""
    folder.mkdir()
    written: dict[str, list[dict[str, float]]] = {"alone": [], "with readers": []}
    seen = asking(folder)
    pinned = ["taskset", "-c", str(WRITING)]
    os.sched_setaffinity(0, {READING})
    for turn in range(2 * TURNS):
        beside = turn % 2 == 1
        with console.status(f"writer {'with readers' if beside else 'alone'}, turn {turn + 1} of {2 * TURNS}"):
            began = time.perf_counter()
            writer = subprocess.Popen(
                [*pinned, sys.executable, "-m", "benchmarks.analytics_process", str(folder), str(seconds / TURNS)],
                cwd=ROOT, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            if beside:
                publications(folder / "analytics.duckdb", 2)
                beside_it(seen, max(0.0, seconds / TURNS - (time.perf_counter() - began)))
            told, _ = writer.communicate()
            written["with readers" if beside else "alone"].append(json.loads(told))
    speeds = {name: [each["rows"] / each["s"] for each in runs] for name, runs in written.items()}
    costs = {name: [each["cpu_s"] / each["rows"] * 1e6 for each in runs] for name, runs in written.items()}
    shown = table(f"The writer, {seconds:.0f} s each", "", "rows/s", "µs of processor a row", "longest publication, s")
    for name, runs in written.items():
        longest = max(each["publication_max_s"] for each in runs)
        shown.add_row(name, spread(speeds[name]), spread(costs[name], 2), f"{longest:.2f}")
    console.print(shown)
    shown = table("Readers", "reader", "answers", "errors", "age p50 s", "p99", "max")
    ages = {}
    for reader in seen:
        cuts = quantiles(reader.stale_s, n=100, method="inclusive")
        ages[reader.name] = {"p50": cuts[49], "p99": cuts[98], "max": max(reader.stale_s)}
        figures = (f"{value:.2f}" for value in ages[reader.name].values())
        shown.add_row(reader.name, f"{len(reader.stale_s):,}", str(len(reader.errors)), *figures)
    console.print(shown)
    problems = [f"{reader.name}: {error}" for reader in seen for error in reader.errors]
    problems += [f"{reader.name}: rows went back" for reader in seen if reader.rows != sorted(reader.rows)]
    problems += [f"{name}: {age['max']:.1f} s old" for name, age in ages.items() if age["max"] > STALE_MAX_S]
    slower = 1 - median(speeds["with readers"]) / median(speeds["alone"])
    if slower > SLOWER_MAX:
        problems.append(f"the writer is {slower:.0%} slower beside readers")
    answers = {reader.name: len(reader.stale_s) for reader in seen}
    return {"rows_s": speeds, "cpu_us": costs, "stale_s": ages, "answers": answers, "problems": problems}
