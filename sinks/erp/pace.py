"""How fast an ERP is asked: one token for each request that leaves, whatever it is for.

Law: in any span of T seconds at most ``burst + rate_per_s * T`` requests leave, a restart in it or not (M24). A call
of the port may take several: a session that is opened, an original that is looked up, a part that is taken back.
Tokens for access come from a server of their own and are not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

INTERVALS_MAX: Final = 2
"""So many intervals a request waits for its token at most; one that would wait longer does not leave."""
NAP_S: Final = 0.02


class Pace:
    """Lets requests go, and holds back those that come too fast; for several threads, in no certain order."""

    def __init__(self, rate_per_s: float, burst: int, clock_us: Callable[[], int]) -> None:
        """Begin empty, since what left before a restart is not known; ``clock_us`` is UTC microseconds."""
        assert rate_per_s > 0
        assert burst >= 1
        self._interval_us = round(1e6 / rate_per_s)
        self._burst_us = (burst - 1) * self._interval_us
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._seen_us = clock_us()
        self._passed_us = 0
        self._next_us = self._interval_us
        self.per_s = rate_per_s
        self.left = 0
        """Requests that were let go."""
        self.held_back = 0
        """Requests that were told to come again."""

    def wait(self) -> float:
        """Return 0.0 as soon as a request may leave; at once, in how many seconds to come again, if that is long."""
        with self._lock:
            passed_us = self._passed()
            # Up to a burst of instants that nobody used is kept, as if they lay in the past still.
            leaves_us = max(self._next_us, passed_us - self._burst_us)
            if leaves_us - passed_us > INTERVALS_MAX * self._interval_us:
                self.held_back += 1
                return (leaves_us - passed_us) / 1e6
            self._next_us = leaves_us + self._interval_us
            self.left += 1
        while (left_us := leaves_us - passed_us) > 0:
            # The clock may run faster than the world's.
            time.sleep(min(left_us / 1e6, NAP_S))
            with self._lock:
                passed_us = self._passed()
        return 0.0

    def _passed(self) -> int:
        """Return how much time has passed; that a clock was set back is none."""
        now_us = self._clock_us()
        self._passed_us += max(now_us - self._seen_us, 0)
        self._seen_us = now_us
        return self._passed_us
