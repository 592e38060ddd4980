"""Labels whose values come from records: so many are told apart, all others are one."""

from __future__ import annotations

from typing import Final

LABELS_MAX: Final = 100
OTHER: Final = "other"


class Bounded:
    """The first ``LABELS_MAX`` values of a label."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or ``other`` where there are too many."""
        if value not in self._known:
            if len(self._known) >= LABELS_MAX:
                return OTHER
            self._known.add(value)
        return value
