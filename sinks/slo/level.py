"""How each objective is kept now, counted from the store's sums and from what waits.

Law: per objective, ERP and plant the counts of a window equal those over the receipts whose answers came in its slots,
and over all postings that have waited too long, whatever the window: who waits is late now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from sinks.slo.objective import DAY_S, SECOND_US, WINDOWS_S, Count, Objective, Urgency, burn, burning, first_slot_us

SETTLE_US: Final = 15 * SECOND_US
"""A posting without receipt is late so long after its time is up: an answer may still be on its way to the store."""

APPLIES: Final = """
    (len(o.kinds) = 0 OR list_contains(o.kinds, p.kind)) AND (len(o.lanes) = 0 OR list_contains(o.lanes, p.lane))
    AND (len(o.plants) = 0 OR list_contains(o.plants, p.plant))
"""
"""Whether posting ``p`` is one that objective ``o`` is about."""

OVERDUE: Final = f"""
    p.placed AND p.status IS DISTINCT FROM 'withdrawn' AND o.hop IN ('occurred-committed', 'enqueued-committed')
    AND CASE o.hop WHEN 'occurred-committed' THEN p.end_us ELSE coalesce(p.enqueued_us, p.end_us) END
        + o.within_s * {SECOND_US} + {SETTLE_US} < $as_of
"""
"""Whether ``p`` of ``open_posting`` has waited too long for ``o``."""

_COUNTED: Final = ", ".join(
    f"coalesce(sum(p.postings) FILTER (p.slot_us >= $from_{window}), 0), "
    f"coalesce(sum(p.postings) FILTER (p.slot_us >= $from_{window} AND p.within_s > o.within_s), 0)"
    for window in WINDOWS_S
)
_SETTLED: Final = f"""
SELECT o.name, p.erp, p.plant,
    sum(p.postings), coalesce(sum(p.postings) FILTER (p.within_s > o.within_s), 0), {_COUNTED}
FROM delivery_time AS p JOIN slo_objective AS o ON o.hop = p.hop AND {APPLIES}
WHERE p.slot_us >= ($as_of - o.window_days * {DAY_S * SECOND_US}) // 300000000 * 300000000
GROUP BY ALL
"""  # noqa: S608 - constants of this module
_WAITING: Final = f"""
SELECT o.name, p.erp, p.plant, count(*)
FROM open_posting AS p JOIN slo_objective AS o ON {APPLIES}
WHERE {OVERDUE}
GROUP BY ALL
"""  # noqa: S608 - as above
_WRITE: Final = "INSERT INTO slo_level VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Series = tuple[str, str, str]
"""Name of the objective, ERP, plant."""


@dataclass(frozen=True, slots=True)
class Level:
    """How one objective is kept at one plant with one ERP.

    ``whole`` counts over the objective's days, ``windows`` over each of ``WINDOWS_S``; both have those in them that
    have waited too long, ``waiting``.
    """

    objective: Objective
    erp: str
    plant: str
    whole: Count
    windows: dict[int, Count]
    waiting: int

    @property
    def burning(self) -> set[Urgency]:
        """Return the urgencies of what is broken now."""
        return burning(self.objective, self.windows)


def levels(db: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], as_of_us: int) -> list[Level]:
    """Return how each objective is kept as of an instant, by name, ERP and plant; ``slo_objective`` holds them."""
    named = {objective.name: objective for objective in objectives}
    starts = {f"from_{window}": first_slot_us(as_of_us, window) for window in WINDOWS_S}
    waiting: dict[Series, int] = {
        (name, erp, plant): count for name, erp, plant, count in db.execute(_WAITING, {"as_of": as_of_us}).fetchall()
    }
    settled: dict[Series, list[int]] = {
        (name, erp, plant): list(map(int, counts))
        for name, erp, plant, *counts in db.execute(_SETTLED, {"as_of": as_of_us, **starts}).fetchall()
    }
    none = [0] * (2 + 2 * len(WINDOWS_S))
    found = []
    for series in sorted({*waiting, *settled}):
        counts, late = settled.get(series, none), waiting.get(series, 0)
        whole, *windows = (
            Count(postings + late, too_long + late)
            for postings, too_long in zip(counts[::2], counts[1::2], strict=True)
        )
        by_window = dict(zip(WINDOWS_S, windows, strict=True))
        found.append(Level(named[series[0]], *series[1:], whole, by_window, late))
    return found


def write_levels(db: duckdb.DuckDBPyConnection, found: Sequence[Level], as_of_us: int) -> bool:
    """Store the levels in place of those there are; return whether they differ."""
    rows = list(_rows(found))
    stored = db.execute("SELECT * EXCLUDE (evaluated_us) FROM slo_level ORDER BY objective, erp, plant").fetchall()
    if rows == stored:
        return False
    db.execute("DELETE FROM slo_level")
    for row in rows:
        db.execute(_WRITE, [*row, as_of_us])
    return True


def _rows(found: Sequence[Level]) -> Iterator[tuple[object, ...]]:
    for each in found:
        burns = [burn(each.objective, each.windows[window]) for window in (3_600, 21_600, 259_200)]
        urgent = next((urgency.value for urgency in Urgency if urgency in each.burning), "")
        counts = (each.whole.postings, each.whole.late, each.waiting)
        yield (each.objective.name, each.erp, each.plant, *counts, *burns, urgent)
