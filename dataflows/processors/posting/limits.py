"""Limits: how much the desk holds, what makes room there, and what is refused where nothing can.

Law: what is refused is counted, under an exception of the bound that refused it; that of ``waiting_max`` ends by itself
when there is room again. An order makes way only once it is closed, a lot only once nothing waits for it.

State: none of its own.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Final

from canonical.contracts import ExceptionCode
from dataflows.processors.posting.causes import Causes
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.lots import LotShelf
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.progress import OrderShelf
from dataflows.processors.posting.queues import Queues
from dataflows.processors.posting.reference_book import ReferenceBook

_LOOKED_AT: Final = 1_000
_WAITING: Final = "waiting_max"
_FULL: Final = Failure(
    ExceptionCode.BOUND_REACHED,
    (("item", _WAITING),),
    "waiting_max is reached: confirmations are read no further, and what was gathered waits to be offered again",
    "settle the exceptions that are open, or raise postings.waiting_max; reading goes on by itself",
)


class Refused(Exception):
    """A record that cannot be taken: a bound is reached, or it is not its sender's to tell."""

    def __init__(self, code: ExceptionCode, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Limits:
    """The bounds of one desk's policy. ``counts`` is the desk's own."""

    def __init__(self, policy: PostingPolicy, causes: Causes, queues: Queues, counts: Counter[str]) -> None:
        self._policy, self._causes, self._queues, self._counts = policy, causes, queues, counts

    @property
    def full(self) -> bool:
        """Whether no more confirmations should come: as many cases wait as may, and since then few have gone."""
        size, most = self._queues.size, self._policy.waiting_max
        return size >= most or (size > most - most // 8 and self._causes.counted(_FULL, _WAITING) > 0)

    def tell_full(self, now_us: int) -> None:
        """Tell that no more confirmations should come, or that they may again."""
        self._causes.count(_FULL, _WAITING, self._queues.size if self.full else 0, "", now_us)

    def refused(self, name: str, now_us: int) -> Refused:
        """Count what is refused because a bound is reached."""
        failure = Failure(
            ExceptionCode.BOUND_REACHED,
            (("item", name),),
            f"{name} is reached: what comes beyond it is kept as dead letters",
            f"settle the exceptions that are open, or raise postings.{name}",
        )
        self._counts["refused"] += name != "references_max"
        self._causes.count(failure, name, self._causes.counted(failure, name) + 1, "", now_us)
        return Refused(ExceptionCode.BOUND_REACHED, failure.message)

    def room_for_order(self, plant: str, order: str, orders: OrderShelf, book: ReferenceBook, now_us: int) -> None:
        """Make room for an order, at the cost of one that is closed. Raises: Refused."""
        if (plant, order) in orders or len(orders) < self._policy.orders_max:
            return
        for key in islice(orders, _LOOKED_AT):
            if book.closed(*key, now_us):
                orders.forget(key)
                return
        raise self.refused("orders_max", now_us)

    def room_for_lot(self, material: str, lot: str, lots: LotShelf, now_us: int) -> None:
        """Make room for a lot, at the cost of one that nothing waits for. Raises: Refused."""
        if lots.look(material, lot) is None and len(lots) >= self._policy.lots_max:
            settled = lots.settled()
            if settled is None:
                raise self.refused("lots_max", now_us)
            lots.forget(settled)
