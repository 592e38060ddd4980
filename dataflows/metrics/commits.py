"""What a commit changes in the figures of its flow: counts, bytes, faults by code, fates of rows, receipts."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import Any, Final

import orjson

from dataflows.items import Commit, Shard
from dataflows.metrics.bounded import Bounded
from dataflows.metrics.declared import Declared
from dataflows.metrics.hops import CONFIRMED, ENQUEUED, SAMPLED_MAX, Hops
from dataflows.watch import Committed
from sinks.commit_log import Record
from sinks.dead_letters import code_and_attempts
from sinks.records import Packed, parts_of, weighed
from sinks.streams import CONFIRMATIONS, DEAD_LETTERS, GAPS, POSTINGS, RECEIPTS

FATES: Final = ("released", "late", "duplicates", "faults", "skipped")
"""What became of records that were read; all others are held."""


class CommitFigures:
    """Takes the commits of a flow's shards into its metrics, each once it is durable.

    Those of a shard become durable in the order in which they are counted.
    """

    def __init__(self, flow: str, declared: Declared) -> None:
        self._flow, self._to, self._hops = flow, declared, Hops(flow, declared)
        self._plant = Bounded()
        self._counted: defaultdict[str, deque[tuple[str, Mapping[str, int]]]] = defaultdict(deque)
        self._totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._plants: dict[str, str] = {}
        self._parts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._state: Counter[str] = Counter()

    def counted(self, shard: Shard, commit: Commit) -> None:
        """Keep the sums of a commit's totals until it is durable."""
        sums = {name: int(column.sum()) for name, column in commit.totals.items()}
        for name, count in commit.unread.items():
            sums[name] = sums.get(name, 0) + count
        self._counted[shard.name].append((shard.mapping.plant or "", sums))

    def forget(self) -> None:
        """Forget the commits that are not durable: the run that made them has ended."""
        self._counted.clear()

    def committed(self, done: Committed) -> None:
        """Take a commit in."""
        to, flow, shard = self._to, self._flow, done.shard
        to.commits.labels(flow, shard).inc()
        to.commit_duration.labels(flow).observe((done.ended_us - done.began_us) / 1e6)
        to.last_commit.labels(flow, shard).set(done.ended_us / 1e6)
        if self._counted[shard]:
            self._rows(shard, *self._counted[shard].popleft())
        for table, count in done.rows.items():
            to.written.labels(flow, table).inc(count)
        by_stream: defaultdict[str, list[Record]] = defaultdict(list)
        for part in parts_of(done.records):
            for record in part.some(SAMPLED_MAX) if isinstance(part, Packed) else part:
                by_stream[record.stream].append(record)
        size = sum(map(len, done.state.values()))
        for stream, (count, length) in weighed(done.records).items():
            to.written.labels(flow, stream).inc(count)
            size += length
            self._stream(shard, stream, by_stream[stream], done.ended_us)
        to.commit_bytes.labels(flow, shard).inc(size)
        if done.state:
            self._keep(shard, done.state)
            to.state.labels(flow, shard).set(self._state[shard])

    def _keep(self, shard: str, state: Mapping[str, bytes]) -> None:
        """Note how large the parts of the state are now; the others stay as they were."""
        parts = self._parts[shard]
        for part, value in state.items():
            self._state[shard] += len(value) - parts.pop(part, 0)
            if value:
                parts[part] = len(value)

    def _rows(self, shard: str, plant: str, sums: Mapping[str, int]) -> None:
        plant = self._plant(plant)
        before, self._totals[shard] = self._totals[shard], Counter(sums)
        for fate in FATES:
            self._to.rows.labels(shard, plant, fate).inc(max(sums.get(fate, 0) - before[fate], 0))
        self._to.missing.labels(shard, plant).inc(max(sums["missing"] - before["missing"], 0))
        self._to.rows_held.labels(shard, plant).set(sums["held"])
        self._to.rows_open.labels(shard, plant).set(sums["open"])
        self._plants[shard] = plant

    def _stream(self, shard: str, stream: str, records: list[Record], now_us: int) -> None:
        """Look into the records of a commit in one stream, of the confirmations into some."""
        to, flow = self._to, self._flow
        if stream == DEAD_LETTERS:
            letters = [code_and_attempts(record) for record in records]
            for code, count in Counter(code for code, _ in letters).items():
                to.dead_letters.labels(flow, code).inc(count)
            to.dead_again.labels(flow).inc(sum(attempts > 1 for _, attempts in letters))
        elif stream == GAPS:
            to.gaps_declared.labels(flow).inc(len(records))
        elif stream == CONFIRMATIONS:
            self._hops.records(self._plants.get(shard, ""), CONFIRMED, records, now_us)
        elif stream.startswith(POSTINGS):
            for plant, own in _by_plant(records).items():
                self._hops.records(plant, ENQUEUED, own, now_us)
        elif stream == RECEIPTS:
            for record in records:
                self._receipt(orjson.loads(record.value))

    def _receipt(self, receipt: Any) -> None:
        to, erp = self._to, receipt["erp"]
        to.receipts.labels(erp, receipt["status"]).inc()
        if receipt["status"] == "accepted":
            to.found.labels(erp).inc(receipt["found"])
            to.repeats.labels(erp).inc(max(receipt["attempts"] - 1, 0))
            self._hops.receipt(receipt)


def _by_plant(records: list[Record]) -> Mapping[str, list[Record]]:
    """Return postings by the plant that their key begins with."""
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[(record.key or b"").partition(b"/")[0].decode()].append(record)
    return found
