"""A workload: what a few shards hold and when it can be read; shared by all schedules that are run over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.processors.aggregate import LATE_IDLE_US
from dataflows.proof.dice import Dice
from dataflows.proof.traffic import shard_traffic
from dataflows.proof.twin import Row, rows_of

STARTS_US: Final = (
    1_767_617_000_000_000,  # 2026-01-05 12:43 UTC, a Monday
    1_774_749_900_000_000,  # 2026-03-29 02:05 UTC: Europe has just put its clocks forward
    1_792_894_800_000_000,  # 2026-10-25 01:40 UTC: Europe has just put them back
)
TOPIC: Final = "simulated"


@dataclass(frozen=True, slots=True)
class ShardLog:
    """RAW[n] of one shard, when each record can be read (UTC microseconds, ascending), and what each is."""

    raw: RawRecords
    stored_us: list[int]
    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def between(self, first: int, end: int) -> RawRecords:
        """Return the records from one offset to before another."""
        raw, part = self.raw, slice(first, end)
        return RawRecords(raw.data, raw.starts[part], raw.ends[part], raw.offsets[part], TOPIC, raw.partition)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is there to be read.

    ``calm``: everything arrives, and the plant's waits (gap, idle; the shortest is ``wait_us``) are long
    against the run, so that no decision is left to the clock. Otherwise records are lost and waits end.
    """

    mapping: PlantMapping
    shards: dict[str, ShardLog]
    start_us: int
    unit_us: int
    wait_us: int
    longest_us: int
    calm: bool


def workload(mapping: PlantMapping, dice: Dice, *, calm: bool) -> Workload:
    """Return a workload for a plant in plain words (``plain``)."""
    start_us = dice.pick(STARTS_US)
    policy = mapping.sequencing
    waits = [LATE_IDLE_US if mapping.aggregation.idle_s is None else round(mapping.aggregation.idle_s * 1e6)]
    if policy.mode == "number":
        waits.append(round(policy.gap_timeout_s * 1e6))
    # While a record is read again and again, it must not grow too old to be believed.
    oldest = round(mapping.limits.past_max_s * 1e6) // 2_000
    unit_us = max(1, min(min(waits) // 2_000 if calm else dice.pick(waits) // dice.between(3, 12), oldest))
    shards = {}
    for partition in range(dice.between(1, 2)):
        sent = shard_traffic(mapping, dice, "abc"[partition], start_us, losses=not calm)
        values = [value for _, _, value in sent]
        raw = RawRecords.from_values(values, np.arange(len(sent)), TOPIC, partition)
        stored_us = [start_us + int(time * unit_us) for time, _, _ in sent]
        shards[f"{TOPIC}-{partition}"] = ShardLog(raw, stored_us, rows_of(mapping, (event for _, event, _ in sent)))
    return Workload(mapping, shards, start_us, unit_us, min(waits), max(waits), calm)
