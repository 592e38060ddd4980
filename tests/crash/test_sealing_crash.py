"""A writer that is killed before any step of moving rows into a file leaves each row once (M47)."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from sinks.analytics.published import open_published
from sinks.analytics.sealing import sealed_files, sealed_folder
from sinks.analytics.store import Store, StoreConfig
from tests.store_rows import confirmations

ROWS, HOT_ROWS_MAX, NOW_US = 40, 35, 1_790_000_000_000_000

# Forks a writer for each line it reads, a number: the writer moves rows into a file, and kills itself before the
# step of that number. Steps are statements, a transaction's begin and end, flushes to disk, and the renaming.
WRITERS = """
import os, signal, sys
from pathlib import Path
from sinks.analytics.store import Store, StoreConfig

class Steps:
    def __init__(self, db, left):
        self.db, self.left = db, left
        for owner, name in ((os, "fsync"), (Path, "replace")):
            setattr(owner, name, self.counted(getattr(owner, name)))
    def counted(self, function):
        def step(*arguments):
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)
        return step
    def __getattr__(self, name):
        found = getattr(self.db, name)
        return self.counted(found) if name in ("execute", "begin", "commit") else found

for line in sys.stdin:
    writer = os.fork()
    if not writer:
        store = Store(StoreConfig(path=Path(sys.argv[1]), published=Path(sys.argv[2]), hot_rows_max=int(sys.argv[3])))
        store._db = store._sealed._db = Steps(store._db, int(line))
        store.seal()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]), flush=True)
"""


def test_a_kill_before_any_step_leaves_each_row_once(tmp_path: Path) -> None:
    config = StoreConfig(
        path=tmp_path / "store.duckdb", published=tmp_path / "analytics.duckdb", hot_rows_max=HOT_ROWS_MAX
    )
    store = Store(config)
    store.restore("a")
    store.commit("a", "1", {"confirmation": confirmations(1, ROWS)})
    store.close()
    kept = tmp_path / "kept.duckdb"
    shutil.copy(config.path, kept)
    command = [sys.executable, "-c", WRITERS, str(config.path), str(config.published), str(HOT_ROWS_MAX)]
    root = Path(__file__).parents[2]
    left_something = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for step in range(100):
            shutil.copy(kept, config.path)
            Path(f"{config.path}.wal").unlink(missing_ok=True)
            writers.stdin.write(f"{step}\n")
            writers.stdin.flush()
            ended = int(writers.stdout.readline())
            left = [file for file in sealed_folder(config.published).rglob("*") if file.is_file()]
            left_something += bool(left)
            files = check(config, whole=ended == 0)
            for file in {*left, *files}:
                file.unlink(missing_ok=True)
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
    assert step > 12
    assert left_something > 5


def check(config: StoreConfig, *, whole: bool) -> list[Path]:
    """Open the store that was left, see each row once, go on moving rows, see them again; return the files."""
    expected = [(ROWS, ROWS, ROWS * (ROWS + 1) // 2)]
    asked = "SELECT count(*), count(DISTINCT good), CAST(sum(good) AS BIGINT) FROM confirmation"
    store = Store(config)
    assert bool(list(sealed_files(store._db, config.published))) == whole
    assert store._db.execute(asked).fetchall() == expected
    store.restore("a")
    assert store.commit("a", "2", {"confirmation": confirmations(1, ROWS)}) == 0
    store.seal()
    files = list(sealed_files(store._db, config.published))
    store.close()
    with open_published(config.published) as db:
        assert db.execute(asked).fetchall() == expected
    assert files
    assert sorted(file for file in sealed_folder(config.published).rglob("*") if file.is_file()) == files
    return files
