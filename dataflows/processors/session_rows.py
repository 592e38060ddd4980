"""Session rows: which row of the session table each record belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, EventBatch, IntColumn
from canonical.contracts.fault import FaultCode
from canonical.records import RowFault
from dataflows.processors.session_table import SessionTable


class SessionRows:
    """Maps (plant, source, session) codes to ``sid``.

    A source rarely changes its session, so the row is looked up by source and checked; only
    records for which the check fails are looked up by all three.
    """

    __slots__ = ("_by_source", "_key", "_new", "limit", "table")

    def __init__(self, table: SessionTable, limit: int) -> None:
        self.table = table
        self.limit = limit
        self._by_source: NDArray[np.int32] = np.full(64, -1, np.int32)
        self._key: NDArray[np.int64] = np.full(64, -1, np.int64)
        self._new: list[int] = []

    def refresh(self) -> None:
        """Take over the sessions that the table already has."""
        sessions = self.table.sessions
        self._reach(len(sessions.vocabulary))
        plant, source, session = sessions.codes()
        self._by_source[source] = np.arange(len(sessions))  # of several sessions of a source the last one stays
        self._key[source] = plant.astype(np.int64) << 32 | session

    def take_new(self) -> list[int]:
        """Return the sessions added since the last call."""
        new, self._new = self._new, []
        return new

    def of(self, batch: EventBatch) -> tuple[NDArray[np.int32], EventBatch, list[RowFault]]:
        """Return ``sid`` of each row; rows of a session beyond the limit become faults."""
        source = batch["source"]
        key = batch["plant"].astype(np.int64) << 32 | batch["session"]
        self._reach(len(self.table.sessions.vocabulary))
        sid = self._by_source[source]
        unsure = np.flatnonzero((self._key[source] != key) | (sid < 0))
        if not len(unsure):
            return sid, batch, []
        sid = sid.copy()
        sid[unsure] = self._looked_up(source[unsure], key[unsure])
        self.table.grow(len(self.table.sessions))
        refused = np.flatnonzero(sid < 0)
        if not len(refused):
            return sid, batch, []
        faults = [self._fault(batch, int(row)) for row in refused]
        kept = sid >= 0
        return sid[kept], batch.take(kept), faults

    def _looked_up(self, source: CodeColumn, key: IntColumn) -> CodeColumn:
        """Return the row of each record's session, and -1 where there is no room for one."""
        sessions = self.table.sessions
        order = np.lexsort((key, source))
        by_source, by_key = source[order], key[order]
        head = np.ones(len(order), np.bool_)
        head[1:] = (by_source[1:] != by_source[:-1]) | (by_key[1:] != by_key[:-1])
        first = order[head]
        arrived = np.sort(first)  # so that the newest session of a source is the one that is remembered
        sources, keys = source[arrived], key[arrived]
        begin = len(sessions)
        named = zip((keys >> 32).tolist(), sources.tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True)
        rows: CodeColumn = np.array(sessions.rows(named, self.limit), np.int32)
        self._new.extend(range(begin, len(sessions)))
        there = rows >= 0
        self._by_source[sources[there]], self._key[sources[there]] = rows[there], keys[there]
        out = np.empty(len(order), np.int32)
        out[order] = rows[np.searchsorted(arrived, first)][np.cumsum(head) - 1]
        return out

    def _fault(self, batch: EventBatch, row: int) -> RowFault:
        texts = self.table.sessions.vocabulary.texts
        return RowFault(
            int(batch["row"][row]),
            FaultCode.SESSIONS_EXHAUSTED,
            f"the shard already has {self.limit} sessions (sequencing.sessions_max)",
            source=texts[batch["source"][row]],
            session=texts[batch["session"][row]],
            seq=int(batch["seq"][row]),
            offset=int(batch["offset"][row]),
        )

    def _reach(self, size: int) -> None:
        if size > len(self._by_source):
            size = max(size, 2 * len(self._by_source))
            more = size - len(self._by_source)
            self._by_source = np.concatenate((self._by_source, np.full(more, -1, np.int32)))
            self._key = np.concatenate((self._key, np.full(more, -1, np.int64)))
