"""Scaling: more sources, more disorder, more duplicates, a second process. Every outcome has the oracle's hash.

More sources cost in two ways: each when it is met, once, and all of them with every event and commit from then on. Both
are measured, the second as what remains after the first commit behind two million events; the throughput of a plant is
that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import job
from benchmarks.disturbed import disturbed, in_order, land
from benchmarks.kafka_topic import source_of
from benchmarks.overtaken import overtaken
from benchmarks.table import Told, table
from benchmarks.workload import MAPPING, ROOT, Workload, workload
from dataflows.settings.pace import PaceSection

SOURCES = (1_000, 10_000, 100_000)
"""Of each number the same eight million events in all, disordered as they arrive (``benchmarks.overtaken``). W of so
many sources would hold nearly everything back: it displaces by numbers of the source, of which each then has few."""
FALL_MAX = 0.2
"""From the least to the most sources, the throughput of steady work may fall by this part of it."""
FIRST = 2_000_000
"""Steady work is what follows the first commit after so many events, to the last. By then all of 100,000 sources have
been met, the process has all the memory that it will have, and has made a commit with all of them: each costs more
than ten events of a source, but comes once. From a commit to a commit, since with many sources these are seldom, and
one soon after the beginning would be charged with results of events not counted. The whole run is printed too."""
MEMORY_MAX_MB = {10_000: 300, 100_000: 1_000}
DISORDER, DUPLICATES = (0.0, 0.1, 0.25, 0.5), (0.0, 0.05, 0.15, 0.3)
GAIN_MIN = 1.8
"""Two processes are so many times as fast as one, where there are two cores free for them."""
FREE_MIN = 0.9
"""They are free when every process had its processor for this part of the time."""
FOLDERS, LONG = 4, 6_000
"""Of W with so many events of each source, so that it takes seconds: at the end of the input both processes commit at
once, and one of them waits for the other."""


Figures = dict[str, float]


def files(made: Workload, chunks: Path, first: int = 0) -> Figures:
    """Run the job over files on one core, at the pace of a plant; return what ``benchmarks.job_process`` tells."""
    with tempfile.TemporaryDirectory(prefix="plantsync-scaling-") as folder:
        log = Path(folder) / "log.db"
        command = ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.job_process", str(chunks), str(log)]
        command += ["json", str(first), str(PaceSection().commit_interval_s)]
        done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        told: Figures = json.loads(done.stdout)
        job.check(made, log)
    return told


def middle_of(runs: list[Figures], messages: int) -> Figures:
    """Return the medians of runs over so many messages."""
    middle = {key: median(run[key] for run in runs) for key in runs[0]}
    cpu_ns = middle["cpu_s"] / messages * 1e9
    later_ns = _later_s(middle) * 1e9
    return middle | {"events_per_s": messages / middle["flow_s"], "cpu_ns": cpu_ns, "later_ns": later_ns}


def _later_s(run: Figures) -> float:
    return run["later_cpu_s"] / run["later_events"]


COLUMNS = {
    "events_per_s": "events/s",
    "cpu_ns": "ns of processor an event",
    "later_ns": f"the same after {FIRST:,}",
    "peak_mb": "peak MB",
}
WHOLE = {key: title for key, title in COLUMNS.items() if key != "later_ns"}


def cells(name: str, middle: Figures, columns: Iterable[str]) -> list[str]:
    """Return a row of a table."""
    return [name, *(f"{middle[key]:,.0f}" for key in columns)]


def by_sources(runs: int, console: Console) -> Iterator[Told]:
    """Measure with more and more sources, in turn."""
    shown, found = table("Sources: JSON files, one core", "sources", *COLUMNS.values()), {}
    with console.status("scaling, sources"):
        made = {sources: overtaken(sources) for sources in SOURCES}
        figures = [{sources: files(w, w.chunks, FIRST) for sources, w in made.items()} for _ in range(runs)]
    for sources, w in made.items():
        found[sources] = middle_of([each[sources] for each in figures], w.messages)
        shown.add_row(*cells(f"{sources:,}", found[sources], COLUMNS))
    console.print(shown)
    least, most = min(found), max(found)
    whole = 1 - median(each[least]["cpu_s"] / each[most]["cpu_s"] for each in figures)
    fall = 1 - median(_later_s(each[least]) / _later_s(each[most]) for each in figures)
    console.print(
        f"From {least:,} to {most:,} sources {fall:.0%} fewer events for a second of the processor once all sources "
        f"are known, {whole:.0%} fewer in the whole run."
    )
    problems = [f"{fall:.0%} fewer events, more than {FALL_MAX:.0%}"] if fall > FALL_MAX else []
    for sources, bound in MEMORY_MAX_MB.items():
        if (peak := found[sources]["peak_mb"]) > bound:
            problems.append(f"{peak:,.0f} MB with {sources:,} sources, more than {bound:,}")
    yield {
        "scaling": "sources",
        "fall": fall,
        "fall_of_whole": whole,
        **{str(k): v for k, v in found.items()},
        "problems": problems,
    }


def by_disturbance(runs: int, console: Console, lines: list[bytes], made: Workload) -> Iterator[Told]:
    """Measure with more and more disorder, and with more and more duplicates."""
    for name, cases in (
        ("disorder", {part: (part, 0.0) for part in DISORDER}),
        ("duplicates", {part: (0.0, part) for part in DUPLICATES}),
    ):
        shown, told = table(f"{name.capitalize()}: JSON files, one core", name, *WHOLE.values()), {}
        for part, (disorder, duplicates) in cases.items():
            with console.status(f"scaling, {name} {part:.0%}"), tempfile.TemporaryDirectory() as folder:
                changed = disturbed(lines, disorder, duplicates)
                land(changed, Path(folder) / "w")
                figures = [files(made, Path(folder) / "w") for _ in range(runs)]
            told[f"{part:.0%}"] = middle = middle_of(figures, len(changed))
            shown.add_row(*cells(f"{part:.0%}", middle, WHOLE))
        console.print(shown)
        yield {"scaling": name, **told}


def by_processes(runs: int, console: Console, made: Workload) -> Iterator[Told]:
    """Measure one process and two that share nothing but the log, in turn."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    busy: list[float] = []
    with console.status("scaling, processes"), tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        for number in range(FOLDERS):
            (landing / f"s{number}").mkdir(parents=True)
        for chunk in sorted(made.chunks.iterdir()):
            shares: list[list[bytes]] = [[] for _ in range(FOLDERS)]
            for line in chunk.read_bytes().splitlines(keepends=True):
                shares[int(source_of(line).rpartition(b"M")[2]) % FOLDERS].append(line)
            for number, share in enumerate(shares):
                (landing / f"s{number}" / chunk.name).write_bytes(b"".join(share))
        os.sync()  # as in land
        for turn in range(runs):
            for count, taken in seconds.items():
                told = shared(made, Path(folder), f"{turn}-{count}", count)
                taken.append(max(each["s"] for each in told))
                busy += [each["cpu_s"] / each["s"] for each in told]
    gain = median(one / two for one, two in zip(seconds[1], seconds[2], strict=True))
    shown = table(f"Processes: JSON files of {FOLDERS} folders", "processes", "events/s")
    for count, taken in seconds.items():
        shown.add_row(str(count), f"{made.messages / median(taken):,.0f}")
    console.print(shown)
    free = min(busy)
    console.print(f"Two processes are {gain:.2f} times as fast as one; each had its processor {free:.0%} of the time.")
    problems = [f"two processes are {gain:.2f} times as fast, less than {GAIN_MIN}"] if gain < GAIN_MIN else []
    yield {
        "scaling": "processes",
        "gain": gain,
        "free": round(free, 2),
        "problems": problems if free >= FREE_MIN else [],
    }


