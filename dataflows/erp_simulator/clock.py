"""The clock of the simulated ERPs: the world's, or one that is set from outside. UTC microseconds."""

from __future__ import annotations

from collections.abc import Callable

NowUs = Callable[[], int]


class Clock:
    """``now_us`` for everything an ERP does; ``wall_us`` for what measures real traffic (rate limits)."""

    def __init__(self, wall_us: NowUs, simulated_us: int | None = None) -> None:
        """Follow ``wall_us``, or stand at ``simulated_us`` until ``set`` moves it."""
        self.wall_us = wall_us
        self._simulated_us = simulated_us

    @property
    def simulated(self) -> bool:
        """Return whether the clock is set from outside."""
        return self._simulated_us is not None

    def now_us(self) -> int:
        """Return the ERPs' instant."""
        return self.wall_us() if self._simulated_us is None else self._simulated_us

    def set(self, now_us: int) -> None:
        """Set a simulated clock; it never goes back."""
        assert self._simulated_us is not None
        self._simulated_us = max(self._simulated_us, now_us)
