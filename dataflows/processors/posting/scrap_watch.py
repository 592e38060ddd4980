"""Scrap watch: a lot of which too much is scrap is held, once for each time that it is too much (M20).

Laws: what is found depends on the confirmations in the order in which they were told, not on how they were cut into
calls, or on restarts. A breach begins when scrap / (good + scrap) of the window passes the limit, and ends when the
share falls below the limit less the hysteresis; each has one hold and one stock status. The same breach has the same
ids for ever.

The window of a plant, order, operation, lot (of the material, where there are no lots) and unit ends at its newest
confirmation. Another lot is watched by itself. Corrections of a confirmation do not count.

    breaches = watch.take(confirmation, now_us)
    watch.wake(now_us)                                   at ``due_us()``, or whenever: forgets what is over
    parts = watch.parts(); watch.load(parts)

Source: M20; DOMAIN 1.1.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from canonical.contracts import Command, CommandKind, Confirmation, ExceptionCode, StockType
from canonical.identity import document_id
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.shelf import Shelf

PREFIX: Final = "scrap:"


@dataclass(frozen=True, slots=True)
class ScrapPolicy:
    """When scrap is too much; shares in thousandths, quantities in thousandths of their unit."""

    limit: int = 100  # 10 %
    hysteresis: int = 20
    window_us: int = 3_600_000_000
    quantity_min: int = 20_000  # in the window, before it is judged: the first piece may be scrap
    rows_max: int = 1_000  # confirmations in a window; one more leaves the oldest out
    lots_max: int = 100_000  # one more forgets that told of least lately
    keep_us: int = 30 * 86_400_000_000  # after its last confirmation a lot is forgotten

    def __post_init__(self) -> None:
        """Refuse a breach that could never end."""
        assert 0 <= self.hysteresis < self.limit, "a breach ends below the limit less the hysteresis, which is above 0"


@dataclass(frozen=True, slots=True)
class Breach:
    """A breach that has begun, with its commands, or ended, with none; ``failure`` names its exception."""

    failure: Failure
    commands: tuple[Command, ...]

    @property
    def begins(self) -> bool:
        """Return whether it has begun, rather than ended."""
        return bool(self.commands)


@dataclass(slots=True)
class _Lot:
    """What is watched: rows of instant, good and scrap, by instant; how many breaches there were."""

    told_us: int
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    breaches: int = 0
    is_breached: bool = False


class ScrapWatch:
    """Watches lots. State: O(lots told of within ``keep_us``), each bounded."""

    def __init__(self, policy: ScrapPolicy) -> None:
        self.policy = policy
        self._lots = Shelf(PREFIX, 1, _encoded, _decoded, lambda lot: lot.told_us + policy.keep_us)

    def take(self, confirmation: Confirmation, now_us: int) -> list[Breach]:
        """Take a confirmation; return the breach that begins or ends with it."""
        self.wake(now_us)
        c, policy = confirmation, self.policy
        if c.revision or not (c.good or c.scrap):
            return []
        key = (c.plant, c.order, c.operation, c.material, c.lot, c.unit)
        lot = self._lots.get(key)
        if lot is None:
            if len(self._lots) >= policy.lots_max:
                self._forget_first()
            lot = _Lot(now_us)
        lot.told_us = now_us
        bisect.insort(lot.rows, (c.last_occurred_us, c.good, c.scrap))
        since_us = lot.rows[-1][0] - policy.window_us
        lot.rows = [row for row in lot.rows if row[0] > since_us][-policy.rows_max :]
        scrap = sum(row[2] for row in lot.rows)
        total = scrap + sum(row[1] for row in lot.rows)
        found = []
        if lot.is_breached:
            if scrap * 1000 < (policy.limit - policy.hysteresis) * total:
                lot.is_breached = False
                found.append(Breach(_failure(c, scrap, total, policy), ()))
        elif total >= policy.quantity_min and scrap * 1000 > policy.limit * total:
            lot.is_breached = True
            lot.breaches += 1
            failure = _failure(c, scrap, total, policy)
            named = orjson.dumps(["scrap", *key, c.posting_date, lot.breaches]).decode()
            found.append(Breach(failure, tuple(_command(c, kind, named, failure.message) for kind in CommandKind)))
        self._lots.put(key, lot)
        return found

    def wake(self, now_us: int) -> None:
        """Forget the lots that nothing was told of for so long."""
        while (due := self._lots.first()) is not None and due[0] <= now_us:
            self._lots.remove(due[1])

    def due_us(self) -> int | None:
        """Return when the next lot is forgotten."""
        due = self._lots.first()
        return None if due is None else due[0]

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        return self._lots.parts()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``parts`` returned over time. Raises: StateVersionUnknown."""
        self._lots.load(parts)

    def _forget_first(self) -> None:
        due = self._lots.first()
        assert due is not None
        self._lots.remove(due[1])


def _command(c: Confirmation, kind: CommandKind, named: str, reason: str) -> Command:
    return Command(
        command_id=document_id(c.plant, named, kind),
        kind=kind,
        plant=c.plant,
        order=c.order,
        operation=c.operation,
        material=c.material,
        lot=c.lot,
        stock_type=StockType.QUALITY,
        reason=reason,
        occurred_us=c.last_occurred_us,
        correlation_id=str(c.posting_id),
    )


def _failure(c: Confirmation, scrap: int, total: int, policy: ScrapPolicy) -> Failure:
    names = ("plant", "order", "operation", "material", "lot")
    what = f"lot {c.lot}" if c.lot else f"material {c.material or '(none)'}"
    return Failure(
        ExceptionCode.SCRAP_ABOVE_LIMIT,
        tuple((name, getattr(c, name)) for name in names if getattr(c, name)),
        f"{what} of order {c.order}: {scrap / 1000:g} of {total / 1000:g} {c.unit} are scrap, "
        f"the limit is {policy.limit / 10:g} %",
        "see to the machine and inspect the lot; the hold was sent to the quality and the warehouse system",
    )


def _encoded(lot: _Lot) -> Any:
    return [lot.told_us, lot.rows, lot.breaches, lot.is_breached]


def _decoded(_version: int, value: Any) -> _Lot:
    told_us, rows, breaches, is_breached = value
    return _Lot(told_us, [(at_us, good, scrap) for at_us, good, scrap in rows], breaches, is_breached)
