"""Workload W through the JSON path: the oracle's confirmations, whatever happens on the way.

From files and from Kafka, with one process and with two that share the shards, killed with
SIGKILL three times and started again (M08, M09, M15, M25; DESIGN laws 3 and 4).
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from benchmarks.kafka_topic import committed, create, filled
from benchmarks.workload import MAPPING, Workload, as_peers_row, canon, workload
from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from tests.faults.watcher import Watcher
from tests.kafka_broker import Broker

PLANTSYNC = Path(sys.executable).with_name("plantsync")
PARTITIONS = 4
DEADLINE_S = 240


@pytest.fixture(scope="module")
def made() -> Workload:
    try:
        return workload()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def mapping(folder: Path, name: str, where: str) -> Path:
    """Write the mapping of W with another place to read from; no test lasts until a missing number is given up."""
    head, _, rest = MAPPING.read_text().partition("[input]")
    fields, sequencing, rest = rest.partition("[fields]")[2].partition("[sequencing]\n")
    path = folder / f"{name}.toml"
    path.write_text(f"{head}[input]\n{where}\n\n[fields]{fields}{sequencing}gap_timeout_s = 3600\n{rest}")
    return path


def by_plant(made: Workload, folder: Path) -> Path:
    """Settle five plants, each with a landing folder of its own: five shards."""
    for number in range(1, 6):
        landed = folder / "landing" / f"p{number}"
        landed.parent.mkdir(exist_ok=True)
        landed.symlink_to(made.folder / "plants")
        mapping(folder, f"p{number}", f'folder = "p{number}"\npattern = "P{number}.ndjson"')
    plants = ", ".join(f'"p{n}.toml"' for n in range(1, 6))
    settings = folder / "plantsync.toml"
    settings.write_text(f"landing = 'landing'\nplants = [{plants}]\n[pace]\ncommit_interval_s = 0.1\n")
    return settings


def in_order(made: Workload, folder: Path) -> Path:
    """Settle one folder with the chunks of the global order of arrival: one shard."""
    (folder / "landing").mkdir()
    (folder / "landing" / "w").symlink_to(made.chunks)
    settings = folder / "plantsync.toml"
    mapping(folder, "w", 'folder = "w"')
    settings.write_text('landing = "landing"\nplants = ["w.toml"]\n[pace]\ncommit_interval_s = 0.1\n')
    return settings


def start(settings: Path, share: str = "0/1") -> subprocess.Popen[str]:
    command = [PLANTSYNC, "run", "confirmations", "--until-end", "--quiet", "--share", share, "-c", settings]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, said = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said


def kill_three_times(settings: Path, committed: Callable[[], int]) -> None:
    """Start the flow three times, and each time kill it shortly after it has committed something.

    It is stopped while somebody looks, or it would have finished before it is seen to have begun.
    """
    rng = random.Random(5)
    for _ in range(3):
        before, process = committed(), start(settings)
        deadline = time.monotonic() + DEADLINE_S
        while committed() == before:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "nothing was committed"
            process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
            process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it had ended before it was killed"


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Callable[[str], list[bytes]]]:
    def read(stream: str) -> list[bytes]:
        log = tmp_path / "state" / "plantsync.db"
        try:
            reader = SqliteStreams(log)
        except CommitLogUnavailable:
            return []  # the flow has not made it yet
        try:
            return [stored.value for stored in reader.read(stream, 0, 10_000_000)]
        finally:
            reader.close()

    return read


def agrees(made: Workload, values: Iterable[bytes]) -> None:
    assert canon(map(as_peers_row, values)) == (made.rows, made.digest)


def test_files_in_the_order_of_arrival_killed_three_times(
    made: Workload, tmp_path: Path, streams: Callable[[str], list[bytes]]
) -> None:
    settings = in_order(made, tmp_path)
    kill_three_times(settings, lambda: len(streams("ledger")))
    finish(start(settings))
    agrees(made, streams("confirmations"))
    finish(start(settings))
    agrees(made, streams("confirmations"))


def test_files_of_five_plants_in_two_processes(
    made: Workload, tmp_path: Path, streams: Callable[[str], list[bytes]]
) -> None:
    settings = by_plant(made, tmp_path)
    finish(start(settings, "0/2"), start(settings, "1/2"))
    agrees(made, streams("confirmations"))


@pytest.fixture(scope="module")
def topic(made: Workload, kafka: Broker) -> str:
    """A topic with W, each source in one partition, in the order of arrival."""
    return filled(kafka.servers, made, PARTITIONS, **{"compression.type": "lz4"})


@pytest.mark.kafka
@pytest.mark.parametrize("kills", [False, True], ids=["two processes", "killed three times"])
def test_kafka(made: Workload, kafka: Broker, topic: str, tmp_path: Path, kills: bool) -> None:
    prefix = f"ps-{time.time_ns()}."
    ledger = f"{prefix}ledger"
    mapping(tmp_path, "w", f'topics = ["{topic}"]')
    settings = tmp_path / "plantsync.toml"
    settings.write_text(
        'plants = ["w.toml"]\n'
        f'[log]\nkind = "kafka"\n[kafka]\nprefix = "{prefix}"\npartitions = 2\n'
        f'properties = {{"bootstrap.servers" = "{kafka.servers}"}}\n[pace]\ncommit_interval_s = 0.1\n'
    )
    if kills:
        create(kafka.servers, ledger, 2)  # As the flow would, so that it can be watched from the start.
        with Watcher(kafka.servers, {ledger: 2}, "read_committed") as watcher:
            kill_three_times(settings, lambda: len(watcher.seen))
        finish(start(settings))
    else:
        finish(start(settings, "0/2"), start(settings, "1/2"))
    agrees(made, committed(kafka.servers, f"{prefix}confirmations"))
