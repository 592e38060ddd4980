"""How fast an ERP is asked: one token for each request that leaves, whatever it is for.

Law: in any span of T seconds at most ``burst + rate_per_s * T`` requests leave (M24). A call of the port may take
several: a session that is opened, an original that is looked up, a part that is taken back. Tokens for access come
from a server of their own and are not counted.
"""

from __future__ import annotations

import threading
import time


class Pace:
    """Lets requests go, and holds back those that come too fast; for several threads, in no certain order."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        """Begin empty: what left before a restart is not known."""
        assert rate_per_s > 0
        assert burst >= 1
        self._interval_s = 1 / rate_per_s
        self._burst_s = (burst - 1) * self._interval_s
        self._lock = threading.Lock()
        self._next_s = time.monotonic() + self._interval_s

    def wait(self) -> None:
        """Return when a request may leave."""
        with self._lock:
            now_s = time.monotonic()
            # Up to a burst of unused instants is kept, as if they lay in the past still.
            leaves_s = max(self._next_s, now_s - self._burst_s)
            self._next_s = leaves_s + self._interval_s
        if leaves_s > now_s:
            time.sleep(leaves_s - now_s)
