"""Runs the real ``confirmations`` flow in this process over batches given by a test, at given times."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from bytewax.testing import run_main

from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords
from dataflows.confirmations import confirmations
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.commit_log import Record, Stored
from sinks.memory import MemoryLog, MemoryStore


@dataclass
class Script:
    """A reader that yields these batches, and the clock that tells when; then the last time is reached."""

    batches: Sequence[tuple[int, RawRecords]]
    last_us: int
    at: int = 0
    now_us: int = 0

    def clock(self) -> int:
        return self.now_us

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the position is all
        self.at = int(position or 0)

    def poll(self) -> RawRecords:
        if self.at == len(self.batches):
            self.now_us = self.last_us
            return NO_RECORDS
        self.now_us, records = self.batches[self.at]
        self.at += 1
        return records

    def position(self) -> str:
        return str(self.at)

    def state(self) -> Mapping[str, bytes]:
        return {}

    def at_end(self) -> bool:
        return self.at == len(self.batches)

    def close(self) -> None:
        pass


@dataclass
class Outcome:
    """What the flow committed, parsed."""

    store: MemoryStore = field(default_factory=MemoryStore)

    def stored(self, stream: str) -> list[Stored]:
        return self.store.read(stream, 0, 10_000_000)

    def confirmations(self) -> list[dict]:
        return [json.loads(r.value) for r in self.stored("confirmations")]

    def ranges(self) -> list[dict]:
        return [json.loads(line) for r in self.stored("ranges") for line in r.value.splitlines()]

    def ledger(self) -> dict[tuple[str, str, str], dict]:
        """Newest entry of each session, by plant, source and session."""
        entries = [json.loads(line) for r in self.stored("ledger") for line in r.value.splitlines()]
        return {(e["plant"], e["source"], e["session"]): e for e in entries}

    def accounts(self) -> dict[tuple[str, str, str], dict]:
        """Newest entry of each session, whenever it was committed."""
        return {key: entry | {"committed_us": 0} for key, entry in self.ledger().items()}

    def totals(self) -> dict[str, int]:
        """Sum of the newest ledger entries."""
        entries = list(self.ledger().values())
        numbers = [name for name, value in entries[0].items() if isinstance(value, int)]
        return {name: sum(entry[name] for entry in entries) for name in numbers}


class TellingLog(MemoryLog):
    """A log that tells of its commits."""

    def __init__(self, store: MemoryStore, committed: Callable[[], None]) -> None:
        super().__init__(store)
        self._committed = committed

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        super().commit(shard, position, state, records)
        self._committed()


def run(
    mapping: PlantMapping,
    batches: Sequence[tuple[int, RawRecords]],
    last_us: int,
    store: MemoryStore | None = None,
    pace: Pace | None = None,
    committed: Callable[[], None] | None = None,
) -> Outcome:
    """Run the flow over (now_us, records) and then until ``last_us``, so that idle runs close.

    ``committed`` is called after each commit.
    """
    outcome = Outcome(store or MemoryStore())
    script = Script(batches, last_us)
    shards = {"shard": ShardInput(lambda: script, mapping)}
    pace = pace or Pace(until_end=True, idle_wait_us=0)
    log = MemoryLog(outcome.store) if committed is None else TellingLog(outcome.store, committed)
    run_main(confirmations(shards, log, pace, script.clock, Event()))
    return outcome


def balanced(totals: Mapping[str, int]) -> bool:
    """Return whether every record read is in exactly one class (DESIGN law 1)."""
    read = sum(totals[name] for name in ("released", "late", "duplicates", "faults", "held"))
    passed = sum(totals[name] for name in ("accounted", "analytics_only", "operational"))
    return totals["read"] == read and totals["released"] + totals["late"] == passed
