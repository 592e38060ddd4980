"""Avro writer schemas: what records were written with, and what lies where in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import fastavro

Path = tuple[str, ...]
"""Names of fields, from the outermost record inwards."""

_SCALARS: Final = frozenset({"boolean", "int", "long", "float", "double", "string", "bytes", "enum", "fixed"})


class WriterSchema:
    """A writer schema with its named types at hand."""

    def __init__(self, root: Any, named: Mapping[str, Any]) -> None:
        self.root = root
        self.named = named

    def resolved(self, schema: Any) -> tuple[str, dict[str, Any]]:
        """Return the kind of a schema and its attributes; a union's branches are its ``types``."""
        if isinstance(schema, list):
            return "union", {"types": schema}
        if isinstance(schema, str):
            return self.resolved(self.named[schema]) if schema in self.named else (schema, {})
        kind = schema["type"]
        return (kind, schema) if isinstance(kind, str) and kind not in self.named else self.resolved(kind)

    def holds(self, path: Path) -> bool:
        """Return whether a single value can lie at the path."""
        return self._holds(self.root, path)

    def _holds(self, schema: Any, path: Path) -> bool:
        kind, attributes = self.resolved(schema)
        if kind == "union":
            return any(self._holds(branch, path) for branch in attributes["types"])
        if not path:
            return kind in _SCALARS
        return kind == "record" and any(
            self._holds(field["type"], path[1:]) for field in attributes["fields"] if field["name"] == path[0]
        )


@lru_cache(maxsize=256)
def writer_schema(text: str) -> WriterSchema:
    """Return the schema of this JSON text.

    Raises: ValueError, KeyError or fastavro.schema.SchemaParseException where it is none.
    """
    named: dict[str, Any] = {}
    return WriterSchema(fastavro.parse_schema(json.loads(text), named_schemas=named), named)
