"""What a flow has done since it started, for whoever watches it."""

from __future__ import annotations

from collections import Counter


class Progress:
    """Counts of one run; each has one thread that writes it, and others may read.

    ``read`` counts records; ``written`` committed records by stream, or rows by table; ``commits``
    and ``committed_us`` the commits and the instant of the last; ``behind`` is what each shard has
    still to read, in records or, of files, in bytes.
    """

    def __init__(self) -> None:
        self.read = 0
        self.written: Counter[str] = Counter()
        self.commits = 0
        self.committed_us: int | None = None
        self.behind: dict[str, int] = {}
        self._held: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Events that wait for smaller numbers, of the shards that have committed since the start."""
        return sum(list(self._held.values()))

    def committed(self, now_us: int, written: Counter[str]) -> None:
        """Note a commit and what it wrote."""
        self.commits += 1
        self.committed_us = now_us
        self.written += written

    def holds(self, shard: str, rows: int) -> None:
        """Note how many events a shard holds as of its last commit."""
        self._held[shard] = rows
