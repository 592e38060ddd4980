"""Usage: what of a component of an order was planned, and what was issued (M18).

Law: of an ERP, plant, order, item, material and unit the newest record counts.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Micros, Text, Thousandths

Signed = Annotated[int, Field(ge=-(10**18), le=10**18)]
"""Thousandths that may be below zero."""


class ComponentUsage(BaseModel):
    """One component of an order as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    erp: Text = Field(description="Name of the ERP instance.")
    plant: Text = Field(description="Canonical key of the plant.")
    order: Text = Field(description="Production order.")
    item: Text = Field(default="", description="Item of the reservation; empty where the order has no such component.")
    reservation: Text = Field(default="", description="Reservation.")
    operation: Text = Field(default="", description="Operation that uses it; empty: any.")
    material: Text = Field(description="Material issued.")
    unit: Text = Field(
        description="UN/ECE Recommendation 20 code; that of the plan where what was issued is exact in it."
    )
    planned: Thousandths = Field(default=0, description="Required by the order, in thousandths of the unit.")
    actual: Signed = Field(description="Issued less taken back or withdrawn, in thousandths of the unit.")
    difference: Signed = Field(description="Actual less planned.")
    changed_us: Micros = Field(description="Instant of this record, UTC, in microseconds since 1970-01-01.")
