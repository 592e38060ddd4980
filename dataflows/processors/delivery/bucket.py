"""The token bucket: how many calls an ERP gets.

Law: in any span of T seconds, a restart in it or not, at most ``burst + rate * T`` tokens are taken. A bucket begins
empty, since what was taken before the restart is not known.

Source: M24; the leaky bucket as a meter, ITU-T I.371.
"""

from __future__ import annotations

from typing import Final

TOKEN: Final = 1_000_000_000
"""A token in the bucket's own unit: what a thousandth of a token a second amounts to in a microsecond is 1."""


class Bucket:
    """Tokens that come in at ``rate_milli`` thousandths a second, at most ``burst`` of them at a time."""

    def __init__(self, rate_milli: int, burst: int, now_us: int) -> None:
        self._rate, self._full = rate_milli, burst * TOKEN
        self._level, self._at_us = 0, now_us

    def has(self, now_us: int) -> bool:
        """Return whether there is a token now."""
        self._level = min(self._full, self._level + max(now_us - self._at_us, 0) * self._rate)
        self._at_us = max(self._at_us, now_us)
        return self._level >= TOKEN

    def take(self) -> None:
        """Take a token that is there."""
        assert self._level >= TOKEN, "ask for a token before taking it"
        self._level -= TOKEN

    def empty(self, now_us: int) -> None:
        """Begin anew: after a pause nothing that was saved up is spent at once."""
        self._level, self._at_us = 0, max(self._at_us, now_us)
