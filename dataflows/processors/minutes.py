"""Minutes: what sources report that no confirmation accounts for, added up by the UTC minute (M47).

Law: what ``take`` returns over time adds up, for every plant, work centre, source and minute, to the rows of
these routes that were given to ``step``, however they were cut and whenever it is called. So a part may be told
as soon as it is known, and a late row is a part like any other. State: O(parts since the last ``take``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import EVENT_TYPES, EventBatch, IntColumn, Sessions
from canonical.contracts import EventType
from canonical.policy import Route
from dataflows.processors.kinds import SPAN, looked_up
from dataflows.processors.places import heads_of

MINUTE_US: Final = 60_000_000
SUMMED: Final = ("good", "scrap", "rework", "machine_us", "energy_mwh")
_KEYS: Final = ("sid", "work_center", "minute_us")


class Minutes:
    """The sums of one shard since they were last taken."""

    __slots__ = ("_parts", "_sessions", "_wanted")

    def __init__(self, routes: Mapping[EventType, Route], sessions: Sessions) -> None:
        self._sessions = sessions
        self._wanted: Final = np.zeros(SPAN, np.bool_)
        self._wanted[: len(EVENT_TYPES)] = [routes[t] is Route.ANALYTICS_ONLY for t in EVENT_TYPES]
        self._parts: list[dict[str, NDArray[Any]]] = []

    def concerned(self, kinds: NDArray[np.bool_]) -> bool:
        """Return whether rows of these types (``kinds``) may be added up; ``step`` has nothing to do with others."""
        return bool((self._wanted & kinds).any())

    def step(self, batch: EventBatch) -> None:
        """Add rows, EVENT[n] in any order; those of a session that lie together cost least."""
        rows = np.flatnonzero(looked_up(batch["type"], self._wanted.tobytes()))
        if not len(rows):
            return
        columns = {
            "sid": batch.at("sid", rows).astype(np.int64),
            "work_center": batch.at("work_center", rows).astype(np.int64),
            "minute_us": batch.at("occurred_us", rows) // MINUTE_US * MINUTE_US,
            "events": np.ones(len(rows), np.int64),
        }
        columns |= {name: batch.at(name, rows) for name in SUMMED if name in batch}
        self._parts.append(_added(columns))

    def take(self) -> dict[str, list[Any]]:
        """Return the sums since the last call as columns of ``TelemetryMinute``."""
        parts, self._parts = self._parts, []
        names = (*_KEYS, "events", *SUMMED)
        columns = {
            name: np.concatenate([part.get(name, _zeros(part)) for part in parts] or [_NO_ROWS]) for name in names
        }
        order = np.lexsort([columns[name] for name in reversed(_KEYS)])
        columns = _added({name: column[order] for name, column in columns.items()})
        sessions, texts = self._sessions, self._sessions.vocabulary.texts
        sids = columns.pop("sid").tolist()
        told: dict[str, list[Any]] = {name: column.tolist() for name, column in columns.items()}
        told["work_center"] = [texts[code] for code in told["work_center"]]
        told["plant"] = [texts[sessions.plant[sid]] for sid in sids]
        told["source"] = [texts[sessions.source[sid]] for sid in sids]
        return told


_NO_ROWS: Final = np.zeros(0, np.int64)


def _zeros(part: dict[str, NDArray[Any]]) -> IntColumn:
    return np.zeros(len(part["sid"]), np.int64)


def _added(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return one row for each run of rows that are alike in all keys."""
    heads = np.unique(np.concatenate([heads_of(columns[name]) for name in _KEYS]))
    return {
        name: column[heads] if name in _KEYS else np.add.reduceat(column, heads) if len(heads) else column
        for name, column in columns.items()
    }
