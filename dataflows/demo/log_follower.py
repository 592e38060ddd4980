"""What is new in the commit log, read while flows write it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams

RECORDS: Final = 10_000


class LogFollower:
    """Hands out each record of each stream once; none while there is no log yet."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._streams: SqliteStreams | None = None
        self._after: Counter[str] = Counter()

    def new(self, stream: str) -> list[bytes]:
        """Return what was committed to a stream since the last time."""
        if self._streams is None:
            try:
                self._streams = SqliteStreams(self._log)
            except CommitLogUnavailable:
                return []
        values: list[bytes] = []
        while stored := self._streams.read(stream, self._after[stream], RECORDS):
            self._after[stream] = stored[-1].offset
            values += [record.value for record in stored]
        return values

    def close(self) -> None:
        """Close the log."""
        if self._streams is not None:
            self._streams.close()
