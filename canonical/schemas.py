"""Avro and Arrow schemas derived from the contracts, and their committed versions.

The chain is one way: pydantic model -> Avro record -> Arrow schema and docs/contracts.md. The
Avro records are committed as ``canonical/avro/<contract>.v<version>.avsc`` and never change once
published; a contract that changes gets a new version beside the old ones.

An enumeration is an Avro string, not an Avro enum: a reader meets a symbol that is younger than
itself as a text it can report as a fault, where resolving an enum would fail the whole block.
A constant (a ``Literal`` of one value, as ``schema_version``) has no field: the schema says it.
Instants and durations are plain longs, for both end in ``_us`` and only one of them is a time.

    python -m canonical.schemas --check   exits 1, naming contract and field, when they disagree
    python -m canonical.schemas --write   writes versions that are missing, and docs/contracts.md

Source: Apache Avro 1.12 specification, schema resolution.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from uuid import UUID

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from canonical.compatibility import Schema, breaks, differences
from canonical.contract_page import contract_page
from canonical.contracts import (
    Action,
    BinReference,
    BusinessException,
    Command,
    ComponentUsage,
    Confirmation,
    DeadLetter,
    Event,
    EventV1,
    EventV2,
    Fault,
    Gap,
    LedgerEntry,
    LedgerRange,
    LotReference,
    MaterialReference,
    OrderReference,
    PeriodReference,
    Posting,
    ReasonReference,
    Receipt,
    RouteReference,
    StateMark,
    StepReference,
    TelemetryMinute,
    TrailEntry,
    Unposted,
    WorkCenterReference,
)
from canonical.derived_files import check_or_write

NAMESPACE: Final = "plantsync"

CONTRACTS: Final[Mapping[str, Mapping[int, type[BaseModel]]]] = {
    "event": {1: EventV1, 2: EventV2, 3: Event},
    "confirmation": {1: Confirmation},
    "fault": {1: Fault},
    "ledger_entry": {2: LedgerEntry},
    "ledger_range": {1: LedgerRange},
    "gap": {1: Gap},
    "dead_letter": {1: DeadLetter},
    "trail_entry": {1: TrailEntry},
    "posting": {1: Posting},
    "receipt": {1: Receipt},
    "business_exception": {1: BusinessException},
    "unposted": {2: Unposted},
    "command": {1: Command},
    "action": {1: Action},
    "component_usage": {1: ComponentUsage},
    "state_mark": {1: StateMark},
    "telemetry_minute": {1: TelemetryMinute},
    "order_reference": {3: OrderReference},
    "work_center_reference": {1: WorkCenterReference},
    "material_reference": {1: MaterialReference},
    "lot_reference": {1: LotReference},
    "reason_reference": {1: ReasonReference},
    "step_reference": {1: StepReference},
    "bin_reference": {1: BinReference},
    "route_reference": {1: RouteReference},
    "period_reference": {1: PeriodReference},
}
"""Contract -> version -> model. The highest version is the current one; an older one may be
known by its committed file alone.
"""

AVRO_FOLDER: Final = Path(__file__).parent / "avro"
PAGE: Final = Path(__file__).parents[1] / "docs" / "contracts.md"

_SCALARS: Final[Mapping[type, Any]] = {
    str: "string",
    int: "long",
    bool: "boolean",
    bytes: "bytes",
    UUID: {"type": "string", "logicalType": "uuid"},
    date: {"type": "int", "logicalType": "date"},
}

_ARROW: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "uuid": pa.string(),
    "date": pa.date32(),
}


def columns(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a contract that vary, in contract order: all but its constants."""
    return {name: field for name, field in model.model_fields.items() if get_origin(field.annotation) is not Literal}


def default(field: FieldInfo) -> Any:
    """Return a field's default as JSON has it; the field must not be required."""
    value = field.default
    return list(value) if isinstance(value, tuple) else value.value if isinstance(value, StrEnum) else value


