"""Who does job J: ours and its peers, how each is set up and run, and where its output is.

Every job is given a folder of W's files, in the order of arrival, except Flink: it is given one file a
plant, which suits it best (a third less processor time than the files that the others read).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import places
from benchmarks.workload import as_peers_row
from sinks.sqlite import SqliteStreams

OURS = "plantsync"
AVRO = "plantsync-avro"
LIMIT = "c"
FLINK_ONE_CORE = "flink"
CHECKPOINT_MS = 1000

Row = dict[str, object]
Command = Callable[[str, str, str], list[str]]
"""Words of the command of one run: what the setup made, the input folder, the output that it makes."""


def _nothing() -> str:
    return ""


def _rows(output: Path) -> Iterator[Row]:
    """Yield the confirmations in a file, or in the files of a folder that are not still being written."""
    paths = [output] if output.is_file() else sorted(path for path in output.rglob("*") if path.is_file())
    for path in paths:
        if not path.name.startswith("."):
            with path.open("rb") as lines:
                yield from map(json.loads, lines)


def _committed(output: Path) -> Iterator[Row]:
    """Yield the confirmations in a store of ours, in the words of job J."""
    streams = SqliteStreams(output)
    try:
        for record in streams.read("confirmations", 0, 10_000_000):
            yield as_peers_row(record.value)
    finally:
        streams.close()


@dataclass(frozen=True, slots=True)
class Rival:
    """One way to do job J.

    ``exact`` says that after a crash it goes on with nothing lost or doubled; with one core it is pinned to that.
    ``setup`` makes what the command needs, and raises Unavailable where it cannot.
    """

    name: str
    title: str
    command: Command
    setup: Callable[[], str] = _nothing
    cores: int = 1
    inputs: str = "chunks"
    rows: Callable[[Path], Iterable[Row]] = _rows
    exact: bool = False


def environment(name: str) -> Callable[[], str]:
    """Return the setup of a peer in Python: its own interpreter."""
    return lambda: places.python(name)


def job(file: str, *further: str) -> Command:
    """Return the command of a job in Python, whose setup is its interpreter."""
    return lambda python, inputs, output: [python, str(places.JOBS / file), inputs, output, *further]


def ours(form: str) -> Command:
    """Return the command of our flow, from landed files of this form to SQLite, a commit every second."""
    return lambda _, inputs, output: [sys.executable, "-m", "benchmarks.job_process", inputs, output, form]


def flink(parallelism: int) -> Command:
    """Return the command of Flink's job; the packages opened are those that its own scripts open."""
    packages = ("lang", "nio", "time", "util", "util.concurrent")
    opened = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in packages]

    def command(classes: str, inputs: str, output: str) -> list[str]:
        java = ["java", "-Xmx2g", *opened, "-cp", classes, "FlinkJob"]
        return [*java, inputs, output, f"{output}.checkpoints", str(parallelism), str(CHECKPOINT_MS)]

    return command


CORES = os.cpu_count() or 1
RIVALS = (
    Rival(OURS, "plantsync, JSON", ours("json"), rows=_committed, exact=True),
    Rival(AVRO, "plantsync, Avro", ours("avro"), inputs="avro", rows=_committed, exact=True),
    Rival(LIMIT, "C, one thread", lambda limit, *paths: [limit, *paths], places.compiled_c),
    Rival(FLINK_ONE_CORE, "Flink, Java", flink(1), places.flink_classes, inputs="plants", exact=True),
    Rival("flink-cores", "Flink, Java", flink(CORES), places.flink_classes, CORES, "plants", exact=True),
    Rival("naive", "Python, orjson", job("naive.py"), environment("naive")),
    Rival("bytewax", "Bytewax, 3 steps", job("bytewax_per_event.py", "steps"), environment("bytewax")),
    Rival("bytewax-fused", "Bytewax, fused", job("bytewax_per_event.py", "fused"), environment("bytewax")),
    Rival("pathway", "Pathway, static", job("pathway_stateful.py"), environment("pathway"), CORES),
    Rival("duckdb", "DuckDB, batch", job("duckdb_batch.py"), environment("duckdb"), CORES),
)
