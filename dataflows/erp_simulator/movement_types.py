"""Movement types: which stock goes down and which goes up.

Law: a line and what takes it back (``taken_back``) cancel each other exactly. That has the type plus one; 322, 344 and
350 are also transfers of their own, from the place of the line to the receiving one, so that the places change sides.
Source: DOMAIN 3.7 (public SAP documentation); names as in table T156.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    "322": _type(UNRESTRICTED, QUALITY, "04"),
    "323": _type(QUALITY, QUALITY, "04"),
    "325": _type(BLOCKED, BLOCKED, "04"),
    "343": _type(BLOCKED, UNRESTRICTED, "04"),
    "344": _type(UNRESTRICTED, BLOCKED, "04"),
    "349": _type(BLOCKED, QUALITY, "04"),
    "350": _type(QUALITY, BLOCKED, "04"),
    "501": _type(None, UNRESTRICTED, "05"),
    "531": _type(None, UNRESTRICTED, "02", "05"),
    "551": _type(UNRESTRICTED, None, "03"),
    "553": _type(QUALITY, None, "03"),
    "555": _type(BLOCKED, None, "03"),
}
TRANSFERS: Final[Mapping[tuple[str, str], str]] = {
    (movement.source, movement.target): name
    for name, movement in FORWARD.items()
    if name != "309" and movement.source is not None and movement.target is not None
}
"""The type of a transfer, by the stock types that it goes from and to, of one material."""
RECEIPT: Final = "101"
ISSUE: Final = "261"
_THERE_AND_BACK: Final = {"321": "322", "343": "344", "349": "350"}
OPPOSITE: Final[Mapping[str, str]] = _THERE_AND_BACK | {back: there for there, back in _THERE_AND_BACK.items()}
"""Types that are each other's reversal and transfers of their own."""


def reversal(movement_type: str) -> str:
    """Return the type that takes a known type back; of a reversal the type that it reverses."""
    if movement_type in OPPOSITE:
        return OPPOSITE[movement_type]
    return str(int(movement_type) + (1 if movement_type in FORWARD else -1))


def taken_back(line: Line) -> Line:
    """Return the line that takes another back."""
    back = replace(line, movement_type=reversal(line.movement_type))
    if line.movement_type not in OPPOSITE:
        return back
    return replace(
        back,
        material=line.receiving_material or line.material,
        storage_location=line.receiving_location or line.storage_location,
        lot=line.receiving_lot or line.lot,
        receiving_material=line.material if line.receiving_material else "",
        receiving_location=line.storage_location if line.receiving_location else "",
        receiving_lot=line.lot if line.receiving_lot else "",
    )


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
