"""Rounds: every rival runs in turn, again and again, so that what slows the machine slows all alike.

Each rival runs twice a round: once on the first events only, which is its start-up (its process, its
imports, its cluster, its first and last commit), and once on all of W. Its work is the difference. Nobody
tells its own time: all are timed from outside, in the same way.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.peers.places import Unavailable
from benchmarks.peers.rivals import Rival
from benchmarks.workload import ROOT, Workload, canon

RUN_TIMEOUT_S = 900
START_EVENTS = 1
LEAST_S = 0.001
"""Work is taken to be no shorter: on a tiny workload the difference of two runs may be nothing."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process and its children cost."""

    wall_s: float
    cpu_s: float


@dataclass(slots=True)
class Course:
    """The runs of one rival; ``skipped`` or ``failed`` says why there are none, or no more."""

    rival: Rival
    starts: list[Spent] = field(default_factory=list)
    runs: list[Spent] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""

    def work(self, figure: str) -> list[float]:
        """Seconds of each run without start-up, by ``wall_s`` or ``cpu_s``."""
        start = self.start(figure)
        return [max(getattr(run, figure) - start, LEAST_S) for run in self.runs]

    def whole(self, figure: str) -> list[float]:
        """Seconds of each run with start-up, by ``wall_s`` or ``cpu_s``."""
        return [getattr(run, figure) for run in self.runs]

    def start(self, figure: str) -> float:
        """Seconds of the quickest start-up: what disturbs one must not make the work of a run look short."""
        return min(getattr(start, figure) for start in self.starts)


def rounds(workload: Workload, rivals: list[Rival], count: int, tell: Callable[[str], None]) -> list[Course]:
    """Set everyone up, then run everyone ``count`` times in turn, each outcome held against the oracle's."""
    courses = [Course(rival) for rival in rivals]
    made: dict[str, str] = {}
    for course in courses:
        tell(f"setting up {course.rival.name}")
        try:
            made[course.rival.name] = course.rival.setup()
        except Unavailable as error:
            course.skipped = str(error)
    with tempfile.TemporaryDirectory(prefix="plantsync-peers-") as folder:
        scratch = Path(folder)
        first = first_events(workload, scratch)
        for path in _files(workload):
            path.read_bytes()  # So that whoever is first does not wait for the disk.
        for number in range(count):
            for course in courses:
                rival = course.rival
                if course.skipped or course.failed:
                    continue
                tell(f"round {number + 1} of {count}: {rival.name}")
                try:
                    course.starts.append(_once(rival, made[rival.name], first, scratch, None))
                    course.runs.append(_once(rival, made[rival.name], workload.folder, scratch, workload))
                except RunFailed as error:
                    course.failed = str(error)
    return courses


def first_events(workload: Workload, scratch: Path) -> Path:
    """Return a folder with the first events of W, laid out as W is."""
    folder = scratch / "first"
    for kind in ("chunks", "plants"):
        (folder / kind).mkdir(parents=True)
        source = min((workload.folder / kind).iterdir())
        with source.open("rb") as lines:
            (folder / kind / source.name).write_bytes(b"".join(islice(lines, START_EVENTS)))
    return folder


class RunFailed(Exception):
    """A rival ended with an error, took too long, or did not find what the oracle did."""


def _once(rival: Rival, made: str, inputs: Path, scratch: Path, workload: Workload | None) -> Spent:
    """Run it on these inputs; with a workload, hold the outcome against the oracle's. Raises: RunFailed."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output = Path(folder) / "output"
        command = rival.command(made, str(inputs / rival.inputs), str(output))
        pinned = ["taskset", "-c", "0"] if rival.cores == 1 else []
        spent = _timed([*pinned, *command], Path(folder) / "said")
        if workload:
            found = canon(rival.rows(output))
            expected = workload.rows, workload.digest
            if found != expected:
                raise RunFailed(f"its outcome {found} is not the oracle's {expected}")
    return spent


def _timed(command: list[str], said: Path) -> Spent:
    """Run a command and say what it cost. Raises: RunFailed, with the end of what it said."""
    began = time.perf_counter()
    with said.open("wb") as out:
        process = subprocess.Popen(
            ["timeout", str(RUN_TIMEOUT_S), *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    if process.returncode:
        lines = said.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        raise RunFailed(f"it ended with {process.returncode}: {lines[-1][:300]}")
    return Spent(wall_s, usage.ru_utime + usage.ru_stime)


def _files(workload: Workload) -> Iterator[Path]:
    for kind in ("chunks", "plants"):
        yield from (workload.folder / kind).iterdir()
