"""A ``plantsync`` command that tells where the time to its first commit goes.

    python -m benchmarks.stopwatch TOLD.json run confirmations ...

Told: ``imports`` until the commands are known and the flow's modules are loaded; ``open`` until the
shards are known and the log is open; ``restore`` the reading of the last commits; ``decode`` the state
in the processors; ``commit`` the first commit; ``ended_s`` when that was done (monotonic).
"""

from __future__ import annotations

import time

STARTED_S = time.monotonic()

import json  # noqa: E402 - the clock starts before anything is imported
import sys  # noqa: E402
from collections import defaultdict  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import dataflows.cli  # noqa: E402
import dataflows.runtime  # noqa: E402
import dataflows.settings  # noqa: E402
from dataflows import confirmations  # noqa: E402
from sinks.kafka import KafkaLog  # noqa: E402
from sinks.sqlite import SqliteLog  # noqa: E402

SPENT: defaultdict[str, float] = defaultdict(float)


def timed(phase: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call, its seconds added to a phase."""

    def run(*args: Any, **kwargs: Any) -> Any:
        began_s = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            SPENT[phase] += time.monotonic() - began_s

    return run


def main(told: Path) -> None:
    """Run the command, and tell once the first commit has been made."""
    SPENT["imports"] = time.monotonic() - STARTED_S
    runtime: Any = dataflows.runtime
    runtime.open_log = timed("open", runtime.open_log)
    runtime.confirmations_shards = timed("open", runtime.confirmations_shards)
    logs: tuple[Any, ...] = (SqliteLog, KafkaLog)
    for log in logs:
        log.restore = timed("restore", log.restore)
        log.commit = timed("commit", once_told(told, log.commit))
    KafkaLog.take_over = timed("restore", KafkaLog.take_over)  # type: ignore[method-assign]
    confirmations.STAGES = {name: timed("decode", build) for name, build in confirmations.STAGES.items()}  # type: ignore[misc]
    dataflows.cli.main()


def once_told(told: Path, commit: Callable[..., None]) -> Callable[..., None]:
    """Return the commit, the first of which writes down what was spent."""

    def run(*args: Any) -> None:
        began_s = time.monotonic()
        commit(*args)
        if not told.exists():
            now_s = time.monotonic()
            told.write_text(json.dumps({**SPENT, "commit": now_s - began_s, "started_s": STARTED_S, "ended_s": now_s}))

    return run


if __name__ == "__main__":
    path = Path(sys.argv.pop(1))
    main(path)