def avro_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the Avro record of a contract, as JSON has it; versions of a contract share one name."""
    return {
        "type": "record",
        "name": re.sub(r"V\d+$", "", model.__name__),
        "namespace": NAMESPACE,
        "fields": [_avro_field(name, field) for name, field in columns(model).items()],
    }


def _avro_field(name: str, field: FieldInfo) -> dict[str, Any]:
    stated = {"name": name, "type": _avro_type(field.annotation)}
    return stated if field.is_required() else {**stated, "default": default(field)}


def _avro_type(annotation: Any) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _avro_type(arguments[0])
    if NoneType in arguments:
        (other,) = (a for a in arguments if a is not NoneType)
        return ["null", _avro_type(other)]
    if origin is tuple:
        item, rest = arguments
        assert rest is Ellipsis, f"{annotation}: only tuples of one type and any length"
        return {"type": "array", "items": _avro_type(item)}
    if issubclass(annotation, BaseModel):
        return avro_schema(annotation)
    return "string" if issubclass(annotation, StrEnum) else _SCALARS[annotation]


@cache
def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """Return the Arrow schema of a contract: what may be absent is nullable, nothing else is."""
    return pa.schema([_arrow_field(field) for field in avro_schema(model)["fields"]])


def _arrow_field(field: Schema) -> pa.Field:
    nullable = isinstance(field["type"], list)
    return pa.field(field["name"], _arrow_type(field["type"][1] if nullable else field["type"]), nullable=nullable)


def _arrow_type(schema: Any) -> pa.DataType:
    if isinstance(schema, str):
        return _ARROW[schema]
    if schema["type"] == "record":
        return pa.struct([_arrow_field(field) for field in schema["fields"]])
    if schema["type"] == "array":
        return pa.list_(pa.field("item", _arrow_type(schema["items"]), nullable=False))
    return _ARROW[schema["logicalType"]]


def committed(contract: str, folder: Path = AVRO_FOLDER) -> dict[int, dict[str, Any]]:
    """Return the committed Avro schemas of a contract by version, oldest first."""
    found = {int(p.stem.rpartition(".v")[2]): p for p in folder.glob(f"{contract}.v*.avsc")}
    return {version: json.loads(found[version].read_bytes()) for version in sorted(found)}


def problems(
    folder: Path = AVRO_FOLDER, contracts: Mapping[str, Mapping[int, type[BaseModel]]] = CONTRACTS
) -> list[str]:
    """Return where models and committed schemas disagree, and versions that may not follow each other."""
    return [line for contract, models in contracts.items() for line in _contract_problems(contract, models, folder)]


def _contract_problems(contract: str, models: Mapping[int, type[BaseModel]], folder: Path) -> Iterator[str]:
    versions = committed(contract, folder)
    for version in range(1, max((*models, *versions)) + 1):
        if version not in versions:
            yield f"{contract}.v{version}.avsc: missing; restore it, or run python -m canonical.schemas --write"
    for version, schema in versions.items():
        if version in models:
            yield from differences(schema, avro_schema(models[version]), f"{contract}.v{version}")
        elif version > max(models):
            yield f"{contract}.v{version}.avsc: newer than the newest model, version {max(models)}"
        if version - 1 in versions:
            yield from breaks(versions[version - 1], schema, f"{contract}.v{version}")


def write_missing(folder: Path = AVRO_FOLDER) -> list[Path]:
    """Write the committed schema of each model that has none; return the files written."""
    written = []
    for contract, models in CONTRACTS.items():
        for version, model in models.items():
            path = folder / f"{contract}.v{version}.avsc"
            if not path.exists():
                path.write_text(json.dumps(avro_schema(model), indent=2) + "\n", encoding="utf-8")
                written.append(path)
    return written


def page() -> str:
    """Return what docs/contracts.md has to say."""
    return contract_page(
        {
            contract: (
                models[max(models)],
                committed(contract) | {version: avro_schema(model) for version, model in models.items()},
            )
            for contract, models in CONTRACTS.items()
        }
    )


def page_problems(path: Path = PAGE) -> list[str]:
    """Return whether the committed page says something else than the contracts do."""
    if path.exists() and path.read_text(encoding="utf-8") == page():
        return []
    return [f"{path.name}: not what the contracts say; run python -m canonical.schemas --write"]


def write() -> None:
    """Write schema versions that are missing, and the page."""
    for path in write_missing():
        sys.stdout.write(f"{path}: written\n")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(
        check_or_write("canonical.schemas", "Committed contract schemas.", lambda: problems() + page_problems(), write)
    )
