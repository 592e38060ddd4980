"""What is asked of an ERP, in no protocol's words. Quantities are thousandths of ``unit``, units as they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of a goods movement. ``stock_type`` empty: where the material's receipts go."""

    movement_type: str
    material: str
    quantity: int
    unit: str
    plant: str = ""
    storage_location: str = ""
    lot: str = ""
    stock_type: str = ""
    order: str = ""
    reservation: str = ""
    reservation_item: str = ""
    receiving_location: str = ""
    receiving_material: str = ""
    receiving_lot: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What was made at an operation; an empty ``operation`` confirms the order as a whole.

    ``movements`` None: the ERP works out backflush and receipt; a tuple: these and no others. Negative
    quantities take back what was confirmed before, for protocols that reverse by quantity.
    """

    order: str
    operation: str
    posting_date: date
    yield_quantity: int = 0
    scrap_quantity: int = 0
    rework_quantity: int = 0
    unit: str = ""
    plant: str = ""
    work_center: str = ""
    lot: str = ""
    reason: str = ""
    final: bool = False
    external_id: str = ""
    request_id: str = ""
    movements: tuple[Movement, ...] | None = None
    activities: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GoodsMovement:
    """Goods movements posted apart from a confirmation, all or none."""

    movements: tuple[Movement, ...]
    posting_date: date
    code: str = ""
    external_id: str = ""
    request_id: str = ""
    operation: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activity:
    """Time of a resource at an operation, posted apart from a confirmation; ``quantity`` in thousandths of ``unit``."""

    order: str
    operation: str
    posting_date: date
    resource: str
    quantity: int
    unit: str
    plant: str = ""
    external_id: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Reversal:
    """A document taken back."""

    document: str
    posting_date: date | None = None
    external_id: str = ""
    request_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The usage decision for an inspection lot."""

    inspection_lot: str
    accepted: bool
    request_id: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
