"""How to reach an ERP and what it calls things: one model for each kind, secrets never shown.

Whoever reads the settings resolves where a secret lies (environment, file) and hands over a ``SecretStr``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, model_validator

from canonical import units
from canonical.contracts.reference import StockType
from sinks.loopback import is_loopback


def _address(value: str) -> str:
    """Refuse what is no https URL of a host; plain http never leaves the machine."""
    parts = urlsplit(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into a URL; set user and password, or oauth")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not the URL of a server; such as https://erp.example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http would carry credentials in clear; use https (http is for this machine only)")
    return value.rstrip("/")


def _path(value: str) -> str:
    if not value.startswith("/") or value.endswith("/") or "?" in value:
        raise ValueError("a path begins with a slash and ends without one")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError) as error:
        raise ValueError(f"{value!r} is no time zone; such as Europe/Berlin") from error
    return value


def _unit_code(value: str) -> str:
    if not units.known(value):
        raise ValueError(f"{value!r} is not a known UN/ECE Recommendation 20 code")
    return value


Address = Annotated[str, AfterValidator(_address)]
ResourcePath = Annotated[str, AfterValidator(_path)]
Zone = Annotated[str, AfterValidator(_zone)]
UnitCode = Annotated[str, AfterValidator(_unit_code)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class Part(BaseModel):
    """A part of the settings: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OAuthSettings(Part):
    """Client credentials grant of OAuth2."""

    token_url: Address = Field(description="Where tokens are issued.")
    client_id: Name = Field(description="Client.")
    client_secret: SecretStr = Field(description="Its secret.")
    scope: str = Field("", description="Scope asked for, as Microsoft Entra wants it.")
    auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic", description="How the secret is sent to the token endpoint."
    )


