"""Ratios of speeds, run by run of the same round, and the three that issue C asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.rivals import AVRO, FLINK_ONE_CORE, LIMIT, OURS
from benchmarks.peers.rounds import Course

BUSY = 1.15
"""Above this, seconds of the C job for each second of its processor time, others were using its core."""


@dataclass(frozen=True, slots=True)
class Target:
    """The speed of one rival must be at least so many times that of another."""

    name: str
    of: str
    over: str
    least: float


TARGETS = (
    Target("JSON, Flink = 1", OURS, FLINK_ONE_CORE, 9),
    Target("JSON, C limit = 1", OURS, LIMIT, 0.4),
    Target("Avro, C limit = 1", AVRO, LIMIT, 0.8),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was found; without figures one of the two did not run, or too briefly.

    ``by_own`` is by what each engine says of itself, and ``with_start`` by the clock from the start of the
    command to its end; both for comparison only.
    """

    target: Target
    by_wall: float | None
    by_cpu: float | None
    by_own: float | None
    with_start: float | None
    judged_by: str

    @property
    def met(self) -> bool:
        """Whether the figure that counts reaches the target."""
        figure = self.by_cpu if self.judged_by == "cpu_s" else self.by_wall
        return figure is not None and figure >= self.target.least


def ratio(
    of: Course | None, over: Course | None, figure: str, seconds: Callable[[Course, str], list[float]] = Course.work
) -> float | None:
    """Return how many times as fast the first is: the median of the rounds in which both ran, if it can be told."""
    if of is None or over is None or not of.runs or not over.runs:
        return None
    rounds_s = list(zip(seconds(of, figure), seconds(over, figure), strict=False))
    return median(slow_s / fast_s for fast_s, slow_s in rounds_s) if rounds_s else None


def busy(courses: dict[str, Course]) -> bool:
    """Tell whether the core of those pinned was shared: a C job that never waits took longer than its work."""
    limit = courses.get(LIMIT)
    if limit is None or not limit.runs:
        return False
    return median(run.wall_s / max(run.cpu_s, 0.001) for run in limit.runs) > BUSY


def verdicts(courses: dict[str, Course]) -> list[Verdict]:
    """Return a verdict a target: by seconds, or by processor seconds where others used the core too."""
    judged_by = "cpu_s" if busy(courses) else "wall_s"
    found = []
    for target in TARGETS:
        pair = courses.get(target.of), courses.get(target.over)
        by_wall, by_cpu = (ratio(*pair, figure) for figure in ("wall_s", "cpu_s"))
        by_own, with_start = (ratio(*pair, figure, Course.whole) for figure in ("own_s", "wall_s"))
        found.append(Verdict(target, by_wall, by_cpu, by_own, with_start, judged_by))
    return found
