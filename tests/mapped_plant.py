"""A plant of one mapping file with a log of its own, for tests of what becomes of versions of the file."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from threading import Event

from dataflows.flow_names import FlowName
from dataflows.runtime import run_flow
from dataflows.settings import Settings, load
from sinks.sqlite import SqliteStreams

MAPPING = """\
# What the plant engineer wrote.
plant = "P"
format = "json"

[input]
folder = "p"
pattern = "*.json"

[fields]
source = "s"
seq = "n"
type = "t"
occurred = "at"
order = "o"
work_center = "w"
unit = "u"
good = "g"

[units]
PCE = "H87"
"""
AT_S = 1_790_000_000


def clock() -> int:
    return time.time_ns() // 1_000


def line(number: int, **fields: object) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(AT_S + number * 60))
    content = {"s": "m", "n": number, "t": "complete", "at": at, "o": "1", "w": "W1", "u": "PCE", "g": 2}
    return json.dumps({**content, **fields}).encode() + b"\n"


class MappedPlant:
    def __init__(self, folder: Path, settings: str = "", mapping: str = MAPPING) -> None:
        self.folder, self.mapping = folder, folder / "p.toml"
        self.mapping.write_text(mapping)
        (folder / "landing/p").mkdir(parents=True)
        self.config = folder / "plantsync.toml"
        self.config.write_text(f'landing = "landing"\nplants = ["p.toml"]\n[pace]\nsettle_s = 0\n{settings}')

    @property
    def settings(self) -> Settings:
        return load(self.config)

    def lands(self, name: str, *lines: bytes) -> None:
        (self.folder / "landing/p" / name).write_bytes(b"".join(lines))
        self.run()

    def run(self, flow: FlowName = "confirmations") -> None:
        run_flow(self.settings, flow, stop=Event(), until_end=True)

    def log(self) -> bytes:
        """Return all that the log holds, to see that nobody wrote to it."""
        return (self.folder / "state/plantsync.db").read_bytes()

    def records(self, stream: str) -> list[dict]:
        with closing(SqliteStreams(self.folder / "state/plantsync.db")) as log:
            return [json.loads(stored.value) for stored in log.read(stream, 0, 10_000)]
