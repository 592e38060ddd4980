"""How far an order has come: what each operation has posted, and the next number in each ERP.

Law: numbers of an order in an ERP have no holes; what an operation has made is the sum of its postings, those that
were taken back counting against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from canonical.contracts import Movement
from dataflows.processors.posting.reference_book import part

Issued = tuple[str, str, str, str]
"""ERP, item, material, unit."""
PART: Final = "order:"


@dataclass(slots=True)
class OrderProgress:
    """One order: ``numbers`` by ERP, ``made`` by operation as good, scrap and rework in the order's unit.

    ``issued`` are thousandths by ERP, item of the reservation, material and unit, these as JSON.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    made: dict[str, list[int]] = field(default_factory=dict)
    issued: dict[str, int] = field(default_factory=dict)

    def good(self, operation: str) -> int:
        """Return the yield posted for an operation, in thousandths of the order's unit."""
        return self.made.get(operation, _NOTHING)[0]

    def number(self, erp: str) -> int:
        """Take the next number in an ERP."""
        number = self.numbers.get(erp, 0)
        self.numbers[erp] = number + 1
        return number

    def add(self, operation: str, good: int, scrap: int, rework: int) -> None:
        """Count what was posted for an operation; negative where it was taken back."""
        made = self.made.setdefault(operation, [0, 0, 0])
        made[0] += good
        made[1] += scrap
        made[2] += rework

    def issue(self, erp: str, movements: Iterable[Movement], sign: int) -> None:
        """Count what was issued; with the sign -1 where it was taken back."""
        for movement in movements:
            line = orjson.dumps([erp, movement.reservation_item, movement.material, movement.unit]).decode()
            self.issued[line] = self.issued.get(line, 0) + sign * movement.quantity

    def issued_lines(self) -> Iterator[tuple[Issued, int]]:
        """Yield what was issued, in thousandths."""
        for line, quantity in self.issued.items():
            erp, item, material, unit = orjson.loads(line)
            yield (erp, item, material, unit), quantity


_NOTHING: Final = [0, 0, 0]
NO_PROGRESS: Final = OrderProgress()
"""Of an order of which nothing has been posted; it is only looked at."""


class OrderShelf:
    """The orders, by plant and order. State: O(orders with postings)."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, str], OrderProgress] = {}
        self._changed: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._orders

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._orders)

    def look(self, plant: str, order: str) -> OrderProgress:
        """Return an order's progress, to be read only."""
        return self._orders.get((plant, order), NO_PROGRESS)

    def change(self, plant: str, order: str) -> OrderProgress:
        """Return an order's progress, to be changed."""
        key = plant, order
        self._changed.add(key)
        found = self._orders.get(key)
        if found is None:
            found = self._orders[key] = OrderProgress()
        return found

    def forget(self, key: tuple[str, str]) -> None:
        """Drop an order to which nothing more can be posted."""
        del self._orders[key]
        self._changed.add(key)

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed since the last call; empty where an order was dropped."""
        parts = {part(PART, key): self._value(key) for key in self._changed}
        self._changed = set()
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time."""
        for name, value in parts.items():
            if name.startswith(PART):
                plant, order = orjson.loads(name.removeprefix(PART))
                self._orders[plant, order] = OrderProgress(**orjson.loads(value))

    def _value(self, key: tuple[str, str]) -> bytes:
        return orjson.dumps(self._orders[key]) if key in self._orders else b""
