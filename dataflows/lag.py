"""How long the oldest record that a shard has not read has been waiting.

Law: where ``told`` was given, at each instant, how much had been read (``done``) and how much had not (``unread``), it
returns for how long what is unread now has been known of: with ``arrived = done + unread``, the time since the first
telling whose ``arrived`` exceeds the present ``done``. 0 where nothing is unread.

That is exact but for the time between two tellings, and but for what was unread at the first of them, whose waiting
counts from there. Where ``arrived`` shrinks, as when records are deleted, what is gone was never there.

State: O(``TELLINGS_MAX``); when there are more, every second one is forgotten.
"""

from __future__ import annotations

from typing import Final

TELLINGS_MAX: Final = 256


class Lag:
    """What one shard was told; counts in any unit, instants in UTC microseconds."""

    def __init__(self) -> None:
        self._tellings: list[tuple[int, int]] = []  # (instant, arrived), both growing

    def told(self, done: int, unread: int, now_us: int) -> int:
        """Return for how many microseconds the oldest of what is unread has waited, and remember what was told."""
        if unread <= 0:
            self._tellings = []
            return 0
        arrived = done + unread
        # Those of which all has been read say nothing more; what has shrunk is cut.
        known = [(at_us, min(upto, arrived)) for at_us, upto in self._tellings if upto > done]
        if not known or known[-1][1] < arrived:
            known.append((now_us, arrived))
        if len(known) > TELLINGS_MAX:
            known = [known[0], *known[1:-1:2], known[-1]]
        self._tellings = known
        return max(now_us - known[0][0], 0)
