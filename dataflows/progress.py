"""What a flow has done since it started, for whoever watches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import orjson

from sinks.commit_log import Record
from sinks.streams import LEDGER


class Progress:
    """Counts of one run; one thread writes them, others may read.

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
        self._held: dict[tuple[str, str, str, str], int] = {}

    @property
    def held(self) -> int:
        """Events that wait for smaller numbers, of sessions that changed since the start."""
        return sum(list(self._held.values()))

    def committed(self, now_us: int, written: Counter[str]) -> None:
        """Note a commit and what it wrote."""
        self.commits += 1
        self.committed_us = now_us
        self.written += written

    def ledger(self, records: Sequence[Record]) -> None:
        """Note the levels that the ledger entries among the records tell."""
        for record in records:
            if record.stream == LEDGER:
                for line in record.value.splitlines():
                    entry = orjson.loads(line)
                    session = (entry["shard"], entry["plant"], entry["source"], entry["session"])
                    if entry["held"]:
                        self._held[session] = entry["held"]
                    else:
                        self._held.pop(session, None)
