"""Avro writer schemas: what records were written with, and what lies where in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

Path = tuple[str, ...]
"""Names of fields, from the outermost record inwards."""

SINGLE: Final = b"\xc3\x01"
"""Marker of a single object."""
VALUES_MAX: Final = 10_000
"""Values that a record may hold without a choice, a count or a length among its bytes."""
DEPTH_MAX: Final = 64
"""Levels of types within types, where no name refers to another."""

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

    def takes_bytes(self, schema: Any) -> bool:
        """Return whether a value of the schema takes at least one byte."""
        kind, attributes = self.resolved(schema)
        if kind == "record":
            return any(self.takes_bytes(field["type"]) for field in attributes["fields"])
        return attributes["size"] > 0 if kind == "fixed" else kind != "null"

    def check(self) -> None:
        """Raise ValueError where the schema is no sound one, or its data cannot be decoded in bounded work."""
        self._visit(self.root, set(), 1)
        widths: dict[str, int] = {}
        for name, node in self.named.items():
            if self._width(node, widths) > VALUES_MAX:
                raise ValueError(f"a {name} holds more than {VALUES_MAX} values")

    def _visit(self, schema: Any, visited: set[str], depth: int) -> None:
        """Look at every type once."""
        kind, attributes = self.resolved(schema)
        name = attributes.get("name")
        if name in visited:
            return
        if name is not None:
            visited.add(name)
        if depth > DEPTH_MAX:
            raise ValueError(f"types are nested more than {DEPTH_MAX} levels deep")
        if not isinstance(attributes.get("logicalType", ""), str):
            raise ValueError("a logicalType is not a name")  # noqa: TRY004 - the schema is data, not an argument
        match kind:
            case "union":
                inner = attributes["types"]
                if any(self.resolved(branch)[0] == "union" for branch in inner):
                    raise ValueError("a union lies directly in a union")
            case "record":
                inner = [field["type"] for field in attributes["fields"]]
            case "array" | "map":
                inner = [attributes["items" if kind == "array" else "values"]]
            case "enum":
                inner = []
                if not attributes["symbols"] or not all(isinstance(symbol, str) for symbol in attributes["symbols"]):
                    raise ValueError(f"enum {name} has no symbols")
            case "fixed":
                inner = []
                if not isinstance(attributes["size"], int) or not 0 <= attributes["size"] < 2**31:
                    raise ValueError(f"fixed {name} has no size")
            case _:
                inner = []
                if kind != "null" and kind not in _SCALARS:
                    raise ValueError(f"unknown type {kind!r}")
        for each in inner:
            self._visit(each, visited, depth + 1)

    def _width(self, schema: Any, known: dict[str, int]) -> int:
        """Return how many values a value holds whatever its bytes are, itself included; 0 marks one being counted."""
        kind, attributes = self.resolved(schema)
        if kind != "record":
            return 1
        name: str = attributes["name"]
        if name not in known:
            known[name] = 0
            known[name] = 1 + sum(self._width(field["type"], known) for field in attributes["fields"])
        if not known[name]:
            raise ValueError(f"every {name} holds another one, without end")
        return known[name]


@lru_cache(maxsize=256)
def writer_schema(text: str) -> WriterSchema:
    """Return the schema of this JSON text. Raises: ValueError where it is none."""
    named: dict[str, Any] = {}
    try:
        schema = WriterSchema(fastavro.parse_schema(json.loads(text), named_schemas=named), named)
        schema.check()
    except Exception as error:
        # fastavro takes much for granted and raises what Python does; a schema may come with a file.
        raise ValueError(str(error) or type(error).__name__) from error
    return schema


@lru_cache(maxsize=256)
def single_prefix(text: str) -> bytes:
    """Return the frame of a single object of this schema: the marker and the schema's CRC-64-AVRO."""
    canonical = to_parsing_canonical_form(fastavro.parse_schema(json.loads(text)))
    return SINGLE + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
