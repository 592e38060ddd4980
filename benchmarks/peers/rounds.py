"""Rounds: every rival runs in turn, again and again, so that what slows the machine slows all alike.

Each rival runs twice a round: once on the first event only, which is its start-up (its process, its
imports, its cluster, its first and last commit), and once on all of W. Its work is the difference: all are
timed from outside, in the same way. What an engine says of itself is kept too, for comparison.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.places import Unavailable
from benchmarks.peers.rivals import Rival
from benchmarks.workload import ROOT, Workload, canon

RUN_TIMEOUT_S = 900
OWN_CLOCK = re.compile(r'(?:execute_s=|"flow_s": )([0-9.]+)')


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process and its children cost.

    ``own_s`` is what it says of itself, from the call that runs its engine to the return of that; without
    such an engine it is all.
    """

    wall_s: float
    cpu_s: float
    own_s: float


@dataclass(slots=True)
class Course:
    """The runs of one rival; ``skipped`` or ``failed`` says why there are none, or no more."""

    rival: Rival
    starts: list[Spent] = field(default_factory=list)
    runs: list[Spent] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""

    def work(self, figure: str) -> list[float]:
        """Seconds of each run without start-up, by ``wall_s`` or ``cpu_s``.

        Empty where a run was no longer than a start-up: the workload is too small to tell.
        """
        start = self.start(figure)
        work = [getattr(run, figure) - start for run in self.runs]
        return work if all(seconds > 0 for seconds in work) else []

    def whole(self, figure: str) -> list[float]:
        """Seconds of each run with start-up, by ``wall_s``, ``cpu_s`` or ``own_s``."""
        return [getattr(run, figure) for run in self.runs]

    def start(self, figure: str) -> float:
        """Seconds of the quickest start-up: what disturbs one must not make the work of a run look short."""
        return min(float(getattr(start, figure)) for start in self.starts)


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
        for inputs in sorted({rival.inputs for rival in rivals}):
            if inputs == "avro":
                workload.form("avro")
                first.form("avro")
            for path in (workload.folder / inputs).iterdir():
                path.read_bytes()  # So that whoever is first does not wait for the disk.
        for number in range(count):
            for course in courses:
                rival = course.rival
                if course.skipped or course.failed:
                    continue
                tell(f"round {number + 1} of {count}: {rival.name}")
                try:
                    course.starts.append(_once(rival, made[rival.name], first, scratch))
                    course.runs.append(_once(rival, made[rival.name], workload, scratch))
                except RunFailed as error:
                    course.failed = str(error)
    return courses


def first_events(workload: Workload, scratch: Path) -> Workload:
    """Return a workload of the first event of W, from which nothing is to be confirmed."""
    folder = scratch / "first"
    for kind in ("chunks", "plants"):
        (folder / kind).mkdir(parents=True)
        source = min((workload.folder / kind).iterdir())
        with source.open("rb") as lines:
            (folder / kind / source.name).write_bytes(lines.readline())
    return Workload(folder, 1, *canon([]))


class RunFailed(Exception):
    """A rival ended with an error, took too long, or did not find what the oracle did."""


def _once(rival: Rival, made: str, workload: Workload, scratch: Path) -> Spent:
    """Run it on a workload and hold the outcome against the oracle's. Raises: RunFailed."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output = Path(folder) / "output"
        command = rival.command(made, str(workload.folder / rival.inputs), str(output))
        pinned = ["taskset", "-c", "0"] if rival.cores == 1 else []
        spent = _timed([*pinned, *command], Path(folder) / "said")
        found, expected = canon(rival.rows(output)), (workload.rows, workload.digest)
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
    own = OWN_CLOCK.search(said.read_text(errors="replace"))
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, float(own[1]) if own else wall_s)
