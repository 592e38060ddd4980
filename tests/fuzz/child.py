"""The process in which batches run, so that an abort, a hang or a flood is told by its input and kills nothing else.

Reads a task per line from standard input and answers in a line: what became of the messages, how long it took
and what memory, or what was found. ``python -m tests.fuzz.child`` starts one; ``tests.fuzz.pool`` does.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from tests.fuzz import planted
from tests.fuzz.targets import Target, all_targets, generator

CPU_S_MAX = 15.0
"""A batch that computes for longer counts as a hang. The longest sound one is far below a second."""
PEAK_BYTES_MAX = 96 << 20
PEAK_PER_BYTE_MAX = 64
"""A batch may need so much memory beyond what the process holds, and so much per byte of its messages."""

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints, the answers stay readable
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


def _answer(task: Mapping[str, Any]) -> dict[str, Any]:
    name, seed, index = task["target"], task["seed"], task["index"]
    target = planted.targets().get(name) or all_targets()[name]
    values = messages(target, task)
    size = sum(map(len, values))
    before = _memory("VmRSS")
    _CLEAR.write_text("5")  # the peak is counted from here
    began, cpu = perf_counter(), process_time()
    tally, found = {}, ""
    try:
        tally = dict(target.check(values, generator(seed, name, index, "check")))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a Rust library is no Exception
        found = told(error)
    cpu, peak = process_time() - cpu, _memory("VmHWM") - before
    if not found and cpu > CPU_S_MAX:
        found = f"slow: {cpu:.1f} s of computing for {len(values)} messages"
    if not found and peak > PEAK_BYTES_MAX + PEAK_PER_BYTE_MAX * size:
        found = f"memory: {peak >> 20} MiB for {size} bytes"
    return {
        "messages": len(values),
        "cpu_s": cpu, "bytes": size, "tally": tally, "found": found, "seconds": perf_counter() - began,
        "peak": peak, "rss": _memory("VmRSS"),
    }  # fmt: skip


def messages(target: Target, task: Mapping[str, Any]) -> Sequence[bytes]:
    """Return the messages of a task: those it names, or those its seed makes."""
    if "values" in task:
        return [value.encode("latin-1") for value in task["values"]]
    return target.batch(generator(task["seed"], task["target"], task["index"]), task["count"])


def told(error: BaseException) -> str:
    """Return an error with the two innermost places of it that are ours."""
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return f"{type(error).__name__}: {str(error)[:2000]} ({' < '.join(ours[:-4:-1])})"


def _memory(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    raise AssertionError(f"{_STATUS} does not tell {name}")


if __name__ == "__main__":
    main()
