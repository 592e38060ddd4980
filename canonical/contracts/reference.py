"""Reference data of the ERPs: what a posting is checked against, each with the time in which it holds.

Law: what is in force does not depend on the order in which records arrive. A record is known by its kind,
its key and ``valid_from_us``; of several that have the same, the one with the greatest ``changed_us`` counts.

Source: M06, M10, M11, M13, M33, A15; DOMAIN 3.7 (API_PRODUCTION_ORDER_2_SRV).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from canonical.contracts.event import Micros, Text, Thousandths

Key = Annotated[str, Field(min_length=1, max_length=256)]
Duration = Annotated[int, Field(ge=0, le=10**13)]
"""Microseconds, at most some months."""
Sources = Annotated[tuple[str, ...], Field(max_length=100)]
"""Machines, terminals or systems, as their events name them."""
Share = Annotated[int, Field(ge=0, le=1_000_000)]
"""Thousandths of a quantity: 100 is 10 %."""


class OrderStatus(StrEnum):
    """The one status of an order, whatever its ERP calls it (A16)."""

    CREATED = "created"
    RELEASED = "released"
    LOCKED = "locked"
    TECHNICALLY_COMPLETE = "technically-complete"
    CLOSED = "closed"
    DELETED = "deleted"


class LotStatus(StrEnum):
    """Whether a lot may be used and moved."""

    VALID = "valid"
    RESTRICTED = "restricted"
    NOT_VALID = "not-valid"


class StockType(StrEnum):
    """What a stock may be used for."""

    UNRESTRICTED = "unrestricted"
    QUALITY = "quality"
    BLOCKED = "blocked"


class Reference(BaseModel):
    """What all reference records have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changed_us: Micros = Field(description="Instant of the change in the system that owns it; the newest counts.")
    valid_from_us: Micros = Field(
        default=0, description="In force from this instant, UTC, in microseconds since 1970-01-01."
    )
    valid_to_us: Micros | None = Field(
        default=None, description="In force until before this instant; none: until further."
    )
    deleted: bool = Field(default=False, description="The record is withdrawn: as if it had never been.")


class OrderOperation(BaseModel):
    """One step of an order's routing; steps are in the order of their routing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Key = Field(description="Operation of the order, such as 0010.")
    work_center: Text = Field(default="", description="Work centre that the routing plans.")
    quantity: Thousandths = Field(default=0, description="Planned quantity, in thousandths of the order's unit.")
    confirmed_by: Text = Field(
        default="", description="A later milestone that confirms this one: it is not posted itself."
    )
    setup_us: Duration | None = Field(default=None, description="Planned setup time in microseconds; none: not told.")
    run_us: Duration | None = Field(
        default=None, description="Planned run time per unit (PRU), in microseconds; none: not told."
    )
    counting_sources: Sources = Field(
        default=(), description="Sources whose counts of its pieces are posted; none: those of the order."
    )


class OrderComponent(BaseModel):
    """One line of an order's bill of material."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: Key = Field(description="Item of the reservation.")
    reservation: Text = Field(default="", description="Reservation.")
    material: Key = Field(description="Material to be issued.")
    operation: Text = Field(default="", description="Operation that uses it; empty: any.")
    quantity: Thousandths = Field(default=0, description="Required, in thousandths of the unit.")
    unit: Text = Field(default="H87", description="UN/ECE Recommendation 20 code.")
    backflush: bool = Field(default=False, description="The ERP issues it itself when the operation is confirmed.")
    storage_location: Text = Field(default="", description="Where it is issued from.")


class OrderReference(Reference):
    """A production order of an ERP."""

    kind: Literal["order"] = Field(default="order", description="What the record is.")
    erp: Key = Field(description="Name of the ERP instance that owns the order.")
    plant: Key = Field(description="Canonical key of the plant.")
    order: Key = Field(description="Production order.")
    status: OrderStatus = Field(description="Unified status.")
    material: Text = Field(default="", description="Material made.")
    quantity: Thousandths = Field(default=0, description="To be made, in thousandths of the unit.")
    unit: Text = Field(default="H87", description="UN/ECE Recommendation 20 code.")
    over_delivery: Share | None = Field(
        default=0, description="Tolerated above the quantity, in thousandths of it; none: any."
    )
    operations: tuple[OrderOperation, ...] = Field(default=(), description="Steps, in the order of the routing.")
    components: tuple[OrderComponent, ...] = Field(default=(), description="Bill of material.")
    storage_location: Text = Field(default="", description="Where the product is received.")
    counting_sources: Sources = Field(
        default=(), description="Sources that count for operations that name none; none: every source counts."
    )


