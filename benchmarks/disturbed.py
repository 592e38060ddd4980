"""Workload W told otherwise: more or less of it out of order, more or less of it twice, in one folder or in several.

What must come out stays the same: the oracle knows neither order nor repetition.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kafka_topic import source_of
from benchmarks.workload import Workload

CHUNK = 100_000
REACH = 50
"""An event comes at most so many places of its source too late, as in W."""
AGAIN_WITHIN = 2_000
"""A repetition comes at most so many messages later, as in W."""


def in_order(made: Workload) -> list[bytes]:
    """Return W's events once each: the sources take turns as in W, each in the order of its numbers."""
    lines = [line for chunk in sorted(made.chunks.iterdir()) for line in chunk.read_bytes().splitlines()]
    lines = list(dict.fromkeys(lines))
    of_source: dict[bytes, list[bytes]] = defaultdict(list)
    turns = [source_of(line) for line in lines]
    for source, line in zip(turns, lines, strict=True):
        of_source[source].append(line)
    for mine in of_source.values():
        mine.sort(key=number_of, reverse=True)
    return [of_source[source].pop() for source in turns]


def disturbed(lines: Sequence[bytes], disorder: float, duplicates: float, seed: int = 7) -> list[bytes]:
    """Return the lines with this part of them displaced within their source, and this part repeated later."""
    rng = random.Random(seed)
    places: dict[bytes, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        places[source_of(line)].append(place)
    told = list(lines)
    for mine in places.values():
        late = [(n + (rng.randint(1, REACH) if rng.random() < disorder else 0), n) for n in range(len(mine))]
        for place, (_, n) in zip(mine, sorted(late), strict=True):
            told[place] = lines[mine[n]]
    again = rng.sample(range(len(told)), round(duplicates * len(told)))
    placed = [(float(place), line) for place, line in enumerate(told)]
    placed += [(place + rng.randint(1, AGAIN_WITHIN) + 0.5, told[place]) for place in again]
    return [line for _, line in sorted(placed, key=lambda each: each[0])]


def land(lines: Sequence[bytes], folder: Path) -> None:
    """Write the lines as files, named in their order."""
    folder.mkdir(parents=True)
    for number, first in enumerate(range(0, len(lines), CHUNK)):
        (folder / f"c{number:03d}.ndjson").write_bytes(b"\n".join(lines[first : first + CHUNK]) + b"\n")
    os.sync()  # Else the system writes them to the disk while commits wait for theirs.


def number_of(line: bytes) -> int:
    """Return the number of a line of W within its source."""
    at = line.index(b'"seq":') + 6
    return int(line[at : line.index(b",", at)])
