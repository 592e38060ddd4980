"""The tally: what the commit log says has been done so far, read while the flow writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from sinks.streams import CONFIRMATIONS, LEDGER

RECORDS: Final = 10_000


class Tally:
    """Running sums over the newest ledger entry of each session, and over all confirmations."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._streams: SqliteStreams | None = None
        self._after = {LEDGER: 0, CONFIRMATIONS: 0}
        self._newest: dict[tuple[str, ...], dict[str, int]] = {}
        self.confirmations = 0
        self.confirmed_events = 0

    def update(self) -> None:
        """Read what was committed since the last time; nothing while there is no log yet."""
        if self._streams is None:
            try:
                self._streams = SqliteStreams(self._log)
            except CommitLogUnavailable:
                return
        for value in self._new(LEDGER):
            for line in value.splitlines():
                entry = orjson.loads(line)
                self._newest[entry["shard"], entry["plant"], entry["source"], entry["session"]] = entry
        for value in self._new(CONFIRMATIONS):
            self.confirmations += 1
            self.confirmed_events += orjson.loads(value)["events"]

    def total(self, name: str) -> int:
        """Return the sum of a count of ``LedgerEntry`` over all sessions."""
        return sum(entry[name] for entry in self._newest.values())

    def settled(self, records: int) -> bool:
        """Return whether so many records have been read and none of them waits for anything."""
        read, held, accounted = self.total("read"), self.total("held"), self.total("accounted")
        return read >= records and held == 0 and self.confirmed_events == accounted

    def close(self) -> None:
        """Close the log."""
        if self._streams is not None:
            self._streams.close()

    def _new(self, stream: str) -> list[bytes]:
        assert self._streams is not None
        values: list[bytes] = []
        while stored := self._streams.read(stream, self._after[stream], RECORDS):
            self._after[stream] = stored[-1].offset
            values += [record.value for record in stored]
        return values