class WorkCenterReference(Reference):
    """A work centre."""

    kind: Literal["work_center"] = Field(default="work_center", description="What the record is.")
    plant: Key = Field(description="Canonical key of the plant.")
    work_center: Key = Field(description="Work centre.")


class UnitRatio(BaseModel):
    """A unit of a material: ``numerator`` base units are ``denominator`` of this one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Key = Field(description="UN/ECE Recommendation 20 code.")
    numerator: int = Field(ge=1, le=10**9, description="Base units.")
    denominator: int = Field(ge=1, le=10**9, description="Of this unit.")


class MaterialReference(Reference):
    """A material."""

    kind: Literal["material"] = Field(default="material", description="What the record is.")
    material: Key = Field(description="Material.")
    base_unit: Text = Field(default="H87", description="UN/ECE Recommendation 20 code in which the ERP keeps stock.")
    units: tuple[UnitRatio, ...] = Field(
        default=(), description="Other units of it, beyond those of the same dimension."
    )
    lot_managed: bool = Field(default=False, description="Every movement names a lot.")
    inspected: bool = Field(default=False, description="A receipt waits for the quality release of its lot (M19).")
    family: Text = Field(default="", description="Product family.")


class LotReference(Reference):
    """A lot of a material."""

    kind: Literal["lot"] = Field(default="lot", description="What the record is.")
    material: Key = Field(description="Material.")
    lot: Key = Field(description="Lot.")
    status: LotStatus = Field(default=LotStatus.VALID, description="Whether it may be used.")


class ReasonReference(Reference):
    """A reason as the plant says it, and as the ERP does."""

    kind: Literal["reason"] = Field(default="reason", description="What the record is.")
    plant: Key = Field(description="Canonical key of the plant.")
    reason: Key = Field(description="Canonical reason code.")
    erp_reason: Key = Field(description="The ERP's variance reason.")


class StepReference(Reference):
    """Which routing steps a work centre's completion confirms (M13); several work centres may confirm one step."""

    kind: Literal["step"] = Field(default="step", description="What the record is.")
    plant: Key = Field(description="Canonical key of the plant.")
    work_center: Key = Field(description="Work centre as the MES names it.")
    material: Text = Field(
        default="", description="Only for this material; empty: for those without a line of their own."
    )
    operations: tuple[Key, ...] = Field(description="Operations confirmed; none: its completions are not posted.")
    erp_work_center: Text = Field(default="", description="The ERP's work centre; empty: that of the routing.")


class BinReference(Reference):
    """A warehouse bin, and the ERP's place and stock type it stands for (M13)."""

    kind: Literal["bin"] = Field(default="bin", description="What the record is.")
    plant: Key = Field(description="Canonical key of the plant.")
    bin: Key = Field(description="Bin of the warehouse system.")
    storage_location: Key = Field(description="Storage location of the ERP.")
    stock_type: StockType = Field(default=StockType.UNRESTRICTED, description="What stock in it may be used for.")


class RouteReference(Reference):
    """Which ERP instance a plant posts to while the record is in force (M33): a wave of a migration is two of them."""

    kind: Literal["route"] = Field(default="route", description="What the record is.")
    plant: Key = Field(description="Canonical key of the plant.")
    erp: Key = Field(description="Name of the ERP instance.")
    erp_plant: Key = Field(description="The plant's key there.")


class PeriodReference(Reference):
    """A posting period of an ERP."""

    kind: Literal["period"] = Field(default="period", description="What the record is.")
    erp: Key = Field(description="Name of the ERP instance.")
    first: date = Field(description="First day.")
    last: date = Field(description="Last day.")
    open: bool = Field(description="Whether it takes postings.")


AnyReference = (
    OrderReference
    | WorkCenterReference
    | MaterialReference
    | LotReference
    | ReasonReference
    | StepReference
    | BinReference
    | RouteReference
    | PeriodReference
)

REFERENCE: Final[TypeAdapter[AnyReference]] = TypeAdapter(Annotated[AnyReference, Field(discriminator="kind")])
"""Reads a reference record of any kind."""
