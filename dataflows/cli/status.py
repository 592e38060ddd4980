"""What a running flow is doing: one line on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dataflows.progress import Progress

LOGGER: Final = logging.getLogger("plantsync")
LOG_INTERVAL_S: Final = 10.0
RATE_S: Final = 2.0
"""Rates are measured over at least this long."""


class Status:
    """The figures of a progress in words; the rate is of the time since they were last asked for."""

    def __init__(self, flow: str, progress: Progress) -> None:
        self._flow, self._progress = flow, progress
        self._began_s = self._asked_s = time.monotonic()
        self._asked_read = 0
        self._rate = 0.0

    def line(self) -> str:
        """Return the status as one line."""
        progress = self._progress
        now_s = time.monotonic()
        if now_s - self._asked_s >= RATE_S:
            self._rate = (progress.read - self._asked_read) / (now_s - self._asked_s)
            self._asked_s, self._asked_read = now_s, progress.read
        written = ", ".join(f"{count:,} {stream}" for stream, count in sorted(progress.written.items()))
        behind = sum(progress.behind.values())
        return (
            f"{self._flow}: {progress.read:,} records read, {self._rate:,.0f}/s; {progress.held:,} held; "
            f"{behind:,} behind; {progress.commits:,} commits: {written or 'nothing'} written"
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures of the whole run."""
        progress = self._progress
        seconds = time.monotonic() - self._began_s
        return {
            "flow": self._flow,
            "seconds": round(seconds, 3),
            "read": progress.read,
            "commits": progress.commits,
            "held": progress.held,
            "written": dict(progress.written),
        }


@contextmanager
def shown(status: Status, console: Console, *, quiet: bool) -> Iterator[None]:
    """Show the status while the block runs."""
    if quiet:
        yield
    elif console.is_terminal:
        with Live(get_renderable=lambda: Text(status.line()), console=console, refresh_per_second=2, transient=True):
            yield
    else:
        done = threading.Event()
        thread = threading.Thread(target=_log, args=(status, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _log(status: Status, done: threading.Event) -> None:
    while not done.wait(LOG_INTERVAL_S):
        LOGGER.info(status.line())
