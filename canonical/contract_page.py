"""The page of the contracts, docs/contracts.md: written from the models, never by hand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from inspect import getdoc

import orjson
from pydantic import BaseModel

from canonical.compatibility import Schema, spelled

_OPENING = """\
# Contracts

Written by `python -m canonical.schemas --write` from the models in `canonical/contracts/`; do not
edit. Each contract is defined once; Avro (`canonical/avro/*.avsc`) and Arrow schemas are derived.

## Rules

- A published version never changes. A contract that changes gets a new version beside the old
  ones: the model changes, `CONTRACTS` in `canonical/schemas.py` names the new version, `--write`
  writes its `.avsc`.
- The set of fields only grows. No field is removed, renamed or retyped, no default changes, and a
  new field has a default. `make check` runs `--check`, which names the contract and the field.
- So a reader of the newest version reads all older data, and an older reader finds every field it
  knows. Fields that a reader does not know are kept by the up-cast of events and passed over by
  the Arrow readers.
- Event versions are accepted side by side; `canonical.contracts.upcast` turns 1 and 2 into 3.

## Form

- JSON: one object, fields in the order of the tables, no field left out, text as UTF-8.
- Avro: records of the namespace `plantsync`. Enumerations are strings, so that a value younger
  than the reader is a text it can refuse rather than a block it cannot read.
- A field of constant value, `schema_version`, is in JSON only; an Avro or Arrow schema says it itself.
- Quantities are integers in thousandths of the unit; names that end in `_us` are microseconds.
- Confirmations, events and gaps travel as CloudEvents 1.0 in Kafka's binary mode: `ce_id` is the
  posting id or event id, `ce_source` is `/plantsync/<plant>/<source>`, `ce_sequence` the sequence
  number in 20 digits, `ce_time` when it happened, `ce_recordedtime` when it was committed,
  `ce_subject` the order where there is one, `ce_partitionkey` the source.
"""


def contract_page(contracts: Mapping[str, tuple[type[BaseModel], Mapping[int, Schema]]]) -> str:
    """Return the page for contract -> (newest model, version -> Avro record)."""
    return _OPENING + "".join(_section(contract, *stated) for contract, stated in contracts.items())


def _section(contract: str, model: type[BaseModel], versions: Mapping[int, Schema]) -> str:
    newest = max(versions)
    schema = versions[newest]
    since: dict[str, int] = {}
    for version, older in sorted(versions.items()):
        for field in older["fields"]:
            since.setdefault(field["name"], version)
    lines = [
        f"\n## {contract}, version {newest}",
        "",
        (getdoc(model) or "").splitlines()[0],
        "",
        "| field | type | default | since | meaning |",
        "|---|---|---|---|---|",
        *(_row(model, field, since[field["name"]]) for field in schema["fields"]),
    ]
    return "\n".join(lines) + "\n"


def _row(model: type[BaseModel], stated: Schema, since: int) -> str:
    field = model.model_fields[stated["name"]]
    meaning = field.description or ""
    if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
        meaning += " One of " + ", ".join(f"`{value}`" for value in field.annotation) + "."
    default = f"`{orjson.dumps(stated['default']).decode()}`" if "default" in stated else "required"
    return f"| `{stated['name']}` | {spelled(stated['type'])} | {default} | {since} | {meaning} |"