def shared(made: Workload, folder: Path, name: str, count: int) -> list[Figures]:
    """Return the seconds that each of ``count`` processes needs for its folders, and those of the processor."""
    log = folder / f"{name}.db"
    settings, plants = folder / f"{name}.toml", []
    head, _, rest = MAPPING.read_text().partition("[input]")
    for number in range(FOLDERS):
        plant = folder / f"s{number}.toml"
        plant.write_text(
            f'{head}[input]\nfolder = "s{number}"\npattern = "*.ndjson"\n\n[fields]{rest.partition("[fields]")[2]}'
        )
        plants.append(plant.name)
    settings.write_text(
        f'landing = "landing"\nplants = {json.dumps(plants)}\n[log]\npath = "{log}"\n'
        "[pace]\ncommit_interval_s = 1\nsettle_s = 0\n"
    )
    command = [sys.executable, "-m", "benchmarks.share_process", str(settings)]
    processes = [
        subprocess.Popen([*command, f"{n}/{count}"], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told: list[Figures] = [json.loads(process.communicate()[0]) for process in processes]
    job.check(made, log)
    return told


def run(options: argparse.Namespace, console: Console) -> Iterator[Told]:
    """Measure all of it, print, and tell."""
    runs = options.runs or (1 if options.quick else 3)
    yield from by_sources(runs, console)
    made = workload(1_000, 2_000)
    lines = in_order(made)
    yield from by_disturbance(runs, console, lines, made)
    yield from by_processes(runs, console, workload(1_000, LONG))
