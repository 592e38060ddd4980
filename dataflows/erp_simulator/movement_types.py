"""Movement types: which stock goes down and which goes up.

Law: a type and its reversal (type + 1) cancel each other exactly.
Source: DOMAIN 3.7 (public SAP documentation); names as in table T156.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dataflows.erp_simulator.document import Line

UNRESTRICTED: Final = "unrestricted"
QUALITY: Final = "quality"
BLOCKED: Final = "blocked"
BY_LINE: Final = "by line"
"""The stock type that the line names."""

StockKey = tuple[str, str, str, str, str]
"""Material, plant, storage location, lot, stock type."""


@dataclass(frozen=True, slots=True)
class MovementType:
    """``source`` and ``target`` are stock types; None is outside. ``codes``: the GoodsMovementCodes that allow it."""

    source: str | None
    target: str | None
    codes: frozenset[str]


def _type(source: str | None, target: str | None, *codes: str) -> MovementType:
    return MovementType(source, target, frozenset(codes))


FORWARD: Final[Mapping[str, MovementType]] = {
    "101": _type(None, BY_LINE, "01", "02"),
    "201": _type(UNRESTRICTED, None, "03"),
    "261": _type(UNRESTRICTED, None, "03"),
    "309": _type(UNRESTRICTED, UNRESTRICTED, "04"),
    "311": _type(UNRESTRICTED, UNRESTRICTED, "04"),
    "321": _type(QUALITY, UNRESTRICTED, "04"),
    "343": _type(BLOCKED, UNRESTRICTED, "04"),
    "349": _type(BLOCKED, QUALITY, "04"),
    "501": _type(None, UNRESTRICTED, "05"),
    "531": _type(None, UNRESTRICTED, "02", "05"),
    "551": _type(UNRESTRICTED, None, "03"),
    "553": _type(QUALITY, None, "03"),
    "555": _type(BLOCKED, None, "03"),
}
RECEIPT: Final = "101"
ISSUE: Final = "261"


def reversal(movement_type: str) -> str:
    """Return the type that takes a known type back; of a reversal the type that it reverses."""
    return str(int(movement_type) + (1 if movement_type in FORWARD else -1))


def known(movement_type: str) -> MovementType | None:
    """Return the type, that of its forward movement for a reversal; None where it is not known."""
    if movement_type in FORWARD:
        return FORWARD[movement_type]
    return FORWARD.get(reversal(movement_type)) if movement_type.isdigit() else None


def effects(line: Line) -> Iterator[tuple[StockKey, int]]:
    """Yield what a line of a known type does to stocks: the stock and its change, in thousandths."""
    movement = known(line.movement_type)
    assert movement is not None
    sign = 1 if line.movement_type in FORWARD else -1
    place = (line.material, line.plant, line.storage_location, line.lot)
    if movement.source is not None:
        yield (*place, movement.source), -sign * line.quantity
    if movement.target is not None:
        stock_type = line.stock_type or UNRESTRICTED if movement.target == BY_LINE else movement.target
        yield (
            (
                line.receiving_material or line.material,
                line.plant,
                line.receiving_location or line.storage_location,
                line.receiving_lot or line.lot,
                stock_type,
            ),
            sign * line.quantity,
        )


def order_effect(line: Line) -> int:
    """Return what a line adds to what its order has received (101) or withdrawn (261), in thousandths."""
    return line.quantity if line.movement_type in FORWARD else -line.quantity
