"""A run of the fuzzer: which batches, what they came to, and what was found."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.fuzz import corpus, pool
from tests.fuzz.minimise import minimised
from tests.fuzz.outcome import Tally
from tests.fuzz.targets import Target, all_targets, generator

RSS_GROWTH_BYTES_MAX = 256 << 20
"""A child may grow by so much after its first batches, however long it runs."""
FINDINGS_MAX = 20
_PROBES_MAX = 400
_PROBES_OF_CRASH_MAX = 40
_SETTLED_BATCHES = 40


@dataclass
class Line:
    """What a target came to; ``cpu_s`` are spent in the product and its checks."""

    batches: int = 0
    messages: int = 0
    bytes: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    tally: Tally = field(default_factory=Counter)


@dataclass
class Finding:
    """An input that broke a promise, minimised and kept."""

    target: str
    index: int
    what: str
    kept: Path


@dataclass
class Report:
    """What a run came to."""

    seed: int
    lines: dict[str, Line] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    rss_bytes: int = 0
    rss_settled_bytes: int = 0

    @property
    def messages(self) -> int:
        return sum(line.messages for line in self.lines.values())


def plan(targets: Mapping[str, Target], messages: int, seed: int) -> Iterator[pool.Task]:
    """Yield batches: each target once, then as their weights say, until there are so many messages."""
    rng = generator(seed, "plan")
    names = sorted(targets)
    indices: Counter[str] = Counter()
    queue = list(names)
    while messages > 0:
        # Weights are shares of the messages; batches differ in size.
        name = (
            queue.pop()
            if queue
            else rng.choices(names, [targets[n].weight / targets[n].batch_messages for n in names])[0]
        )
        count = min(targets[name].batch_messages, max(messages, 2))
        yield {"target": name, "seed": seed, "index": indices[name], "count": count}
        indices[name] += 1
        messages -= count


def campaign(
    messages: int,
    seed: int,
    jobs: int,
    out: Path,
    names: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Run and return what it came to; inputs that broke something are minimised and written to ``out``."""
    targets = {name: target for name, target in all_targets().items() if not names or name in names}
    report = Report(seed, {name: Line() for name in targets})
    broken: list[tuple[pool.Task, str]] = []
    began = told = perf_counter()
    batches = 0

    def done(task: pool.Task, answer: Mapping[str, Any]) -> None:
        nonlocal told, batches
        batches += 1
        _count(report.lines[task["target"]], answer)
        report.rss_bytes = max(report.rss_bytes, answer["rss"])
        if batches <= _SETTLED_BATCHES * jobs:
            report.rss_settled_bytes = report.rss_bytes
        elif answer["rss"] > report.rss_settled_bytes + RSS_GROWTH_BYTES_MAX:
            answer = {
                **answer,
                "found": answer["found"] or f"memory: the process has grown to {answer['rss'] >> 20} MiB",
            }
        if answer["found"]:
            broken.append((task, answer["found"]))
        if progress is not None and perf_counter() - told >= 10:
            told = perf_counter()
            progress(f"{report.messages:,} messages, {told - began:.0f} s, {len(broken)} found")

    def until_enough() -> Iterator[pool.Task]:
        for task in plan(targets, messages, seed):
            if len(broken) >= FINDINGS_MAX:
                return
            yield task

    pool.run(until_enough(), jobs, done)
    report.seconds = perf_counter() - began
    for task, what in broken:
        if progress is not None:
            progress(f"minimising {task['target']} {task['index']}: {what[:200]}")
        report.findings.append(_kept(targets[task["target"]], task, what, out))
    return report


def _count(line: Line, answer: Mapping[str, Any]) -> None:
    line.batches += 1
    line.messages += answer["messages"]
    line.bytes += answer["bytes"]
    line.cpu_s += answer["cpu_s"]
    line.slowest_s = max(line.slowest_s, answer["seconds"])
    line.peak_bytes = max(line.peak_bytes, answer["peak"])
    line.tally += Counter(answer["tally"])


def _kept(target: Target, task: pool.Task, what: str, out: Path) -> Finding:
    values = target.batch(generator(task["seed"], task["target"], task["index"]), task["count"])
    return keep(task, what, values, out)


def keep(task: pool.Task, what: str, values: Sequence[bytes], out: Path, batch_s_max: float = 20.0) -> Finding:
    """Minimise the messages of a task in children of their own and write them down."""
    kind = what.partition(":")[0]
    child = pool.Child(batch_s_max)

    def fails(candidate: list[bytes]) -> bool:
        answer = child.ask({**task, "values": pool.encoded(candidate)})
        return bool(answer["found"].partition(":")[0] == kind)

    try:
        probes = _PROBES_OF_CRASH_MAX if kind in {"crash", "hang", "slow"} else _PROBES_MAX
        least = minimised(values, fails, probes) if fails(list(values)) else list(values)
    finally:
        child.close()
    name = f"{task['target']}-{task['seed']}-{task['index']}"
    case = corpus.Case(name, task["target"], what[:300], tuple(least), None)
    return Finding(task["target"], task["index"], what, corpus.write(out, case))


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(f"fuzz: {text}", file=sys.stderr, flush=True)
