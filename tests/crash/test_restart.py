"""Law 3 on the real graph: a crash at any commit, then a restart, gives what no crash gives (M25).

The flow reads the shipped plants' simulated files; the log fails at the n-th commit, before or
after it has stored it. The vocabulary is also renewed as often as can be, which must not show.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from bytewax.errors import BytewaxRuntimeError
from bytewax.testing import run_main

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from dataflows.confirmations import confirmations
from dataflows.simulator.configuration import SimulationConfig
from dataflows.simulator.simulation import simulate
from dataflows.simulator.writer import FolderWriter
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.sources.shard_source import Pace, ShardInput
from sinks.commit_log import Record
from sinks.memory import MemoryLog, MemoryStore

NOW_US = time.time_ns() // 1_000 + 3_600_000_000
"""One moment for the whole test, so that nothing depends on waiting."""


class Crash(Exception):
    """The process is gone."""


class CrashingLog(MemoryLog):
    """Fails at the n-th commit, when it has not stored it yet or when it has."""

    def __init__(self, store: MemoryStore, at: int, *, stored: bool) -> None:
        super().__init__(store)
        self.left, self.stored = at, stored

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        self.left -= 1
        if self.left or self.stored:
            super().commit(shard, position, state, records)
        if not self.left:
            raise Crash


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    start = datetime.fromtimestamp(NOW_US // 1_000_000, UTC).replace(minute=0, second=0) - timedelta(days=3)
    simulate(SimulationConfig.small(start), FolderWriter(folder))
    return folder


def run(mapping: PlantMapping, landing: Path, log: MemoryLog, vocabulary_max: int = 1_000_000) -> None:
    assert mapping.input.folder is not None
    config = FolderConfig(
        landing / mapping.input.folder,
        mapping.input.pattern,
        mapping.format,
        by_content=mapping.sequencing.mode == "arrival",
        batch_bytes=32_768,
    )
    shards = {"shard": ShardInput(lambda: LandedFiles(config, lambda: NOW_US), mapping)}
    pace = Pace(commit_interval_us=0, until_end=True, vocabulary_max=vocabulary_max, vocabulary_session_max=0)
    run_main(confirmations(shards, log, pace, lambda: NOW_US, Event()))


def told(store: MemoryStore) -> dict[str, list[bytes]]:
    streams = ("confirmations", "events", "dead-letters", "gaps")
    out = {stream: [record.value for record in store.read(stream, 0, 10**7)] for stream in streams}
    newest = {}
    for record in store.read("ledger", 0, 10**7):
        for line in record.value.splitlines():
            newest[line.split(b'"start_seq"')[0]] = line
    return out | {"ledger": sorted(newest.values())}


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_crashes_and_renewed_vocabularies_leave_no_trace(path: Path, landing: Path) -> None:
    mapping = load(path)
    calm = MemoryStore()
    run(mapping, landing, MemoryLog(calm))
    expected = told(calm)
    assert expected["confirmations"] or expected["events"]

    rng = random.Random(11)
    store = MemoryStore()
    crashes = 0
    while True:
        try:
            log = CrashingLog(store, rng.randint(1, 7), stored=rng.random() < 0.5)
            run(mapping, landing, log, vocabulary_max=rng.choice([1, 1_000_000]))
        except BytewaxRuntimeError as error:
            if not isinstance(error.__cause__, Crash):
                raise
            crashes += 1
        else:
            break
    assert crashes >= 2
    assert told(store) == expected


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_running_again_on_the_same_input_adds_nothing(path: Path, landing: Path) -> None:
    mapping, store = load(path), MemoryStore()
    run(mapping, landing, MemoryLog(store))
    before = told(store)
    run(mapping, landing, MemoryLog(store))
    assert told(store) == before
