"""How much one address may ask for: a bucket of requests that fills up with time (law 7)."""

from __future__ import annotations

from typing import Final

ADDRESSES_MAX: Final = 10_000
"""Of more, the one that has asked for nothing longest is forgotten: its bucket is full again by then, or soon."""


class Allowance:
    """Buckets by address: ``most`` at once, and ``per_s`` on average."""

    def __init__(self, per_s: float, most: int) -> None:
        """Begin with full buckets."""
        self._per_s, self._most = per_s, float(most)
        self._left: dict[str, tuple[float, int]] = {}

    def take(self, address: str, now_us: int) -> bool:
        """Take one from an address's bucket; false where it is empty."""
        left, at_us = self._left.pop(address, (self._most, now_us))
        left = min(self._most, left + max(now_us - at_us, 0) / 1e6 * self._per_s)
        granted = left >= 1
        self._left[address] = (left - granted, now_us)
        if len(self._left) > ADDRESSES_MAX:
            del self._left[next(iter(self._left))]
        return granted
