"""The first page in rows: who has to settle how much since when, what is worst, how ERPs and flows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from canonical.contracts import BusinessException, Owner, Severity
from dataflows.health.shard_health import QueueDepth
from dataflows.settings import Settings
from dataflows.tower.chart import Chart, stacked
from dataflows.tower.watch import Picture
from dataflows.tower.words import short, unit

HOUR_US: Final = 3_600_000_000
AGES: Final = ((0, 1, "under 1 h"), (1, 8, "1 to 8 h"), (8, 24, "8 to 24 h"), (24, 10**9, "over 1 day"))
"""Ages in hours by which exceptions are counted."""
RANKS: Final = {Severity.LINE_STOP: 0, Severity.FINANCIAL: 1, Severity.DELAY: 2}
SPARK_HOURS: Final = 48
FLOWS: Final = ("confirmations", "postings", "delivery", "analytics")


@dataclass(frozen=True, slots=True)
class Erp:
    """An ERP: whether it lets us in, and what waits for it."""

    name: str
    kind: str
    level: str
    says: str
    queue: QueueDepth | None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow: when it committed last, how much it has not read, and what is wrong with it."""

    name: str
    age_s: float | None
    behind: int
    level: str
    says: str


def worst_first(found: Sequence[BusinessException]) -> list[BusinessException]:
    """Return exceptions by severity, the oldest of each first."""
    return sorted(found, key=lambda each: (RANKS[each.severity], each.opened_us))


def age_of(each: BusinessException, now_us: int) -> int:
    """Return which of the ``AGES`` an exception is of."""
    hours = (now_us - each.opened_us) / HOUR_US
    return next((place for place, (low, high, _) in enumerate(AGES) if low <= hours < high), 0)


def owners(found: Sequence[BusinessException], now_us: int) -> list[tuple[Owner, list[int]]]:
    """Return for each owner how many exceptions there are of each age."""
    counts = {owner: [0] * len(AGES) for owner in Owner}
    for each in found:
        counts[each.owner][age_of(each, now_us)] += 1
    return list(counts.items())


def erps(settings: Settings, picture: Picture) -> list[Erp]:
    """Return how each ERP is."""
    findings = {finding.name: finding for finding in picture.health.findings}
    queues = {shard.shard: shard for shard in picture.health.shards if shard.flow == "delivery"}
    found = []
    for name, section in sorted(settings.erps.items()):
        finding, shard = findings.get(f"erp {name}"), queues.get(f"erp:{name}")
        queue = shard.queue if shard is not None else None
        level, says = "note", "has not been asked yet"
        if finding is not None:
            level = {"fine": "fine", "note": "note", "problem": "stop"}[finding.state]
            says = "lets us in" if finding.state == "fine" else finding.detail
        if queue is not None and queue.away_s is not None:
            level, says = "stop", f"is left alone: {finding.detail if finding is not None else ''}"
        found.append(Erp(name, section.adapter.kind, level, says, queue))
    return found


def flows(picture: Picture, stale_after_s: float) -> list[Flow]:
    """Return how each flow is; one that does not read what is there is stuck."""
    found = []
    for name in FLOWS:
        shards = [shard for shard in picture.health.shards if shard.flow == name]
        if not shards:
            continue
        ages = [shard.age_s for shard in shards if shard.age_s is not None]
        behind = sum(shard.behind or 0 for shard in shards)
        problems = [shard.problem for shard in shards if shard.problem]
        age_s = min(ages, default=None)
        stopped = behind > 0 and (age_s is None or age_s > stale_after_s) and name != "analytics"
        if name == "analytics":
            age_s = max(picture.health.at_us - picture.figures.published_us, 0) / 1e6
            stopped = behind > 0 and age_s > stale_after_s
        level = "stop" if problems or stopped else "note" if behind else "fine"
        says = problems[0] if problems else "does not read what is there" if stopped else ""
        found.append(Flow(name, age_s, behind, level, says))
    return found


def sparks(picture: Picture) -> dict[str, tuple[str, Chart]]:
    """Return for each plant the unit it makes most in, and its output by hour of the last two days."""
    totals: dict[str, dict[str, float]] = {}
    for row in picture.figures.hours:
        units = totals.setdefault(row["plant"], {})
        units[row["unit"]] = units.get(row["unit"], 0.0) + float(row["good"])
    last = max((row["hour"] for row in picture.figures.hours), default=0)
    found = {}
    for plant, units in totals.items():
        # The unit of most rows would change with the hour; that of most output does not.
        chosen = max(units, key=lambda name: (name == "H87", units[name]))
        rows = {r["hour"]: r for r in picture.figures.hours if r["plant"] == plant and r["unit"] == chosen}
        found[plant] = unit(chosen), hourly(rows, last, SPARK_HOURS, 240, 44)
    return found


def hourly(rows: dict[int, dict[str, Any]], last: int, hours: int, width: float, height: float) -> Chart:
    """Return output by hour, good below and scrap on top, up to the hour ``last``."""
    columns = []
    for hour in range(last - hours + 1, last + 1):
        row = rows.get(hour, {"good": 0, "scrap": 0})
        title = f"{short(hour * HOUR_US)}: {float(row['good']):,g} good, {float(row['scrap']):,g} scrap"
        columns.append((title, (("good", float(row["good"])), ("scrap", float(row["scrap"])))))
    return stacked(columns, width, height)
