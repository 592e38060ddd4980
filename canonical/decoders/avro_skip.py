"""Where a datum of Avro ends: a walk over its bytes that builds no value.

Law: the work is at most a constant per byte and per field of the schema, whatever counts and lengths the bytes state.
Source: Avro 1.12 specification, Binary Encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from canonical.writer_schema import WriterSchema

Skip = Callable[[bytes, int, int], int]
"""Returns where the value that begins at a place ends; more than the length of the bytes if it goes beyond them.

Args: data, place, and how deep in other values this one lies. Raises: IndexError, Unreadable.
"""

DEPTH_MAX: Final = 256
"""Levels of records, unions, arrays and maps that are followed."""
_SHIFT_MAX: Final = 63
_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class Unreadable(ValueError):
    """The bytes are no datum of the schema."""


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """Return the zig-zag varint at a place, and where it ends. Raises: IndexError, Unreadable."""
    byte = data[at]
    at += 1
    value, shift = byte & 0x7F, 7
    while byte > 0x7F:
        if shift > _SHIFT_MAX:
            raise Unreadable("a number has more than 64 bits")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1), at


def skipper(schema: WriterSchema) -> Skip:
    """Return the walk over a datum of this schema. Raises: Unreadable where a datum takes no bytes."""
    if not schema.takes_bytes(schema.root):
        raise Unreadable("data that take no bytes cannot be told apart")
    return _Walk(schema).over(schema.root)


class _Walk:
    """Walks by schema; those of named types are made once, and found again by name while they are made."""

    def __init__(self, schema: WriterSchema) -> None:
        self.schema = schema
        self.named: dict[str, Skip] = {}

    def over(self, node: Any) -> Skip:
        kind, attributes = self.schema.resolved(node)
        if kind in _SIZES or kind == "fixed":
            size = attributes["size"] if kind == "fixed" else _SIZES[kind]
            return lambda _data, at, _depth: at + size
        if kind in {"int", "long", "enum"}:
            return lambda data, at, _depth: long_at(data, at)[1]
        if kind in {"string", "bytes"}:
            return _bytes
        if kind == "record":
            return self.record(attributes)
        if kind == "union":
            return _union([self.over(branch) for branch in attributes["types"]])
        items = attributes["values" if kind == "map" else "items"]
        return _blocks(self.over(items), keyed=kind == "map", sized=kind == "map" or self.schema.takes_bytes(items))

    def record(self, attributes: dict[str, Any]) -> Skip:
        name: str = attributes["name"]
        if name not in self.named:
            fields: list[Skip] = []
            self.named[name] = _record(fields)  # there before its fields are, which may be of its own type
            fields += [self.over(field["type"]) for field in attributes["fields"]]
        return self.named[name]


def _record(fields: list[Skip]) -> Skip:
    def skip(data: bytes, at: int, depth: int) -> int:
        _bounded(depth)
        for field in fields:
            at = field(data, at, depth + 1)
        return at

    return skip


def _union(branches: list[Skip]) -> Skip:
    def skip(data: bytes, at: int, depth: int) -> int:
        _bounded(depth)
        chosen, at = long_at(data, at)
        if not 0 <= chosen < len(branches):
            raise Unreadable("a union has no such branch")
        return branches[chosen](data, at, depth + 1)

    return skip


def _blocks(item: Skip, *, keyed: bool, sized: bool) -> Skip:
    def skip(data: bytes, at: int, depth: int) -> int:
        _bounded(depth)
        while True:
            count, at = long_at(data, at)
            if count < 0:
                at = long_at(data, at)[1]
            if not count:
                return at
            # Items without bytes are not walked over: there may be any number of them.
            for _ in range(abs(count) if sized else 0):
                if keyed:
                    at = _bytes(data, at, depth)
                at = item(data, at, depth + 1)
                if at > len(data):
                    return at

    return skip


def _bytes(data: bytes, at: int, _depth: int) -> int:
    size, at = long_at(data, at)
    if size < 0:
        raise Unreadable("a length is negative")
    return at + size


def _bounded(depth: int) -> None:
    if depth > DEPTH_MAX:
        raise Unreadable(f"more than {DEPTH_MAX} levels")
