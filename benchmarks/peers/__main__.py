"""Runs job J with plantsync and with what a user would pick instead, on the same workload W.

    python -m benchmarks.peers                          everyone, three rounds
    python -m benchmarks.peers --only plantsync c       some of them
    python -m benchmarks.peers --require                exit with 1 where a target is missed

Everyone runs in turn, round after round, pinned to one core or on all, and every outcome must have the
oracle's hash. Start-up is apart: it is what the same command takes for a single event, and is taken from
everyone's seconds alike. A peer that cannot be set up here is skipped, and the reason is told; one that
fails, or finds something else than the oracle, makes the exit code 1. The first time, peers are fetched
into the user's cache (about 1.5 GB, most of it Pathway), which needs a network, a C compiler, Maven and a
Java development kit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import HISTORY, commit, machine
from benchmarks.peers.ratios import Verdict, busy, ratio, verdicts
from benchmarks.peers.rivals import OURS, RIVALS
from benchmarks.peers.rounds import Course, rounds
from benchmarks.workload import Workload, workload

NAMES = [rival.name for rival in RIVALS]


def main() -> int:
    """Run the rounds, print, remember."""
    options = arguments()
    try:
        made = workload(options.sources, options.per_source)
    except FileNotFoundError as error:
        sys.exit(str(error))
    load, _, _ = os.getloadavg()
    console = Console(stderr=options.json)
    with console.status("") as status:
        chosen = [rival for rival in RIVALS if rival.name in options.only]
        courses = {course.rival.name: course for course in rounds(made, chosen, options.runs, status.update)}
    found = verdicts(courses)
    told = report(made, courses, found, options.runs)
    at = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
    line = json.dumps(at | {"load": round(load, 1)} | told)
    if not options.no_history:
        with HISTORY.open("a") as history:
            history.write(line + "\n")
    if options.json:
        sys.stdout.write(line + "\n")
    else:
        show(console, made, courses, found)
    failed = any(course.failed for course in courses.values())
    return int(failed or (options.require and not all(verdict.met for verdict in found)))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--runs", type=int, default=3, help="rounds; medians count (3)")
    parser.add_argument("--sources", type=int, default=1000, help="sources of W (1,000)")
    parser.add_argument("--per-source", type=int, default=2000, help="events of each source (2,000)")
    parser.add_argument("--require", action="store_true", help="exit with 1 where a target is missed or untold")
    parser.add_argument("--json", action="store_true", help="print the line of the history in place of tables")
    parser.add_argument("--no-history", action="store_true", help="leave benchmarks/history.jsonl as it is")
    return parser.parse_args()


def report(made: Workload, courses: dict[str, Course], found: list[Verdict], runs: int) -> dict[str, object]:
    """Return what the history keeps."""
    return {
        "messages": made.messages,
        "rounds": runs,
        "peers": {name: figures(made, course) for name, course in courses.items()},
        "ratios": [
            {
                "of": verdict.target.of,
                "over": verdict.target.over,
                "least": verdict.target.least,
                "by_wall": rounded(verdict.by_wall),
                "by_cpu": rounded(verdict.by_cpu),
                "by_own": rounded(verdict.by_own),
                "with_start": rounded(verdict.with_start),
                "judged_by": verdict.judged_by,
                "met": verdict.met,
            }
            for verdict in found
        ],
    }


def figures(made: Workload, course: Course) -> dict[str, object]:
    """Return the medians of one rival, or why there are none."""
    if course.skipped or course.failed:
        return {"skipped": course.skipped} if course.skipped else {"failed": course.failed}
    return {
        "cores": course.rival.cores,
        "events_per_s": rounded(middle([made.messages / work for work in course.work("wall_s")]), 0),
        "events_per_cpu_s": rounded(middle([made.messages / work for work in course.work("cpu_s")]), 0),
        "work_s": rounded(middle(course.work("wall_s"))),
        "work_cpu_s": rounded(middle(course.work("cpu_s"))),
        "own_s": rounded(median(course.whole("own_s"))),
        "start_s": rounded(course.start("wall_s")),
        "start_cpu_s": rounded(course.start("cpu_s")),
    }


def show(console: Console, made: Workload, courses: dict[str, Course], found: list[Verdict]) -> None:
    """Print the tables, and what to bear in mind when reading them."""
    table = Table(
        title=f"Job J on workload W, {made.messages:,} events, start-up apart", box=SIMPLE_HEAD, padding=(0, 0, 0, 1)
    )
    for number, name in enumerate(("", "cores", "events/s", "ours", "per cpu s", "ours", "start s")):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    ours = courses.get(OURS)
    for name, course in courses.items():
        if not course.skipped and not course.failed:
            told = figures(made, course)
            by_wall, by_cpu = (ratio(ours, course, figure) for figure in ("wall_s", "cpu_s"))
            table.add_row(
                *(course.rival.title + " *" * course.rival.exact, f"{course.rival.cores}"),
                *(speed(told["events_per_s"]), times(by_wall), speed(told["events_per_cpu_s"]), times(by_cpu)),
                f"{told['start_s']:.2f}",
                style="bold" if name == OURS else None,
            )
    console.print(table)
    for name, course in courses.items():
        if course.skipped:
            console.print(f"{name} was skipped: {course.skipped}", style="yellow")
        if course.failed:
            console.print(f"{name} FAILED: {course.failed}", style="red")
    console.print("* after a crash it goes on with nothing lost or doubled; a checkpoint, or commit, every second.")
    console.print("ours: how many times as fast plantsync is. All found the same confirmations, the oracle's.")
    console.print("Start-up is what the same command takes for one event; it is in none of the other figures.")
    show_targets(console, courses, found)


def show_targets(console: Console, courses: dict[str, Course], found: list[Verdict]) -> None:
    """Print the ratios that are asked for."""
    targets = Table(title="Targets", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for number, name in enumerate(("speed", "target", "by clock", "by cpu", "as told", "with start", "")):
        targets.add_column(name, justify="right" if 0 < number < 6 else "left")
    for verdict in found:
        said = "met" if verdict.met else "not measured" if verdict.by_wall is None else "missed"
        targets.add_row(
            *(verdict.target.name, f">= {verdict.target.least:g}"),
            *(times(verdict.by_wall), times(verdict.by_cpu), times(verdict.by_own), times(verdict.with_start), said),
            style={"missed": "red", "not measured": "yellow"}.get(said),
        )
    console.print(targets)
    console.print(
        "by clock, by cpu: without start-up. as told: by what Flink and plantsync say of their engines, cluster "
        "and first step included. with start: by the clock, from command to end."
    )
    if busy(courses):
        console.print("Others used the core too, so processor time is what counts here.", style="yellow")


def times(value: float | None) -> str:
    """Return a ratio as words."""
    return "" if value is None else f"{value:.2f}x"


def speed(value: object) -> str:
    """Return a speed as words."""
    return "too brief" if value is None else f"{value:,.0f}"


def middle(values: list[float]) -> float | None:
    """Return the median, if there is one."""
    return median(values) if values else None


def rounded(value: float | None, digits: int = 3) -> float | None:
    """Return a figure as the history keeps it."""
    return None if value is None else round(value, digits)


if __name__ == "__main__":
    sys.exit(main())
