"""Master data of an ERP: what it knows before the first posting arrives.

One JSON file of this model serves the simulator and can be published as reference data. Keys are
texts as the ERP shows them; quantities are integer thousandths of a unit, units UN/ECE
Recommendation 20 codes. ``valid_from`` and ``valid_until`` bound when a record holds (the first
instant, and the first instant after); absent means always.

Source: names after API_PRODUCTION_ORDER_2_SRV (order, operation, component), API_BATCH_SRV (lot).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from canonical.units import known

KEY_CHARACTERS_MAX: Final = 40
QUANTITY_MAX: Final = 10**13 - 1
"""Dec(13,3): ten digits before the point, as thousandths."""


def _known_unit(code: str) -> str:
    if not known(code):
        raise ValueError(f"{code!r} is not a known Recommendation 20 code")
    return code


Key = Annotated[str, Field(min_length=1, max_length=KEY_CHARACTERS_MAX)]
UnitCode = Annotated[str, AfterValidator(_known_unit)]
Quantity = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]


class OrderStatus(StrEnum):
    """System status of an order, as far as postings care."""

    CREATED = "created"  # CRTD
    RELEASED = "released"  # REL
    LOCKED = "locked"  # LKD: a person has locked it until further notice
    TECHNICALLY_COMPLETE = "technically complete"  # TECO
    CLOSED = "closed"  # CLSD
    DELETED = "deleted"  # DLFL


class Record(BaseModel):
    """What every record has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None

    def valid(self, now_us: int) -> bool:
        """Return whether the record holds at this instant."""
        return (self.valid_from is None or self.valid_from.timestamp() * 1e6 <= now_us) and (
            self.valid_until is None or now_us < self.valid_until.timestamp() * 1e6
        )


class Operation(Record):
    """A step of an order's routing; operations follow each other in ascending order of their number."""

    operation: Annotated[str, Field(min_length=1, max_length=4)]
    work_center: Key
    planned_thousandths: Quantity
    unit: UnitCode
    receipt: bool = Field(
        default=False, description="Its confirmation posts the goods receipt of the product by itself."
    )
    run_us: int | None = Field(default=None, ge=0, description="Planned run time per unit, in microseconds.")


class Component(Record):
    """A material the order consumes: ``required_thousandths`` for the whole planned quantity."""

    item: Annotated[int, Field(ge=1, le=9999)]
    material: Key
    required_thousandths: Quantity
    unit: UnitCode
    operation: Annotated[str, Field(max_length=4)] = ""
    movement_type: Annotated[str, Field(pattern=r"^\d{3}$")] = "261"
    backflush: bool = Field(default=False, description="Issued by the confirmation of its operation, in proportion.")
    reservation: str = ""
    storage_location: Annotated[str, Field(max_length=10)] = ""


class Order(Record):
    """A production order."""

    order: Key
    order_type: str = "PP01"
    plant: Key
    material: Key
    status: OrderStatus = OrderStatus.RELEASED
    planned_thousandths: Quantity
    unit: UnitCode
    over_delivery_permille: Annotated[int, Field(ge=0, le=10_000)] = 0
    under_delivery_permille: Annotated[int, Field(ge=0, le=1000)] = 0
    unlimited_over_delivery: bool = False
    yield_follows_predecessor: bool = Field(
        default=True, description="Refuse a yield above what the predecessor has confirmed."
    )
    storage_location: Annotated[str, Field(max_length=10)] = "FG01"
    operations: tuple[Operation, ...] = ()
    components: tuple[Component, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_twice(f"order {self.order}: operation", (o.operation for o in self.operations))
        _refuse_twice(f"order {self.order}: item", (str(c.item) for c in self.components))
        return self

    @property
    def limit_thousandths(self) -> int | None:
        """The most that may be confirmed or received; None where there is no limit."""
        if self.unlimited_over_delivery:
            return None
        return self.planned_thousandths + self.planned_thousandths * self.over_delivery_permille // 1000


class WorkCenter(Record):
    """A work centre."""

    work_center: Key
    plant: Key


class Material(Record):
    """A material; ``factors`` say how many thousandths of the base unit one of another unit is."""

    material: Key
    base_unit: UnitCode
    lot_managed: bool = False
    inspected: bool = Field(default=False, description="Receipts go to quality stock and open an inspection lot.")
    factors: dict[UnitCode, Annotated[int, Field(ge=1)]] = {}


class Lot(Record):
    """A lot (batch) of a material. Receipts create lots that are not here."""

    material: Key
    lot: Annotated[str, Field(min_length=1, max_length=20)]
    plant: str = ""


class Period(Record):
    """A posting period, first day to last."""

    first: date
    last: date
    open: bool = True


class Stock(Record):
    """What lies in a storage location when the simulation begins."""

    material: Key
    plant: Key
    storage_location: str
    lot: str = ""
    stock_type: Annotated[str, Field(pattern="^(unrestricted|quality|blocked)$")] = "unrestricted"
    quantity_thousandths: Quantity


_R = TypeVar("_R", bound=Record)


class MasterData(BaseModel):
    """All master data of one ERP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = "1010"
    negative_stock_allowed: bool = Field(default=True, description="An issue may exceed what lies there.")
    orders: tuple[Order, ...] = ()
    work_centers: tuple[WorkCenter, ...] = ()
    materials: tuple[Material, ...] = ()
    lots: tuple[Lot, ...] = ()
    periods: tuple[Period, ...] = Field(default=(), description="None listed: every day is open.")
    stocks: tuple[Stock, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_twice("order", (o.order for o in self.orders))
        _refuse_twice("material", (m.material for m in self.materials))
        _refuse_twice("work centre", (f"{w.plant} {w.work_center}" for w in self.work_centers))
        return self

    def merged(self, change: MasterData) -> MasterData:
        """Return the data with records of ``change`` added, or in place of those with the same key.

        Periods are replaced as a whole when the change names any; stocks and settings stay.
        """
        return self.model_copy(
            update={
                "orders": _by_key(self.orders, change.orders, lambda o: o.order),
                "work_centers": _by_key(self.work_centers, change.work_centers, lambda w: (w.plant, w.work_center)),
                "materials": _by_key(self.materials, change.materials, lambda m: m.material),
                "lots": _by_key(self.lots, change.lots, lambda x: (x.material, x.lot)),
                "periods": change.periods or self.periods,
            }
        )


class MasterDataUnusable(Exception):
    """The file cannot be used; the message says which record and why."""

    retryable = False


def load(path: Path) -> MasterData:
    """Return the master data of a JSON file.

    Raises: MasterDataUnusable with every problem in it.
    """
    try:
        return MasterData.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MasterDataUnusable(f"{path} cannot be read: {error.strerror}; check the path") from error
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}" for problem in error.errors()
        )
        raise MasterDataUnusable(f"{path} is no master data; correct:\n{problems}") from error


def _refuse_twice(what: str, keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"{what} {key} is there twice")
        seen.add(key)


def _by_key(old: tuple[_R, ...], new: tuple[_R, ...], key: Callable[[_R], object]) -> tuple[_R, ...]:
    return tuple(({key(record): record for record in old} | {key(record): record for record in new}).values())
