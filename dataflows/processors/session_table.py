"""Numbers kept per session: growable columns indexed by ``sid``, the session's row.

Both sequencers keep their place and their running totals here. The totals obey, per session,
read = released + late + duplicates + faults + held.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import IntColumn, Sessions
from canonical.grown import grown
from dataflows.processors.state import session_columns, session_rows

TOTALS: Final = ("read", "released", "late", "duplicates", "faults", "gaps", "missing")
PLACES: Final = ("next_seq", "start_seq", "forgotten_below", "unwrapped")


class SessionTable:
    """SESSION[s]: int64 columns PLACES and TOTALS, and the recent body hashes uint32[s, horizon]."""

    __slots__ = ("changed", "columns", "horizon", "recent", "sessions", "size")

    def __init__(self, sessions: Sessions, horizon: int) -> None:
        self.sessions = sessions
        self.horizon = horizon
        self.size = 0
        self.columns: dict[str, IntColumn] = {name: np.empty(0, np.int64) for name in (*PLACES, *TOTALS)}
        self.recent: NDArray[np.uint32] = np.empty((0, horizon), np.uint32)
        self.changed: NDArray[np.bool_] = np.empty(0, np.bool_)

    def __getitem__(self, name: str) -> IntColumn:
        """Return the column; writing to it writes to the table."""
        return self.columns[name]

    def grow(self, size: int) -> None:
        """Make rows up to ``size``; new ones are zero, ``unwrapped`` is -1."""
        if size <= self.size:
            return
        capacity = len(self.changed)
        if size > capacity:
            capacity = max(size, 2 * capacity, 64)
            for name, column in self.columns.items():
                self.columns[name] = grown(column, self.size, capacity)
            self.recent = grown(self.recent, self.size, capacity)
            self.changed = grown(self.changed, self.size, capacity)
        self.columns["unwrapped"][self.size : size] = -1
        self.size = size

    def add(self, name: str, sids: NDArray[np.integer]) -> None:
        """Add one to a total for each occurrence of a session, and mark the session as changed."""
        if len(sids):
            np.add.at(self.columns[name], sids, 1)
            self.changed[sids] = True

    def to_table(self) -> pa.Table:
        """Return all rows with the texts of plant, source and session."""
        n = self.size
        names = session_columns(np.arange(n), self.sessions)
        numbers = {name: pa.array(column[:n]) for name, column in self.columns.items()}
        width = 4 * self.horizon
        recent = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), n, [None, pa.py_buffer(np.ascontiguousarray(self.recent[:n]))]
        )
        return pa.table({**names, **numbers, "recent": recent})

    @classmethod
    def from_table(cls, table: pa.Table, sessions: Sessions, horizon: int) -> SessionTable:
        """Return the table that ``to_table`` wrote; another horizon starts its recent hashes empty."""
        sids = session_rows(table, sessions)
        out = cls(sessions, horizon)
        out.grow(len(sessions))
        for name in out.columns:
            out.columns[name][sids] = table.column(name).to_numpy()
        recent = table.column("recent").combine_chunks()
        if table.num_rows and recent.type.byte_width == 4 * horizon:
            rows = np.frombuffer(recent.buffers()[1], np.uint32)[: table.num_rows * horizon]
            out.recent[sids] = rows.reshape(-1, horizon)
        return out
