"""The clock of the edge: the only place from which flows learn the time."""

from __future__ import annotations

import time


class SystemClock:
    """Now as int64 UTC microseconds, never decreasing while the process lives."""

    def __init__(self) -> None:
        self._latest_us = 0

    def __call__(self) -> int:
        """Return now, or the latest answer where the system's clock was set back."""
        self._latest_us = max(self._latest_us, time.time_ns() // 1_000)
        return self._latest_us
