"""The tally: what the commit log says of records and confirmations so far."""

from __future__ import annotations

from pathlib import Path

import orjson

from dataflows.demo.log_follower import LogFollower
from sinks.streams import CONFIRMATIONS, LEDGER


class Tally:
    """Running sums over the newest ledger entry of each session, and over all confirmations."""

    def __init__(self, log: Path) -> None:
        self._log = LogFollower(log)
        self._newest: dict[tuple[str, ...], dict[str, int]] = {}
        self.confirmations = 0
        self.confirmed_events = 0

    def update(self) -> None:
        """Read what was committed since the last time."""
        for value in self._log.new(LEDGER):
            for line in value.splitlines():
                entry = orjson.loads(line)
                self._newest[entry["shard"], entry["plant"], entry["source"], entry["session"]] = entry
        for value in self._log.new(CONFIRMATIONS):
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
        self._log.close()
