"""When one version of a contract may follow another.

Law: a reader of the new schema reads everything written under the old one, and finds in it every
field the old one had, with the type it had. Hence the set of fields only grows, no field is
retyped, a default stays what it is, and a new field has one (M07).

Schemas are Avro records as plain dictionaries, as ``canonical.schemas.avro_schema`` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
"""An Avro schema as JSON has it."""


def breaks(old: Schema, new: Schema, path: str) -> list[str]:
    """Return why ``new`` may not follow ``old``: one line for each field, named ``path.field``."""
    return [line for line, breaking in _changes(old, new, path) if breaking]


def differences(committed: Schema, derived: Schema, path: str) -> list[str]:
    """Return where a model's schema and the committed one disagree; a new field counts."""
    found = [line for line, _ in _changes(committed, derived, path)]
    if not found and committed != derived:
        found.append(f"{path}: the committed version states the same fields in another order or form")
    return found


def spelled(schema: object) -> str:
    """Return an Avro type in words: ``null or long``, ``string (uuid)``, ``record Fault``."""
    if isinstance(schema, list):
        return " or ".join(spelled(branch) for branch in schema)
    if not isinstance(schema, dict):
        return str(schema)
    if schema["type"] == "record":
        return f"record {schema['name']}"
    if schema["type"] == "array":
        return f"array of {spelled(schema['items'])}"
    return f"{schema['type']} ({schema['logicalType']})"


def _changes(old: Schema, new: Schema, path: str) -> Iterator[tuple[str, bool]]:
    """Yield every change from ``old`` to ``new`` and whether it breaks the law."""
    if old["name"] != new["name"]:
        yield f"{path}: renamed from {old['name']} to {new['name']}; Avro resolves records by name", True
    before = {field["name"]: field for field in old["fields"]}
    after = {field["name"]: field for field in new["fields"]}
    for name, field in before.items():
        if name in after:
            yield from _field_changes(field, after[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: removed; a field stays once it has been published", True
    for name, field in after.items():
        if name in before:
            continue
        if "default" in field:
            yield f"{path}.{name}: added; give the contract a new version", False
        else:
            yield f"{path}.{name}: added without a default; older data has no value for it", True


def _field_changes(old: Schema, new: Schema, path: str) -> Iterator[tuple[str, bool]]:
    inside, of = _record_in(old["type"]), _record_in(new["type"])
    if inside is not None and of is not None and _is_record(old["type"]) == _is_record(new["type"]):
        yield from _changes(inside, of, path)
    elif old["type"] != new["type"]:
        was, now = spelled(old["type"]), spelled(new["type"])
        yield f"{path}: retyped from {was} to {now}; add a field under another name instead", True
    if "default" not in old:
        return
    if "default" not in new:
        yield f"{path}: lost its default; data written without the field can no longer be read", True
    elif old["default"] != new["default"]:
        yield (
            (
                f"{path}: default changed from {old['default']!r} to {new['default']!r}; "
                "data written without the field would change its meaning"
            ),
            True,
        )


def _record_in(schema: Any) -> Schema | None:
    """Return the record that a type is, or is an array of: the same law holds for its fields."""
    if isinstance(schema, dict) and schema["type"] == "array":
        schema = schema["items"]
    return schema if _is_record(schema) else None


def _is_record(schema: object) -> bool:
    return isinstance(schema, dict) and schema["type"] == "record"
