"""What is said of the health of a shard, and of anything else that was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dataflows.sources.shard_source import ShardInput
from sinks.commit_log import PlantsyncError


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits in a flow.

    Args:
        waiting: what goes on by itself, as soon as it may.
        parked: what goes on when a person has decided something, with what stands behind it.
        following: documents whose goods have not moved yet.
        oldest_s: age of the oldest that waits or is parked; None where nothing does.
        exceptions: how many are open.
        away_s: so long the ERP has been left alone; None while it is tried.
    """

    waiting: int
    parked: int
    following: int = 0
    oldest_s: float | None = None
    exceptions: int = 0
    away_s: float | None = None


@dataclass(frozen=True, slots=True)
class ShardHealth:
    """One shard of one flow.

    ``behind`` is what it has still to read, in records or, of a folder, in bytes; None where that
    cannot be found out, for the reason in ``problem``. ``age_s`` is the time since the last commit.
    ``totals`` are the sums of its ledger, of the confirmations flow, or of a collector's readings of signals; ``queue``
    is what waits in postings and delivery.
    """

    flow: str
    shard: str
    behind: int | None
    age_s: float | None = None
    open_runs: int = 0
    totals: Mapping[str, int] = field(default_factory=dict)
    queue: QueueDepth | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: fine; a note, where something has not begun yet; or a problem."""

    name: str
    state: Literal["fine", "note", "problem"]
    detail: str


def behind(source: ShardInput, position: str | None, state: Mapping[str, bytes]) -> tuple[int | None, str]:
    """Return how much a shard has still to read from a position on, and why that cannot be said."""
    try:
        reader = source.open()
        try:
            reader.seek(position, state)
            return reader.behind(), ""
        finally:
            reader.close()
    except PlantsyncError as error:
        return None, str(error)
