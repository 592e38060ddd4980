"""What moves through a flow: per shard, in order, ``Restored``, then ``Work`` and ``Commit``.

Each stage (``dataflows.stage``) reads the events of a ``Work`` item, puts its own results in,
and on ``Commit`` adds its encoded state. The sink writes all records since the last ``Commit``,
the state and the position in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from canonical.columns import EventBatch
from canonical.records import NO_RECORDS, RawRecords, RowFault
from sinks.commit_log import Record


@dataclass(slots=True)
class Restored:
    """First item of a shard: the state of its last commit."""

    state: Mapping[str, bytes]


@dataclass(slots=True)
class Work:
    """One batch on its way; empty when only time has passed.

    ``events`` is EVENT[n]; ``late`` is EVENT[k] that fill declared gaps; ``records`` are results
    to be written; ``faults`` name rows of ``raw``, whose bytes become dead letters.
    """

    now_us: int
    raw: RawRecords = NO_RECORDS
    events: EventBatch = field(default_factory=EventBatch.empty)
    late: EventBatch = field(default_factory=EventBatch.empty)
    faults: list[tuple[str, RowFault]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Commit:
    """Everything before it and after the last one becomes durable together."""

    now_us: int
    position: str
    state: dict[str, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)


Item = Restored | Work | Commit
