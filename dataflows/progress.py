"""What a flow has done since it started, for whoever watches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sinks.commit_log import Record
from sinks.streams import LEDGER


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
        self._held: dict[bytes, int] = {}

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
                    session, _, numbers = line.partition(_NUMBERS)
                    held = int(numbers[numbers.index(_HELD) + len(_HELD) :].partition(b",")[0])
                    if held:
                        self._held[session] = held
                    else:
                        self._held.pop(session, None)


# Who an entry of the ledger is of, and what it holds, are cut out of its JSON, which takes a third of the time of
# reading it. Fields are in the order of the contract, and no text holds a quote that is not escaped.
_NUMBERS: Final = b',"start_seq":'
_HELD: Final = b',"held":'
