"""Avro schemas that refer to types of other schemas: one text that needs no other.

Law: the text that comes out declares each type where it is named first, as the Avro specification wants it.
Source: Avro 1.12 specification, Names; Confluent Schema Registry, Schema References.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NESTING_MAX: Final = 64
"""Levels of types within types; a schema with more is refused."""

_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


def inlined(schema: Any, types: Mapping[str, Any]) -> Any:
    """Return a parsed schema with the types it refers to, by full name, written where they are named first.

    Raises: ValueError where types are nested too deep.
    """
    return _Writing(types).written(schema, "", 1)


class _Writing:
    def __init__(self, types: Mapping[str, Any]) -> None:
        self._types = types
        self._declared: set[str] = set()

    def written(self, schema: Any, space: str, depth: int) -> Any:
        if depth > NESTING_MAX:
            raise ValueError(f"types are nested more than {NESTING_MAX} levels deep")
        match schema:
            case str():
                return self._name(schema, space, depth)
            case list():
                return [self.written(each, space, depth + 1) for each in schema]
            case {"type": str(kind)} if kind in _NAMED:
                return self._declaration(schema, space, depth)
            case {"type": ("array" | "map") as kind}:
                inner = "items" if kind == "array" else "values"
                return schema | {inner: self.written(schema.get(inner), space, depth + 1)}
            case {"type": inner} if not isinstance(inner, str) or _full(inner, space) in self._types:
                return schema | {"type": self.written(inner, space, depth + 1)}
        return schema

    def _name(self, name: str, space: str, depth: int) -> Any:
        full = _full(name, space)
        known = full if full in self._types else name
        if known not in self._types or known in self._declared:
            return name
        return self.written(self._types[known], "", depth + 1)

    def _declaration(self, schema: dict[str, Any], space: str, depth: int) -> dict[str, Any]:
        """Return a named type under its full name: where it is written now, another namespace may hold."""
        name = str(schema.get("name", ""))
        full = _full(name, str(schema.get("namespace", space)))
        self._declared.add(full)
        space, _, own = full.rpartition(".")
        out = schema | {"name": own, "namespace": space}
        fields = schema.get("fields")
        if isinstance(fields, list):
            out["fields"] = [
                each | {"type": self.written(each.get("type"), space, depth + 1)} if isinstance(each, dict) else each
                for each in fields
            ]
        return out


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
