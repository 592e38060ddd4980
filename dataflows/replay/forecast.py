"""What would happen if these records came now: the real flow on a fork of a shard's committed state (M29).

Law: nothing is written or fenced. The stages are those of the flow; the fork takes the records, then
time passes until whatever waits has been given up or closed. A second fork of the same state takes
nothing and lets the same time pass: what the two differ in is what the records change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.fork import MEASURES, TOTALS, Fork, add_to_orders, confirmed, of_stream, settled_us, totals
from dataflows.items import Work
from sinks.dead_letters import parse
from sinks.streams import DEAD_LETTERS, EVENTS

FIRST: Final = 1 << 61
"""Offset of the first record in the fork: those of records that the state holds back are smaller."""


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
    later_us = settled_us(mapping, now_us)
    with_them, without = Fork(shard, mapping, state), Fork(shard, mapping, state)
    out = Forecast()
    with_them.work(Work(now_us, replace(raw, offsets=FIRST + np.arange(len(raw)))))
    without.work(Work(now_us))
    commit, other_commit = with_them.commit(now_us), without.commit(now_us)
    after, anyway = totals(commit), totals(other_commit)
    out.totals = Counter({name: after[name] - anyway[name] for name in TOTALS if after[name] != anyway[name]})
    for fork in (with_them, without):
        for us in later_us:
            fork.work(Work(us))
    records = [*commit.records, *with_them.commit(later_us[1]).records]
    other = [*other_commit.records, *without.commit(later_us[1]).records]
    for record in of_stream(DEAD_LETTERS, commit.records):
        fault = parse(record).fault
        if fault.offset >= FIRST:
            out.faulty[fault.offset - FIRST] = fault.code.value
    out.events = sum(1 for _ in of_stream(EVENTS, records)) - sum(1 for _ in of_stream(EVENTS, other))
    _compare(out, confirmed(records), confirmed(other))
    return out


def _compare(out: Forecast, made: Mapping[str, dict[str, Any]], anyway: Mapping[str, dict[str, Any]]) -> None:
    for posting_id, row in made.items():
        if posting_id not in anyway:
            out.made[row["kind"]] += 1
        elif row != anyway[posting_id]:
            out.grown += 1
    add_to_orders(out.orders, made.values(), 1)
    add_to_orders(out.orders, anyway.values(), -1)
    out.orders = {order: sums for order, sums in out.orders.items() if any(sums.values())}
