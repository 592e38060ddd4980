"""What is told of alerts, and what has been told: each begin and each end under a key of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import duckdb

NAMES_MAX: Final = 100
"""Orders, materials and lots of an alert that a notice names; the store has all."""

_UNTOLD: Final = f"""
SELECT notice.word, breach.* REPLACE (
    orders[:{NAMES_MAX}] AS orders, materials[:{NAMES_MAX}] AS materials, lots[:{NAMES_MAX}] AS lots
)
FROM slo_notice AS notice JOIN slo_breach AS breach USING (alert_id)
WHERE notice.told_us IS NULL AND notice.at_us >= $since
ORDER BY notice.at_us, notice.word
LIMIT 100
"""  # noqa: S608 - a constant of this module
_TOLD: Final = "UPDATE slo_notice SET told_us = $at WHERE alert_id = $alert AND word = $word"


@dataclass(frozen=True, slots=True)
class Notice:
    """That an alert has begun, or has ended; ``says`` is the alert as JSON has it, as of now."""

    alert_id: UUID
    word: str
    says: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Return what is the same however often this is told."""
        return f"{self.alert_id}/{self.word}"


def untold(db: duckdb.DuckDBPyConnection, since_us: int) -> list[Notice]:
    """Return what is to be told of since an instant, the oldest first."""
    found = db.execute(_UNTOLD, {"since": since_us})
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [Notice(row["alert_id"], row.pop("word"), _plain(row)) for row in rows]


def told(db: duckdb.DuckDBPyConnection, notice: Notice, at_us: int) -> bool:
    """Remember that somebody has taken a notice; return that readers see no change that is worth a publication."""
    db.execute(_TOLD, {"at": at_us, "alert": notice.alert_id, "word": notice.word})
    return False


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    instants = {name: f"{row[name].isoformat(timespec='milliseconds')}Z" for name in ("begun", "ended") if row[name]}
    return {**row, "alert_id": str(row["alert_id"]), "ended": None, **instants}