class HttpSettings(Part):
    """How to reach an ERP over HTTP."""

    base_url: Address = Field(description="https, or http on this machine.")
    user: str = Field("", description="User of basic authentication.")
    password: SecretStr | None = Field(None, description="Her password.")
    oauth: OAuthSettings | None = Field(None, description="In place of user and password.")
    connect_timeout_s: Seconds = Field(5.0, description="For a connection to be made.")
    read_timeout_s: Seconds = Field(60.0, description="For the answer to begin, and then between its bytes.")
    answer_timeout_s: Seconds = Field(120.0, description="For an answer's body to arrive whole.")
    connections_max: int = Field(8, ge=1, le=256, description="Kept open; as many as threads that send.")
    response_bytes_max: int = Field(4_194_304, ge=4096, le=2**30, description="Longer answers are given up.")
    ca_file: Path | None = Field(None, description="Certificates trusted in place of the public ones.")
    proxy: Address | None = Field(None, description="Only this one; the environment's is not used.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.oauth is None) == (not self.user or self.password is None):
            raise ValueError("needs either user and password, or oauth, and not both")
        return self


class Activity(Part):
    """Which of a posting's times goes into an OpConfirmedWorkQuantity, and in which unit."""

    time: Literal["setup", "machine", "labour"] = Field(description="Which time.")
    unit: Literal["SEC", "MIN", "HUR"] = Field("MIN", description="UN/ECE Recommendation 20 code.")


class UsageDecision(Part):
    """What quality management says of an inspection lot, and where its stock goes with it."""

    code_group: Annotated[str, Field(min_length=1, max_length=8)] = Field(description="Code group.")
    code: Annotated[str, Field(min_length=1, max_length=4)] = Field(description="Code.")
    selected_set: str = Field("", max_length=8, description="Selected set of the plant.")
    stock_type: Annotated[str, Field(min_length=1, max_length=10)] = Field(description="UsageDecisionStockType.")


class SapSettings(HttpSettings):
    """SAP S/4HANA, OData V2."""

    kind: Literal["sap"] = Field("sap", description="What the ERP is.")
    confirmation_path: ResourcePath = Field(
        "/sap/opu/odata/sap/API_PROD_ORDER_CONFIRMATION_2_SRV", description="Service of confirmations."
    )
    material_path: ResourcePath = Field(
        "/sap/opu/odata/sap/API_MATERIAL_DOCUMENT_SRV", description="Service of material documents."
    )
    inspection_path: ResourcePath | None = Field(
        None,
        description="Service of inspection lots, usually /sap/opu/odata/sap/API_INSPECTIONLOT_SRV: with it, batches "
        "leave quality inspection by a usage decision in place of transfers 321 and 350.",
    )
    usage_decisions: dict[StockType, UsageDecision] = Field(
        {}, description="By the stock type that stock becomes: `code_group`, `code`, `selected_set`, `stock_type`."
    )
    client: str = Field("", pattern=r"^(\d{3})?$", description="Client (Mandant); empty: the server's default.")
    time_zone: Zone = Field("UTC", description="In which the ERP reads and writes dates and times.")
    plant_time_zones: dict[str, Zone] = Field({}, description="The same by plant of the ERP, for confirmations.")
    activities: tuple[Activity | None, ...] = Field(
        (
            Activity(time="setup", unit="MIN"),
            Activity(time="machine", unit="MIN"),
            Activity(time="labour", unit="MIN"),
        ),
        max_length=6,
        description="What OpConfirmedWorkQuantity1.. mean: the work centre's standard value key decides.",
    )
    units: dict[UnitCode, Annotated[str, Field(min_length=1, max_length=3)]] = Field(
        {}, description="SAP's unit for a Recommendation 20 code, beyond or in place of the usual ones."
    )
    locked_codes: tuple[str, ...] = Field(
        ("CO/469", "M3/023", "M3/024", "M3/682"), description="Message codes that mean a lock, to be tried again."
    )
    failed_movements: str = Field(
        "",
        description="Entity set of the service of confirmations that lists failed goods movements (as COGI does) by "
        "ConfirmationGroup and ConfirmationCount; empty: there is none, and what has failed looks open.",
    )
    batch_max: int = Field(50, ge=1, le=500, description="Postings in one $batch; 1: never.")


class OracleSettings(HttpSettings):
    """Oracle Fusion Cloud SCM, REST."""

    kind: Literal["oracle"] = Field("oracle", description="What the ERP is.")
    path: ResourcePath = Field("/fscmRestApi/resources/11.13.18.05", description="Version of the resources.")
    source_system: Annotated[str, Field(min_length=1, max_length=30)] = Field(
        "PLANTSYNC", description="SourceSystemCode, registered in Oracle as EXTERNAL."
    )
    history_path: ResourcePath | None = Field(
        None,
        description="Resource that lists transactions of work orders by TransactionNote, in the words of the details "
        "that made them; Oracle ships none, and without one a person looks where an answer was lost.",
    )
    receipts: Literal["transaction", "operation"] = Field(
        "transaction",
        description="How a product gets on stock: by a transaction of its own (process orders), or with the completion "
        "of the last operation (discrete orders), where receipts are not posted.",
    )
    subinventories: dict[StockType, dict[Name, Name]] = Field(
        {}, description="By stock type, the subinventory in which such stock of a storage location lies."
    )
    organizations: dict[Name, Name] = Field(
        {}, description="OrganizationName of a plant, which transfers of stock want; otherwise its code."
    )
    units: dict[UnitCode, Name] = Field({}, description="Oracle's unit for a Recommendation 20 code.")
    locked_codes: tuple[str, ...] = Field(
        ("WIE_WORK_ORDER_LOCKED", "INV_ITEM_LOCKED"), description="Message names that mean a lock."
    )
    transient_codes: tuple[str, ...] = Field(
        ("WIE_UNEXPECTED_ERROR",), description="Message names that say that trying again may help."
    )


class D365Settings(HttpSettings):
    """Dynamics 365 Supply Chain Management, message service of the manufacturing execution integration."""

    kind: Literal["d365"] = Field("d365", description="What the ERP is.")
    company: Name = Field(description="Legal entity, _companyId.")
    queue: Name = Field("JmgMES3P", description="_messageQueue.")
    service_path: ResourcePath = Field(
        "/api/services/SysMessageServices/SysMessageService", description="The message service."
    )
    messages_path: ResourcePath | None = Field(
        None,
        description="Where the messages of an order and their states can be read; Dynamics ships no such service, and "
        "without one nobody is asked whether a message arrived, nor how its processing ended.",
    )
    units: dict[UnitCode, Name] = Field({}, description="Unit symbol for a Recommendation 20 code.")
    inventory_statuses: dict[StockType, Name] = Field(
        {}, description="InventoryStatusId of stock of a type; unrestricted stock may do without."
    )
    transfer_message: Name | None = Field(
        None,
        description="Message type of one's own that moves stock between warehouses and inventory statuses; Dynamics "
        "ships none, and without one transfers are refused.",
    )
    error_causes: dict[str, Literal["Material", "Machine", "OperatingStaff"]] = Field(
        {}, description="ErrorCause for a reason of scrap; others are None."
    )
    rework: Literal["refuse", "error"] = Field(
        "refuse", description="Dynamics knows no rework: a posting with some is refused, or it counts as error."
    )

    @model_validator(mode="after")
    def _by_token(self) -> Self:
        if self.oauth is None:
            raise ValueError("Dynamics takes tokens only; set oauth")
        return self


class DropSettings(Part):
    """A folder from which a legacy system takes files, as IDocs are exchanged."""

    kind: Literal["drop"] = Field("drop", description="What the ERP is.")
    folder: Path = Field(description="Where postings are put, one file each.")
    acknowledgements: Path = Field(description="Where the system puts its answers.")
    acknowledgement_wait_s: Seconds = Field(10.0, description="For an answer; later ones are found by asking again.")
    acknowledgement_bytes_max: int = Field(65_536, ge=256, le=16_777_216, description="Longer ones are not read.")


ErpSettings = Annotated[SapSettings | OracleSettings | D365Settings | DropSettings, Field(discriminator="kind")]
ERP_SETTINGS: Final[TypeAdapter[SapSettings | OracleSettings | D365Settings | DropSettings]] = TypeAdapter(
    ErpSettings, config=ConfigDict(hide_input_in_errors=True)
)
"""Reads the settings of an ERP of any kind; its errors quote nothing, since it may be a secret."""
