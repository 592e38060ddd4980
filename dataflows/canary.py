"""A new version of a mapping on recorded traffic: what it would make of it, against the version in force (A21).

Law: nothing is written or fenced. Both versions take the same records, from no state, in the flow's own stages; what
they make differs by the mapping alone. Where the traffic begins in the middle, sessions begin with the first number
of it, in both.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.committed_states import committed_states
from dataflows.fork import MEASURES, ORDER, TOTALS, Fork, add_to_orders, confirmed, of_stream, settled_us, totals
from dataflows.items import Work
from dataflows.replay.original_records import OriginalRecords, rows_of
from dataflows.settings import Settings
from dataflows.shards import confirmations_shards
from dataflows.sources.shard_source import Clock, ShardInput
from sinks.commit_log import PlantsyncError, Record, Snapshot
from sinks.dead_letters import parse
from sinks.streams import DEAD_LETTERS, EVENTS, STATES, TELEMETRY

BYTES_MAX: Final = 64 * 1024 * 1024
"""Of a shard's records that are held."""
BESIDE: Final = (EVENTS, STATES, TELEMETRY)
"""Streams beside confirmations and dead letters whose lines are compared as they are."""
EXAMPLES_MAX: Final = 20
WHOLE: Final = frozenset({"avro", "b2mml", "parquet"})
"""Formats whose files are cut into records in a way of their own."""


class CanaryRefused(PlantsyncError):
    """The two versions cannot be compared."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Which records of each shard are taken: the last ones, of those that occurred between two instants (UTC)."""

    last: int
    since_us: int | None = None
    until_us: int | None = None


@dataclass(slots=True)
class Made:
    """What one version makes of the records."""

    confirmations: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    lines: dict[str, Counter[bytes]] = field(default_factory=lambda: {stream: Counter() for stream in BESIDE})
    totals: Counter[str] = field(default_factory=Counter)

    def take(self, shard: str, records: Iterable[Record]) -> None:
        """Take in what a shard made."""
        kept = list(records)
        rows = confirmed(kept)
        self.confirmations |= rows
        add_to_orders(self.orders, rows.values(), 1)
        for record in of_stream(DEAD_LETTERS, kept):
            fault = parse(record).fault
            self.faults[fault.code.value] += 1
            self.places[f"{shard}:{fault.offset}"] = fault.code.value, fault.detail
        for stream, lines in self.lines.items():
            for record in of_stream(stream, kept):
                lines.update(record.value.splitlines())


@dataclass(frozen=True, slots=True)
class Canary:
    """What both versions made. ``records``: taken, by shard; ``cut``: there were more before them."""

    old: PlantMapping
    new: PlantMapping
    records: Mapping[str, int]
    cut: bool
    was: Made
    will: Made

    @property
    def differs(self) -> bool:
        """Return whether anything of it would be another."""
        was, will = self.was, self.will
        return (was.confirmations, was.places, was.lines, was.totals) != (
            will.confirmations, will.places, will.lines, will.totals,
        )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """Return the comparison as JSON has it."""
        was, will = self.was, self.will
        return {
            "plant": self.new.name,
            "digests": {"old": self.old.digest, "new": self.new.digest},
            "records": dict(self.records),
            "cut": self.cut,
            "differs": self.differs,
            "totals": {name: {"old": was.totals[name], "new": will.totals[name]} for name in TOTALS},
            "confirmations": self._confirmations(),
            "orders": list(self._orders()),
            "faults": {
                code: {"old": was.faults[code], "new": will.faults[code]}
                for code in sorted({*was.faults, *will.faults})
            },
            "fault_examples": list(self._examples()),
            "beside": {
                stream: {
                    "old": was.lines[stream].total(),
                    "new": will.lines[stream].total(),
                    "only_old": (was.lines[stream] - will.lines[stream]).total(),
                    "only_new": (will.lines[stream] - was.lines[stream]).total(),
                }
                for stream in BESIDE
            },
        }

    def _confirmations(self) -> dict[str, Any]:
        was, will = self.was.confirmations, self.will.confirmations
        both = [(row, will[name]) for name, row in was.items() if name in will]
        fields = Counter(name for old, new in both for name in old if old[name] != new[name])
        return {
            "old": len(was),
            "new": len(will),
            "only_old": len(was.keys() - will.keys()),
            "only_new": len(will.keys() - was.keys()),
            "changed": sum(old != new for old, new in both),
            "changed_fields": dict(fields.most_common()),
        }

    def _orders(self) -> Iterator[dict[str, Any]]:
        """Yield the orders whose sums differ."""
        none = dict.fromkeys(MEASURES, 0)
        for order in sorted({*self.was.orders, *self.will.orders}):
            old, new = self.was.orders.get(order, none), self.will.orders.get(order, none)
            if old != new:
                yield {**dict(zip(ORDER, order, strict=True)), "old": old, "new": new}

    def _examples(self) -> Iterator[dict[str, str]]:
        """Yield some of the records that one version refuses and the other does not, or for another reason."""
        was, will = self.was.places, self.will.places
        places = [place for place in {**was, **will} if was.get(place, ("",))[0] != will.get(place, ("",))[0]]
        for place in places[:EXAMPLES_MAX]:
            old, new = was.get(place, ("", "")), will.get(place, ("", ""))
            yield {"place": place, "old": old[0], "new": new[0], "detail": new[1] or old[1]}


