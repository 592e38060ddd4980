"""A plant whose records are replayed: one order's quantity is lacking until its mapping knows a unit."""

from __future__ import annotations

import json
import time
from pathlib import Path

from dataflows.replay.replay import Replay
from dataflows.replay.selection import Selection
from dataflows.trail.operator_trail import operator_trail
from tests.mapped_plant import MappedPlant, clock

MAPPING = """\
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
unit = "u"
good = "g"
good_counter = "c"
[units]
H87 = "H87"
[counters]
jump_max = 100
[sequencing]
gap_timeout_s = 3600
"""


def record(number: int, **fields: object) -> bytes:
    content = {"s": "m", "n": number, "t": "complete", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    return json.dumps({**content, "o": "1", "u": "H87", "g": 1, **fields}).encode() + b"\n"


class ReplayedPlant(MappedPlant):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, mapping=MAPPING)
        self.landing = folder / "landing/p"

    @property
    def replay(self) -> Replay:
        return Replay(self.settings, clock, lambda _: None)

    def mended(self) -> None:
        self.mapping.write_text(self.mapping.read_text().replace("[units]\n", '[units]\nSTCK = "H87"\n'))

    def apply(self, selection: Selection | None = None):
        with operator_trail(self.settings) as trail:
            plan = self.replay.planned(selection or Selection(), trail.state)
            return self.replay.applied(plan, trail, "anna", "mended")

    def good(self) -> int:
        return sum(each["good"] for each in self.records("confirmations"))

    def visible(self) -> list[str]:
        return sorted(path.name for path in self.landing.iterdir() if not path.name.startswith("."))

    def hidden(self) -> list[Path]:
        return [path for path in self.landing.iterdir() if path.name.startswith(".")]
