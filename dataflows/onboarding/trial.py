"""A mapping tried on records: the real stages of the flow, without an engine, a log or a clock.

Law: nothing is written. The records are read at one instant, then time passes until whatever waits has been given up
and whatever is open has been closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.confirmations import STAGES
from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.processors.aggregate import LATE_IDLE_US
from dataflows.stage import Keyed, Stage
from sinks.commit_log import Record
from sinks.dead_letters import parse
from sinks.streams import CONFIRMATIONS, DEAD_LETTERS, EVENTS, GAPS

_NAME: Final = "sample"
TOTALS: Final = (
    "read", "released", "late", "duplicates", "faults", "held",
    "accounted", "analytics_only", "operational", "good", "scrap", "rework",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Set:
    """A record that was set aside: its code, what is wrong, and its bytes."""

    code: str
    detail: str
    original: bytes


@dataclass(slots=True)
class Trial:
    """What the records became. ``totals`` are those of the ledger; quantities are thousandths."""

    totals: Counter[str] = field(default_factory=Counter)
    confirmations: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Set] = field(default_factory=list)
    open_events: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether every record read is in exactly one class (DESIGN law 1)."""
        totals = self.totals
        read = sum(totals[name] for name in ("released", "late", "duplicates", "faults", "held"))
        passed = sum(totals[name] for name in ("accounted", "analytics_only", "operational")) + self.open_events
        return totals["read"] == read and totals["released"] + totals["late"] == passed

    @property
    def amounts(self) -> dict[tuple[str, ...], tuple[int, ...]]:
        """Events and quantities by what they were made of and for, whatever confirmations they came in."""
        sums: dict[tuple[str, ...], tuple[int, ...]] = {}
        for row in self.confirmations:
            key = tuple(row[name] for name in _KEY)
            former = sums.get(key, (0,) * len(_SUMMED))
            sums[key] = tuple(a + row[name] for a, name in zip(former, _SUMMED, strict=True))
        return sums


_KEY: Final = ("source", "session", "order", "operation", "material", "lot", "unit", "shift", "posting_date")
_SUMMED: Final = ("events", "good", "scrap", "rework")


def tried(mapping: PlantMapping, batches: Sequence[RawRecords], now_us: int) -> Trial:
    """Return what the flow makes of batches that are read one after the other.

    Args: batches: RAW[n] each; now_us: the instant of reading, int64 UTC microseconds.
    """
    waits_us = (
        round(mapping.sequencing.gap_timeout_s * 1e6) + 1,
        max(round((mapping.aggregation.idle_s or 0) * 1e6), LATE_IDLE_US) + 1,
    )
    stages = [Stage(build) for build in STAGES.values()]
    _through(stages, Restored(Shard(_NAME, mapping), {}))
    for batch in batches:
        _through(stages, Work(now_us, batch))
    for us in (now_us, now_us + waits_us[0], now_us + sum(waits_us)):
        _through(stages, Work(us))
    commit = Commit(now_us + sum(waits_us), "")
    _through(stages, commit)
    out = Trial()
    for name in TOTALS:
        column = commit.totals.get(name, np.zeros(0, np.int64))
        out.totals[name] = int(column.sum()) + commit.unread.get(name, 0)
    out.totals["skipped"] = commit.unread.get("skipped", 0)
    out.open_events = int(commit.totals["open"].sum())
    _sort(out, commit.records)
    return out


def read_at(mapping: PlantMapping, raw: RawRecords, now_us: int) -> int:
    """Return the instant at which a sample is taken to be read: just after its newest record, and never after now.

    A sample may be older than the plant's records may be, which says nothing against its mapping.
    """
    limits = mapping.limits.model_copy(update={"past_max_s": 2e9, "future_max_s": 1.0})
    timeless = mapping.model_copy(update={"limits": limits})
    decoded = decode(timeless, raw, Vocabulary(), now_us).events
    return now_us if not decoded.n else min(now_us, int(decoded["occurred_us"].max()) + 1)


def _through(stages: Iterable[Stage], item: Item) -> None:
    items: list[Keyed] = [(_NAME, item)]
    for stage in stages:
        items = [out for keyed in items for out in stage(keyed)]


def _sort(out: Trial, records: Iterable[Record]) -> None:
    streams: Mapping[str, list[dict[str, Any]]] = {CONFIRMATIONS: out.confirmations, EVENTS: out.events, GAPS: out.gaps}
    for record in records:
        if record.stream in streams:
            streams[record.stream].append(orjson.loads(record.value))
        elif record.stream == DEAD_LETTERS:
            letter = parse(record)
            out.faults.append(Set(letter.fault.code.value, letter.fault.detail, record.value or b""))
