"""What a document does not say of itself, and where its writers put what the standard has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from canonical.contracts.reference import LotStatus, OrderStatus
from canonical.units import known

LOT_STATES: Final[Mapping[str, LotStatus]] = MappingProxyType(
    {
        "Valid": LotStatus.VALID,
        "NotValid": LotStatus.NOT_VALID,
        "Released": LotStatus.VALID,
        "Approved": LotStatus.VALID,
        "UnRestricted": LotStatus.VALID,
        "Restricted": LotStatus.RESTRICTED,
        "Blocked": LotStatus.NOT_VALID,
        "Rejected": LotStatus.NOT_VALID,
        "Closed": LotStatus.NOT_VALID,
    }
)
"""What the status or disposition of a lot means; the standard leaves the words of the status open."""

ORDER_STATES: Final[Mapping[str, OrderStatus]] = MappingProxyType(
    {
        "Forecast": OrderStatus.CREATED,
        "Waiting": OrderStatus.CREATED,
        "Released": OrderStatus.RELEASED,
        "Ready": OrderStatus.RELEASED,
        "Running": OrderStatus.RELEASED,
        "Held": OrderStatus.LOCKED,
        "Suspended": OrderStatus.LOCKED,
        "Completed": OrderStatus.TECHNICALLY_COMPLETE,
        "Closed": OrderStatus.CLOSED,
        "Aborted": OrderStatus.DELETED,
        "Cancelled": OrderStatus.DELETED,
    }
)
"""What the state of a request means; RequestState of V0700, of which V0401 knows the first and the third."""


class Terms(BaseModel):
    """What the sender of reference data and the reader have agreed upon."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    erp: str = Field(min_length=1, max_length=256, description="Name of the ERP instance that sends the orders.")
    plant: str = Field(min_length=1, max_length=256, description="Canonical key of the plant.")
    time_zone: str = Field("UTC", description="Zone of times without an offset.")
    unit: str = Field("H87", description="Rec 20 code of quantities that name no unit.")
    units: Mapping[str, str] = Field({}, description="Local unit = Rec 20 code.")
    lot_states: Mapping[str, LotStatus] = Field(
        default_factory=lambda: LOT_STATES, description="Local status of a lot = what it means."
    )
    order_states: Mapping[str, OrderStatus] = Field(
        default_factory=lambda: ORDER_STATES, description="State of a request = what it means."
    )
    item_property: str = Field("Indice", description="Property of a material requirement that is its item number.")
    unit_property: str = Field("BaseUnitOfMeasure", description="Property of a material that is its base unit.")
    expiry_property: str = Field("ExpiryDate", description="Property of a lot until which it may be used.")
    work_center_parameter: str = Field("Center", description="Parameter of a segment that is its work centre.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        """Refuse a zone or unit that nobody knows, before the first document needs it."""
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            msg = f"unknown time zone {self.time_zone!r}; a name of the IANA database, as Europe/Berlin"
            raise ValueError(msg) from error
        for code in (self.unit, *self.units.values()):
            if not known(code):
                msg = f"{code!r} is not a known UN/ECE Recommendation 20 code"
                raise ValueError(msg)
        return self
