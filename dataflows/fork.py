"""The stages of the confirmations flow with a shard's state and no log behind them: what would come of records.

Law: nothing is written or fenced. The stages are those of the flow, so a fork makes what the flow would make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from canonical.columns import QUANTITY_COLUMNS
from canonical.mapping import PlantMapping
from dataflows.confirmations import STAGES
from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.processors.aggregate import LATE_IDLE_US
from dataflows.stage import Keyed, Stage
from sinks.commit_log import Record
from sinks.streams import CONFIRMATIONS

MEASURES: Final = (*QUANTITY_COLUMNS, "events")
ORDER: Final = ("plant", "order", "operation", "lot", "unit")
"""What quantities are summed by."""
TOTALS: Final = ("read", "released", "late", "duplicates", "faults", "held")


class Fork:
    """A shard as the flow has it, from a state on."""

    def __init__(self, shard: str, mapping: PlantMapping, state: Mapping[str, bytes]) -> None:
        self._name = shard
        self._stages = [Stage(build) for build in STAGES.values()]
        self._pass(Restored(Shard(shard, mapping), state))

    def work(self, work: Work) -> None:
        """Take a batch; an empty one lets time pass."""
        self._pass(work)

    def commit(self, now_us: int) -> Commit:
        """Return what was made since the last one, and the totals."""
        commit = Commit(now_us, "")
        self._pass(commit)
        return commit

    def _pass(self, item: Item) -> None:
        items: list[Keyed] = [(self._name, item)]
        for stage in self._stages:
            items = [out for keyed in items for out in stage(keyed)]


def settled_us(mapping: PlantMapping, now_us: int) -> tuple[int, int]:
    """Return the instants by which gaps are given up, and then runs closed, whatever waits at ``now_us``."""
    gaps_us = round(mapping.sequencing.gap_timeout_s * 1e6) + 1
    idle_us = max(round((mapping.aggregation.idle_s or 0) * 1e6), LATE_IDLE_US) + 1
    return now_us + gaps_us, now_us + gaps_us + idle_us


def of_stream(stream: str, records: Iterable[Record]) -> Iterable[Record]:
    """Return the records of a stream."""
    return (record for record in records if record.stream == stream)


def confirmed(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return the confirmations among records, by posting id."""
    rows = (orjson.loads(record.value) for record in of_stream(CONFIRMATIONS, records))
    return {row["posting_id"]: row for row in rows}


def totals(commit: Commit) -> dict[str, int]:
    """Return the totals of a shard, over all its sessions."""
    return {name: int(commit.totals[name].sum()) + commit.unread.get(name, 0) for name in TOTALS}


def add_to_orders(orders: dict[tuple[str, ...], dict[str, int]], rows: Iterable[Mapping[str, Any]], sign: int) -> None:
    """Add the quantities of confirmations to the sums of their orders, with this sign."""
    for row in rows:
        sums = orders.setdefault(tuple(row[name] for name in ORDER), dict.fromkeys(MEASURES, 0))
        for name in MEASURES:
            sums[name] += sign * row[name]
