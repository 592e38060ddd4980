"""A killed writer leaves rows and position in agreement, and readers never notice (M47)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from sinks.analytics.published import open_published
from sinks.analytics.store import Store, StoreConfig

KILLS = 10
ROWS = 2_000

# For each line it reads, forks a writer, and waits for its death. The writer says its process id,
# opens the store, commits ROWS gaps at a time from the restored position on, and publishes after
# each commit. A few commits fill the store, so that rows move into files.
WRITERS = """
import os, sys
from pathlib import Path
import pyarrow as pa
from sinks.analytics.store import Store, StoreConfig

def write(path, published, rows):
    config = StoreConfig(path=Path(path), published=Path(published), publish_interval_s=0.0, hot_rows_max=2 * rows)
    store = Store(config)
    restored = store.restore("a")
    print("opened", flush=True)
    position = int(restored.position) if restored else 0
    text = pa.array(["x"] * rows)
    while True:
        offsets = pa.array(range(position, position + rows))
        position += rows
        columns = {"plant": text, "source": text, "session": text}
        columns |= dict.fromkeys(("first_seq", "last_seq", "declared_us", "stream_offset"), offsets)
        store.commit("a", str(position), {"gap": pa.table(columns)})
        store.publish_if_due(position)

for _ in sys.stdin:
    writer = os.fork()
    if not writer:
        print(os.getpid(), flush=True)
        write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]), flush=True)
"""

STATE = """
    SELECT
        (SELECT count(*) FROM gap),
        (SELECT count(DISTINCT stream_offset) FROM gap),
        (SELECT coalesce(max(stream_offset) + 1, 0) FROM gap),
        (SELECT coalesce(max(CAST(position AS BIGINT)), 0) FROM store_mark),
        (SELECT coalesce(max(stream_offset) + 1, 0) FROM store_loaded)
"""


class Reader(threading.Thread):
    """Opens the published snapshot again and again, and keeps what it saw or what went wrong."""

    def __init__(self, published: Path) -> None:
        super().__init__()
        self.published = published
        self.stopped = threading.Event()
        self.seen: list[tuple[int, ...]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        while not self.stopped.wait(0.01):
            try:
                with open_published(self.published) as db:
                    self.seen += db.execute(STATE).fetchall()
            except Exception as failure:  # noqa: BLE001 - any failure is what this test looks for
                self.failure = failure
                return


def test_a_killed_writer_leaves_rows_and_position_in_agreement(tmp_path: Path) -> None:
    config = StoreConfig(path=tmp_path / "store.duckdb", published=tmp_path / "analytics.duckdb")
    Store(config).close()
    reader = Reader(config.published)
    chance = random.Random(20260921)
    positions: list[int] = []
    seen_by_tools: list[tuple[int, ...]] = []
    command = [sys.executable, "-c", WRITERS, str(config.path), str(config.published), str(ROWS)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as writers:
        reader.start()
        try:
            for kill in range(KILLS):
                kill_a_writer(writers, opened=kill % 4 != 0, after_s=chance.uniform(0.0, 0.3))
                seen_by_tools.append(seen_by_the_command_line(config.published))
                positions.append(check_agreement(config))
        finally:
            reader.stopped.set()
            reader.join()
    assert reader.failure is None
    assert all(len(set(state)) == 1 for state in seen_by_tools)
    assert seen_by_tools == sorted(seen_by_tools)
    assert positions == sorted(positions)
    assert positions[-1] > 0
    # Each publication was whole, none went back, and readers saw the work go on.
    assert all(len(set(state)) == 1 and state[0] % ROWS == 0 for state in reader.seen)
    assert reader.seen == sorted(reader.seen)
    assert len({state[0] for state in reader.seen}) > 2
    expected = ["analytics.duckdb", "analytics.duckdb.sealed", "store.duckdb"]
    assert sorted(p.name for p in tmp_path.iterdir()) == expected


def kill_a_writer(writers: subprocess.Popen[str], *, opened: bool, after_s: float) -> None:
    """Kill a writer some time after it was started, or after it opened the store."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    writers.stdin.write("\n")
    writers.stdin.flush()
    writer = int(writers.stdout.readline())
    if opened:
        assert writers.stdout.readline() == "opened\n"
    time.sleep(after_s)
    os.kill(writer, signal.SIGKILL)
    last = writers.stdout.readline()
    if last == "opened\n":
        last = writers.stdout.readline()
    assert int(last) == -signal.SIGKILL


def seen_by_the_command_line(published: Path) -> tuple[int, ...]:
    """Ask with DuckDB's own command line, of the release before, as anybody would after the writer has died."""
    command = [Path(sys.executable).with_name("duckdb"), "-readonly", "-csv", "-noheader", published, STATE]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(map(int, told.split(",")))


def check_agreement(config: StoreConfig) -> int:
    """Compare mark and rows of the store itself; opening it publishes nothing but what is committed."""
    store = Store(config)
    restored = store.restore("a")
    position = int(restored.position) if restored else 0
    assert store._db.execute(STATE).fetchall() == [(position,) * 5]
    store.close()
    return position