def canary(settings: Settings, new: PlantMapping, taken: Taken, clock: Clock) -> Canary:
    """Run both versions over what the plant's shards have read.

    Raises: CanaryRefused, MappingError, CommitLogUnavailable, CommitLogError, SourceUnavailable, PositionLost.
    """
    old = in_force(settings, new)
    if old.format != new.format and WHOLE & {old.format, new.format}:
        raise CanaryRefused(
            f"records of the format {old.format} are not those of {new.format}: there is nothing to compare"
        )
    shards = {
        name: shard
        for name, shard in confirmations_shards(settings, clock).items()
        if shard.mapping is not None and shard.mapping.digest == old.digest
    }
    snapshots = committed_states(settings, shards)
    now_us = clock()
    was, will = Made(), Made()
    records: dict[str, int] = {}
    any_cut = False
    for name, shard in sorted(shards.items()):
        if name not in snapshots:
            continue
        batches, cut = _traffic(shard, snapshots[name], taken, now_us)
        any_cut |= cut
        records[name] = sum(map(len, batches))
        for version, made in ((old, was), (new, will)):
            _run(name, _midway(version) if cut else version, batches, now_us, made)
    return Canary(old, new, records, any_cut, was, will)


def in_force(settings: Settings, new: PlantMapping) -> PlantMapping:
    """Return the version of the same plant that the settings name. Raises: CanaryRefused, MappingError."""
    mappings = settings.mappings()
    known = {each.name: each for each in (*mappings, *(each for each in mappings if each.input == new.input))}
    if new.name not in known:
        raise CanaryRefused(f"the settings name no plant {new.name!r}: they have {', '.join(sorted(known))}")
    return known[new.name]


def _traffic(shard: ShardInput, snapshot: Snapshot, taken: Taken, now_us: int) -> tuple[list[RawRecords], bool]:
    """Return the records that are taken, and whether there were others before them."""
    assert shard.mapping is not None
    kept: deque[RawRecords] = deque()
    rows = size = 0
    cut = False
    position = orjson.loads(snapshot.position)
    first = position["offset"] - taken.last if "offset" in position and taken.since_us is None else None
    with OriginalRecords(shard, snapshot) as originals:
        for raw in originals.read("", None if first is None or first <= 0 else first, None):
            part = _within(shard.mapping, raw, taken, now_us)
            cut |= len(part) < len(raw)
            if not len(part):
                continue
            kept.append(part)
            rows, size = rows + len(part), size + _bytes(part)
            while rows > taken.last or size > BYTES_MAX:
                oldest = kept.popleft()
                rows, size = rows - len(oldest), size - _bytes(oldest)
                cut = True
                if rows < taken.last and size + _bytes(oldest) <= BYTES_MAX:
                    end = len(oldest)
                    rest = rows_of(oldest, list(range(end - min(taken.last - rows, end), end)))
                    kept.appendleft(rest)
                    rows, size = rows + len(rest), size + _bytes(rest)
    return list(kept), cut or (first is not None and first > 0)


def _bytes(raw: RawRecords) -> int:
    return int((raw.ends - raw.starts).sum())


def _within(mapping: PlantMapping, raw: RawRecords, taken: Taken, now_us: int) -> RawRecords:
    """Return the records that occurred in time as the version in force reads them; one it cannot read may have."""
    if taken.since_us is None and taken.until_us is None:
        return raw
    events = decode(mapping, raw, Vocabulary(), now_us).events
    occurred = events["occurred_us"]
    meant = np.ones(len(occurred), np.bool_)
    if taken.since_us is not None:
        meant &= occurred >= taken.since_us
    if taken.until_us is not None:
        meant &= occurred < taken.until_us
    outside = set(events["row"][~meant].tolist()) - set(events["row"][meant].tolist())
    return rows_of(raw, [row for row in range(len(raw)) if row not in outside])


def _midway(mapping: PlantMapping) -> PlantMapping:
    """Return the mapping for traffic whose sessions have begun before it."""
    return mapping.model_copy(update={"sequencing": mapping.sequencing.model_copy(update={"start": "any"})})


def _run(shard: str, mapping: PlantMapping, batches: Iterable[RawRecords], now_us: int, made: Made) -> None:
    fork = Fork(shard, mapping, {})
    for raw in batches:
        fork.work(Work(now_us, raw))
    for later_us in settled_us(mapping, now_us):
        fork.work(Work(later_us))
    commit = fork.commit(max(settled_us(mapping, now_us)))
    made.take(shard, commit.records)
    made.totals.update(totals(commit))
