"""A token bucket: so many requests a second on average, so many at once.

Law: in any interval of length t at most ``burst + rate_per_s * t`` requests are let through.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """``rate_per_s`` 0 is no limit. ``by_erp_clock``: the bucket fills with the ERP's time, not the world's."""

    rate_per_s: float = 0.0
    burst: int = 20
    by_erp_clock: bool = False


class Bucket:
    """The state of one limit. It is full at first, and after a restart."""

    def __init__(self, limit: Limit) -> None:
        """Begin full."""
        self.limit = limit
        self.let_through = 0
        self.refused = 0
        self._tokens = float(limit.burst)
        self._at_us: int | None = None

    def take(self, now_us: int) -> float:
        """Take a token and return 0.0, or return in how many seconds there will be one."""
        if self.limit.rate_per_s <= 0:
            self.let_through += 1
            return 0.0
        if self._at_us is not None and now_us > self._at_us:
            filled = (now_us - self._at_us) / 1_000_000 * self.limit.rate_per_s
            self._tokens = min(float(self.limit.burst), self._tokens + filled)
        self._at_us = max(now_us, self._at_us or now_us)
        if self._tokens >= 1:
            self._tokens -= 1
            self.let_through += 1
            return 0.0
        self.refused += 1
        return (1 - self._tokens) / self.limit.rate_per_s
