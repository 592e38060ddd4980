"""What would happen if these records came now: the real flow on a fork of a shard's committed state (M29).

Law: nothing is written or fenced. The stages are those of the flow; the fork takes the records, then
time passes until whatever waits has been given up or closed. A second fork of the same state takes
nothing and lets the same time pass: what the two differ in is what the records change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import orjson

from canonical.columns import QUANTITY_COLUMNS
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.confirmations import STAGES
from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.processors.aggregate import LATE_IDLE_US
from dataflows.stage import Keyed, Stage
from sinks.commit_log import Record
from sinks.dead_letters import parse
from sinks.streams import CONFIRMATIONS, DEAD_LETTERS, EVENTS

MEASURES: Final = (*QUANTITY_COLUMNS, "events")
ORDER: Final = ("plant", "order", "operation", "lot", "unit")
FIRST: Final = 1 << 61
"""Offset of the first record in the fork: those of records that the state holds back are smaller."""
TOTALS: Final = ("read", "released", "late", "duplicates", "faults", "held")


@dataclass(slots=True)
class Forecast:
    """What records would change.

    ``orders``: by (plant, order, operation, lot, unit), what would be added to each measure of its
    confirmations. ``made``: new confirmations by kind. ``grown``: confirmations that would be made
    anyway and would become others. ``totals``: what would be added to the ledger. ``events``: events
    passed on one by one. ``faulty``: rows that would become dead letters, with their codes.
    """

    orders: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    grown: int = 0
    events: int = 0
    totals: Counter[str] = field(default_factory=Counter)
    faulty: dict[int, str] = field(default_factory=dict)

    def add(self, other: Forecast) -> None:
        """Take in what another shard's records would change; its rows are its own."""
        for order, measures in other.orders.items():
            mine = self.orders.setdefault(order, dict.fromkeys(MEASURES, 0))
            for name, value in measures.items():
                mine[name] += value
        self.made += other.made
        self.grown += other.grown
        self.events += other.events
        self.totals.update(other.totals)  # with signs, which + would drop


def forecast(shard: str, mapping: PlantMapping, state: Mapping[str, bytes], raw: RawRecords, now_us: int) -> Forecast:
    """Return what the records would change.

    Args:
        shard: whose they are.
        mapping: the one now in force.
        state: of the shard's last commit.
        raw: RAW[n]; its offsets do not matter.
        now_us: UTC microseconds.
    """
    waits_us = (
        round(mapping.sequencing.gap_timeout_s * 1e6) + 1,
        max(round((mapping.aggregation.idle_s or 0) * 1e6), LATE_IDLE_US) + 1,
    )
    later_us = (now_us + waits_us[0], now_us + sum(waits_us))
    with_them, without = _Fork(shard, mapping, state), _Fork(shard, mapping, state)
    out = Forecast()
    with_them.work(Work(now_us, replace(raw, offsets=FIRST + np.arange(len(raw)))))
    without.work(Work(now_us))
    commit, other_commit = with_them.commit(now_us), without.commit(now_us)
    after, anyway = _totals(commit), _totals(other_commit)
    out.totals = Counter({name: after[name] - anyway[name] for name in TOTALS if after[name] != anyway[name]})
    for fork in (with_them, without):
        for us in later_us:
            fork.work(Work(us))
    records = [*commit.records, *with_them.commit(later_us[1]).records]
    other = [*other_commit.records, *without.commit(later_us[1]).records]
    for record in _of(DEAD_LETTERS, commit.records):
        fault = parse(record).fault
        if fault.offset >= FIRST:
            out.faulty[fault.offset - FIRST] = fault.code.value
    out.events = sum(1 for _ in _of(EVENTS, records)) - sum(1 for _ in _of(EVENTS, other))
    _compare(out, _confirmed(records), _confirmed(other))
    return out


def _compare(out: Forecast, made: Mapping[str, dict[str, Any]], anyway: Mapping[str, dict[str, Any]]) -> None:
    for posting_id, row in made.items():
        if posting_id not in anyway:
            out.made[row["kind"]] += 1
        elif row != anyway[posting_id]:
            out.grown += 1
    for sign, rows in ((1, made.values()), (-1, anyway.values())):
        for row in rows:
            sums = out.orders.setdefault(tuple(row[name] for name in ORDER), dict.fromkeys(MEASURES, 0))
            for name in MEASURES:
                sums[name] += sign * row[name]
    out.orders = {order: sums for order, sums in out.orders.items() if any(sums.values())}


def _of(stream: str, records: Iterable[Record]) -> Iterable[Record]:
    return (record for record in records if record.stream == stream)


def _confirmed(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    rows = (orjson.loads(record.value) for record in _of(CONFIRMATIONS, records))
    return {row["posting_id"]: row for row in rows}


def _totals(commit: Commit) -> dict[str, int]:
    return {name: int(commit.totals[name].sum()) + commit.unread.get(name, 0) for name in TOTALS}


class _Fork:
    """The stages of the flow with a shard's state, and no log behind them."""

    def __init__(self, shard: str, mapping: PlantMapping, state: Mapping[str, bytes]) -> None:
        self._name = shard
        self._stages = [Stage(build) for build in STAGES.values()]
        self._pass(Restored(Shard(shard, mapping), state))

    def work(self, work: Work) -> None:
        self._pass(work)

    def commit(self, now_us: int) -> Commit:
        commit = Commit(now_us, "")
        self._pass(commit)
        return commit

    def _pass(self, item: Item) -> None:
        items: list[Keyed] = [(self._name, item)]
        for stage in self._stages:
            items = [out for keyed in items for out in stage(keyed)]
