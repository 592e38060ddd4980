"""What flows through each plant and where it is stuck: hops, with a level, a figure and words (M37, M38, M40)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from canonical.contracts import BusinessException, ExceptionCode, Severity
from dataflows.exception_box import OF_DELIVERY
from dataflows.health.shard_health import ShardHealth
from dataflows.settings import Settings
from dataflows.tower.watch import Picture
from dataflows.tower.words import age, number

LEVELS: Final = ("fine", "note", "stuck", "stop")
"""Worst last. A note says that something waits that goes on by itself."""
ERP: Final = "erp "
"""What the finding about an ERP is called before its name."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hop:
    """One station: how much went through, and what is stuck there."""

    key: str
    name: str
    figure: str
    of: str
    level: str = "fine"
    says: str = ""


@dataclass(frozen=True, slots=True)
class Plant:
    """One plant with its hops."""

    name: str
    hops: tuple[Hop, ...]
    open: int
    last_us: int | None

    @property
    def level(self) -> str:
        """Return the worst level of its hops."""
        return worst(hop.level for hop in self.hops)


def worst(levels: Iterable[str]) -> str:
    """Return the worst of some levels."""
    return max(levels, key=LEVELS.index, default="fine")


def plants(settings: Settings, picture: Picture, now_us: int) -> list[Plant]:
    """Return every plant that the settings name or the store knows, worst first."""
    names = {plant.plant for plant in settings.mappings() if plant.plant} | picture.figures.plants.keys()
    waiting = picture.box.open()
    away = {each.erp for each in waiting if each.code is ExceptionCode.ERP_UNAVAILABLE}
    away |= {
        f.name.removeprefix(ERP) for f in picture.health.findings if f.name.startswith(ERP) and f.state == "problem"
    }
    shards = _shards(settings, picture.health.shards)
    stale_s = settings.tower.stale_after_s
    found = []
    for name in sorted(names):
        row = picture.figures.plants.get(name, {})
        own = [each for each in waiting if each.plant == name]
        hops = (
            _read(row, shards.get(name, []), stale_s),
            _ordered(row),
            _confirmed(row),
            _checked(row, [each for each in own if each.code not in OF_DELIVERY], now_us),
            _queued(row, away, [e for e in own if e.code in OF_DELIVERY], now_us),
            _in_erp(row, [each for each in own if each.code is ExceptionCode.MOVEMENT_FAILED]),
        )
        found.append(Plant(name, hops, len(own), row.get("last_us")))
    return sorted(found, key=lambda plant: (-LEVELS.index(plant.level), plant.name))


def _read(row: Row, shards: list[ShardHealth], stale_s: float) -> Hop:
    level, says = "fine", ""
    behind = sum(shard.behind or 0 for shard in shards)
    stopped = [s for s in shards if s.problem or ((s.behind or 0) > 0 and (s.age_s is None or s.age_s > stale_s))]
    if stopped:
        level, says = "stop", stopped[0].problem or f"{number(behind)} not read, and nothing reads"
    elif behind:
        level, says = "note", f"{number(behind)} to be read"
    return Hop("read", "Read", number(row.get("read")), "records", level, says)


def _ordered(row: Row) -> Hop:
    held, aside = row.get("held") or 0, row.get("faults") or 0
    says = f"{number(held)} wait for earlier numbers" if held else ""
    return Hop("ordered", "Set aside", number(aside), "faulty records", "note" if held else "fine", says)


def _confirmed(row: Row) -> Hop:
    unsound = row.get("balanced") is False
    says = "the ledger does not add up" if unsound else f"{number(row.get('confirmed_day'))} in 24 h"
    return Hop("confirmed", "Confirmed", number(row.get("confirmed")), "ranges", "stop" if unsound else "fine", says)


def _checked(row: Row, own: list[BusinessException], now_us: int) -> Hop:
    waiting, level, says = row.get("waiting") or 0, "fine", ""
    if own:
        level, says = _level(own), f"{_count(own)}, oldest {_oldest(own, now_us)}"
    elif waiting:
        level, says = "note", f"for {age(now_us - row['waiting_since_us'])}"
    return Hop("checked", "To be posted", number(waiting), "wait", level, says)


def _queued(row: Row, away: set[str], own: list[BusinessException], now_us: int) -> Hop:
    queued, erps = row.get("queued") or 0, row.get("erps") or []
    level, says = "fine", " ".join(["for", *erps]) if erps else "no ERP"
    own = [each for each in own if each.code is not ExceptionCode.MOVEMENT_FAILED]
    if gone := sorted(away & set(erps)):
        level, says = "stop", f"{', '.join(gone)} is away"
    elif own:
        level, says = _level(own), f"{_count(own)}, oldest {_oldest(own, now_us)}"
    elif queued:
        level, says = "note", f"for {', '.join(erps)}"
    return Hop("queued", "In the queue", number(queued), "postings", level, says)


def _in_erp(row: Row, failed: list[BusinessException]) -> Hop:
    documents = number(row.get("documents"))
    if failed:
        return Hop("posted", "In the ERP", documents, "documents", _level(failed), f"{len(failed)} without movement")
    return Hop("posted", "In the ERP", documents, "documents", "fine", f"{number(row.get('documents_day'))} in 24 h")


def _level(own: list[BusinessException]) -> str:
    return "stop" if any(each.severity is Severity.LINE_STOP for each in own) else "stuck"


def _count(own: list[BusinessException]) -> str:
    return f"{len(own)} exception{'s' * (len(own) > 1)}"


def _oldest(own: list[BusinessException], now_us: int) -> str:
    return age(now_us - min(each.opened_us for each in own))


def _shards(settings: Settings, shards: Iterable[ShardHealth]) -> dict[str, list[ShardHealth]]:
    """Return the shards of the confirmations flow by the plant whose input they are."""
    inputs = {f"folder:{plant.input.folder}": plant.plant for plant in settings.mappings() if plant.input.folder}
    inputs |= {topic: plant.plant for plant in settings.mappings() for topic in plant.input.topics}
    found: dict[str, list[ShardHealth]] = {}
    for shard in shards:
        if shard.flow == "confirmations":
            name = inputs.get(shard.shard) or inputs.get(shard.shard.rpartition("-")[0], "")
            found.setdefault(name, []).append(shard)
    return found
