"""Workload W: 2.1 million events of 1,000 sources, disordered, with duplicates, and what must come out.

The generator and the oracle are not ours (../shared/peers); they are run, never copied. What they
make is kept in the user's cache, by size. W comes as lines of JSON, and as Avro container files of the same events.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import orjson

ROOT = Path(__file__).parents[1]
PEERS = ROOT.parent / "shared" / "peers"
MAPPING = ROOT / "benchmarks" / "w.toml"
MAPPED = ROOT / "benchmarks" / "w_mapped.toml"
"""W as a plant might have it whose fields need expressions."""
AVRO_MAPPING = ROOT / "benchmarks" / "w_avro.toml"
AVRO_SCHEMA = ROOT / "benchmarks" / "w.avsc"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "plantsync"
BLOCK_BYTES = 64_000
"""Of a container: what the reference implementation of Avro writes."""
KEYS = (
    "plant", "source", "order", "operation", "work_center", "lot", "good_qty", "scrap_qty",
    "runtime_ms", "energy_wh", "events", "first_time", "last_time",
)  # fmt: skip
"""The columns that the peers' canon.py hashes, in its order."""


@dataclass(frozen=True, slots=True)
class Form:
    """In which form W lands: files in a folder, dated in their order, and the mapping that reads them."""

    folder: Path
    pattern: str
    mapping: Path
    format: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Where W is: the chunks in the order of arrival, and the oracle's rows and hash."""

    folder: Path
    messages: int
    rows: int
    digest: str

    @property
    def chunks(self) -> Path:
        """Folder of files of 100,000 messages each, dated in their order."""
        return self.folder / "chunks"

    def form(self, name: str) -> Form:
        """Return W as ``json`` or as ``avro``; the latter is made from the former, once."""
        if name == "json":
            return Form(self.chunks, "*.ndjson", MAPPING, name)
        folder = self.folder / "avro"
        if not folder.exists():
            _write_avro(self.chunks, folder)
        return Form(folder, "*.avro", AVRO_MAPPING, name)


def workload(sources: int = 1000, per_source: int = 2000) -> Workload:
    """Return W of this size, made once. Raises: FileNotFoundError where ../shared/peers is absent."""
    if not (PEERS / "gen.py").exists():
        raise FileNotFoundError(f"{PEERS / 'gen.py'} is missing: workload W is made by the peers' generator")
    folder = CACHE / f"w-{sources}-{per_source}"
    about = folder / "about.json"
    if not about.exists():
        size = [str(sources), str(per_source)]
        _run("gen.py", str(folder), *size)
        with (folder / "events.ndjson").open("rb") as events:
            messages = sum(1 for _ in events)
        rows, digest = canon(_oracle(folder))
        (folder / "events.ndjson").unlink()
        about.write_text(json.dumps({"messages": messages, "rows": rows, "digest": digest}))
    return Workload(folder, **json.loads(about.read_text()))


def _oracle(folder: Path) -> Iterator[dict[str, object]]:
    """Yield what must come out, plant by plant, since the oracle keeps all events it reads."""
    for events in sorted((folder / "plants").iterdir()):
        told = folder / f"oracle-{events.stem}.ndjson"
        _run("oracle.py", str(events), str(told))
        with told.open() as lines:
            yield from map(json.loads, lines)


def _write_avro(chunks: Path, folder: Path) -> None:
    schema = fastavro.parse_schema(json.loads(AVRO_SCHEMA.read_text()))
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    for chunk in sorted(chunks.iterdir()):
        path = making / f"{chunk.stem}.avro"
        with chunk.open("rb") as lines, path.open("wb") as file:
            fastavro.writer(file, schema, map(_avro_event, lines), sync_interval=BLOCK_BYTES)
        stat = chunk.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    making.rename(folder)


def _avro_event(line: bytes) -> dict[str, object]:
    event: dict[str, object] = orjson.loads(line)
    at = datetime.fromisoformat(str(event["event_time"]))
    return {**event, "event_time": (at - _EPOCH) // timedelta(milliseconds=1)}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def canon(rows: Iterable[dict[str, object]]) -> tuple[int, str]:
    """Return the number of rows and the hash that the peers' canon.py gives them."""
    lines = sorted(json.dumps([row[key] for key in KEYS]) for row in rows)
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def as_peers_row(value: bytes) -> dict[str, object]:
    """Return a confirmation of W in the words of job J."""
    told: dict[str, Any] = json.loads(value)
    exact = {"good_qty": ("good", 1000), "scrap_qty": ("scrap", 1000), "runtime_ms": ("machine_us", 1000)}
    exact["energy_wh"] = ("energy_mwh", 1000)
    for name, (ours, factor) in exact.items():
        told[name], rest = divmod(told[ours], factor)
        assert not rest, f"{ours} of {told['posting_id']} is no whole number"
    told["first_time"], told["last_time"] = _iso(told["first_occurred_us"]), _iso(told["last_occurred_us"])
    return told


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us // 1000 / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _run(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, str(PEERS / program), *arguments], check=True, stdout=subprocess.DEVNULL)
