"""The ``analytics`` flow: everything the other flows committed, and reference data, into the DuckDB store.

The mechanism against loss and duplicates: rows and position are stored in one DuckDB
transaction, and a restart reads on from there. It runs apart from ``confirmations``: when it
stops, postings go on, and it catches up when it comes back (M23).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Event
from typing import Any, Final, Protocol

import bytewax.operators as op
import duckdb
import numpy as np
import pyarrow as pa
from bytewax.dataflow import Dataflow

from canonical.b2mml import Terms
from canonical.posting_wire import decode_exceptions, decode_unposted
from canonical.receipt_wire import decode_receipts
from canonical.records import RawRecords
from canonical.wire import (
    decode_confirmations,
    decode_events,
    decode_gaps,
    decode_ledger,
    decode_marks,
    decode_minutes,
    decode_ranges,
    decode_trail,
    decode_usage,
)
from dataflows.commit_sink import CommitSink
from dataflows.flow_names import ANALYTICS as NAME
from dataflows.items import Commit, Shard, Work
from dataflows.objectives_watch import ObjectivesWatch
from dataflows.posting_rows import posting_rows
from dataflows.reference_rows import ReferenceRows, reads_reference
from dataflows.residency import admitted
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.stage import stage
from sinks.analytics.fault_table import fault_table
from sinks.commit_log import Snapshot
from sinks.streams import (
    CONFIRMATIONS,
    DEAD_LETTERS,
    EVENTS,
    EXCEPTIONS,
    GAPS,
    LEDGER,
    POSTINGS,
    RANGES,
    RECEIPTS,
    STATES,
    TELEMETRY,
    TRAIL,
    UNPOSTED,
    USAGE,
)

NONE: Final[Mapping[str, Any]] = {}


class TableStore(Protocol):
    """Where the flow writes: ``sinks.analytics.store.Store``, or what stands in front of it."""

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return the position of its last commit."""
        ...

    def commit(self, shard: str, position: str, tables: Mapping[str, pa.Table]) -> int:
        """Store the rows and the position in one transaction, or nothing; return how many rows were new."""
        ...

    def transact(self, operation: str, work: Callable[[duckdb.DuckDBPyConnection], bool]) -> None:
        """Do ``work`` on the store in one transaction; it returns whether it changed what readers see."""
        ...

    def publish_if_due(self, now_us: int) -> bool:
        """Publish what is committed, when that is due; return whether it was."""
        ...


def _rows(decode: Callable[[list[bytes]], pa.Table]) -> Callable[[RawRecords], pa.Table]:
    """Return a reader of records that hold one or more lines each, with the offset of each row."""

    def read(raw: RawRecords) -> pa.Table:
        values = [raw.value(row) for row in range(len(raw))]
        lines = [value.count(b"\n") + 1 for value in values]
        return decode(values).append_column("stream_offset", pa.array(np.repeat(raw.offsets, lines)))

    return read


Readable = tuple[str, Callable[[RawRecords], pa.Table]]
"""The table of the store that records of a stream become, and what reads them."""

TABLES: Final[Mapping[str, Readable]] = {
    CONFIRMATIONS: ("confirmation", _rows(decode_confirmations)),
    EVENTS: ("event", _rows(decode_events)),
    GAPS: ("gap", _rows(decode_gaps)),
    LEDGER: ("ledger", _rows(decode_ledger)),
    RANGES: ("ledger_range", _rows(decode_ranges)),
    DEAD_LETTERS: ("fault", fault_table),
    TRAIL: ("trail", _rows(decode_trail)),
    USAGE: ("component_usage", _rows(decode_usage)),
    STATES: ("state_mark", _rows(decode_marks)),
    TELEMETRY: ("telemetry_minute", _rows(decode_minutes)),
}
"""By stream, of what the confirmations flow writes."""

ERP_TABLES: Final[Mapping[str, Readable]] = {
    UNPOSTED: ("unposted", _rows(decode_unposted)),
    RECEIPTS: ("receipt", _rows(decode_receipts)),
    EXCEPTIONS: ("business_exception", _rows(decode_exceptions)),
}
"""By stream, of what the postings and the delivery flow write, beside the posting queues."""

_QUEUE: Final[Readable] = ("posting", posting_rows)


def table_of(stream: str) -> Readable:
    """Return the table that a stream's records become, and what reads them."""
    if stream.startswith(POSTINGS):
        return _QUEUE
    return TABLES[stream] if stream in TABLES else ERP_TABLES[stream]


class Tabulate:
    """Records of one stream to the rows of its table."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.table, self.read = table_of(shard.stream)
        self.rows: list[pa.Table] = []
        self.read_us = 0

    def work(self, work: Work) -> Iterable[Work]:
        """Read the records; an empty work goes on where nothing was there to read and no row waits to be stored."""
        if len(work.raw):
            self.rows.append(self.read(work.raw))
            self.read_us = work.now_us
            yield Work(work.now_us, work.raw)
        elif not self.rows and work.now_us > self.read_us:
            yield Work(work.now_us)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Hand over the rows since the last commit."""
        if self.rows:
            commit.tables = {self.table: pa.concat_tables(self.rows)}
        self.rows = []
        return {}


def analytics(
    shards: Mapping[str, ShardInput],
    store: TableStore,
    pace: Pace,
    clock: Clock,
    stop: Event,
    terms: Mapping[str, Terms] = NONE,
    owners: Mapping[str, tuple[str, ...]] = NONE,
    watch: ObjectivesWatch | None = None,
    kept_out: frozenset[str] = frozenset(),
) -> Dataflow:
    """Return the flow; each shard names the stream it reads.

    Args: terms, owners: as for ``ReferenceRows``; watch: judges the objectives over what is stored; kept_out: plants
        whose rows the store may not hold. Others as for ``confirmations``.
    """

    def tabulate(shard: Shard, state: Mapping[str, bytes]) -> Tabulate | ReferenceRows:  # noqa: ARG001 - there is none
        return ReferenceRows(shard, terms, owners) if reads_reference(shard) else Tabulate(shard)

    def write(shard: str, commit: Commit) -> None:
        tables = admitted(commit.tables, kept_out)
        store.commit(shard, commit.position, tables)
        if watch is not None:
            watch.stored(shard, tables)

    def tick(shard: str, item: Work | Commit) -> None:
        if watch is not None:
            if isinstance(item, Work) and not len(item.raw):
                watch.idle(shard, item.now_us)
            if (evaluate := watch.due(item.now_us)) is not None:
                store.transact("evaluation of the objectives", evaluate)
        store.publish_if_due(item.now_us)  # also while nothing new comes: the last commit may have come too soon for it

    flow = Dataflow(NAME)
    raw = op.input("streams", flow, ShardSource(shards, store.restore, pace, clock, stop))
    rows = stage("tabulate", raw, tabulate, clock)
    op.output("store", rows, CommitSink(write, tick, clock))
    return flow
