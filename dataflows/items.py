"""What moves through a flow: per shard, in order, ``Restored``, then ``Work`` and ``Commit``.

Each stage (``dataflows.stage``) reads the events of a ``Work``, puts its own results in, and on
``Commit`` adds its encoded state. The sink writes all records since the last ``Commit``, the
state and the position in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EventBatch, IntColumn, Sessions, Vocabulary
from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords, RowFault
from dataflows.ranges import Ranges
from sinks.records import Records

NO_EVENTS: Final = EventBatch.empty()


class Shard:
    """One input partition while it is processed here: its name, its plant or stream, its codes.

    ``pending`` says that there are results which no commit has taken yet, ``urgent`` that a commit
    should not be long in coming, ``commit_cost_us`` what the next one will cost however soon it comes:
    what the last one did. ``results`` counts those that no commit has taken, where a flow makes few of
    many records; None where each record is to be counted as one.
    """

    __slots__ = (
        "_mapping", "commit_cost_us", "name", "pending", "results", "sessions", "stream", "urgent", "vocabulary",
    )  # fmt: skip

    def __init__(self, name: str, mapping: PlantMapping | None = None, stream: str = "") -> None:
        self.name = name
        self.stream = stream
        self._mapping = mapping
        self.vocabulary = Vocabulary()
        self.sessions = Sessions(self.vocabulary)
        self.pending = False
        self.urgent = False
        self.commit_cost_us = 0
        self.results: int | None = None

    @property
    def mapping(self) -> PlantMapping:
        """The plant whose records these are; only raw input has one."""
        assert self._mapping is not None, f"shard {self.name} reads stream {self.stream}, not a plant"
        return self._mapping

    def renewed(self) -> Shard:
        """Return the same shard with no codes yet."""
        out = Shard(self.name, self._mapping, self.stream)
        out.commit_cost_us = self.commit_cost_us
        return out


@dataclass(frozen=True, slots=True)
class Restored:
    """First item of a shard: the state of its last commit.

    State None asks each stage to take up again the state it gave to its last ``Commit``, in the
    codes of the new ``shard``: so a vocabulary that has grown too large is renewed.
    """

    shard: Shard
    state: Mapping[str, bytes] | None


@dataclass(slots=True)
class Work:
    """One batch on its way; empty when only time has passed.

    ``events`` is EVENT[n]; ``late`` is EVENT[k] that fill declared gaps; ``records`` are results
    to be written; ``faults`` name the stage and a row of ``raw``, whose bytes become dead letters.
    """

    now_us: int
    raw: RawRecords = NO_RECORDS
    events: EventBatch = NO_EVENTS
    late: EventBatch = NO_EVENTS
    faults: list[tuple[str, RowFault]] = field(default_factory=list)
    records: Records = field(default_factory=Records)


@dataclass(slots=True)
class Commit:
    """Everything before it and after the last one becomes durable together.

    ``totals`` are the running totals of all sessions, by sid, under the names of ``LedgerEntry``;
    ``changed`` are the sids of those that have changed; ``unread`` are the totals of records without
    a session. ``ranges`` are lines of the ledger (``dataflows.ranges``). ``tables`` take the place of
    ``records`` in flows that end in the store. ``encoding_us`` is how long the stages took so far.
    """

    now_us: int
    position: str
    state: dict[str, bytes] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    changed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    totals: dict[str, IntColumn] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    ranges: list[Ranges] = field(default_factory=list)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    encoding_us: int = 0


Item = Restored | Work | Commit
