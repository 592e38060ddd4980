"""What the Avro kernel is told of a writer schema: its types as nodes, and which of them are asked for.

The fields of a record and the branches of a union are nodes that follow each other; a type that holds itself is
written down once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canonical.writer_schema import Path, WriterSchema

NODES_MAX: Final = 4_096
KINDS: Final[Mapping[str, int]] = {
    "null": 0, "boolean": 1, "int": 2, "long": 3, "float": 4, "double": 5, "string": 6, "bytes": 6, "fixed": 7,
    "enum": 8, "record": 9, "union": 10, "array": 11, "map": 12,
}  # fmt: skip
"""``enum kind`` of avro_values.h."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """The only place in a schema where a path has a value, and of which type that is.

    ``optional`` ones lie in a union, so that a record may have none.
    """

    path: Path
    kind: str
    attributes: Mapping[str, Any]
    optional: bool


@dataclass(slots=True)
class Plan:
    """Nodes int32[k, 4] of kind, slot, first, count, as in avro_values.h; leaf i has slot i."""

    nodes: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    leaves: list[Leaf] = field(default_factory=list)


@lru_cache(maxsize=256)
def plan(schema: WriterSchema, paths: frozenset[Path]) -> Plan | None:
    """Return where these paths are; None where one has values in two places, or the schema is too large."""
    return _Drawing(schema).plan({path: path for path in paths})


class _Drawing:
    """Nodes while they are written down: the children of each, once it is met itself."""

    def __init__(self, schema: WriterSchema) -> None:
        self.schema = schema
        self.nodes: list[tuple[int, int, int, int]] = []
        self.todo: list[tuple[int, Any, Mapping[Path, Path], bool]] = []  # the last: whether it lies in a union
        self.known: dict[str, tuple[int, int]] = {}  # by name, the fields of a record that nobody asks for
        self.leaves: list[Leaf] = []

    def plan(self, wanted: Mapping[Path, Path]) -> Plan | None:
        self.children([(self.schema.root, wanted)])
        for at, schema, asked, optional in self.todo:  # it grows while it is walked
            self.nodes[at] = self.node(schema, asked, optional)
            if len(self.nodes) > NODES_MAX:
                return None
        if len({leaf.path for leaf in self.leaves}) < len(self.leaves):
            return None
        return Plan(np.array(self.nodes, np.int32), self.leaves)

    def children(self, schemas: Sequence[tuple[Any, Mapping[Path, Path]]], *, optional: bool = False) -> int:
        first = len(self.nodes)
        self.nodes += [(0, -1, 0, 0)] * len(schemas)
        self.todo += [(first + i, *each, optional) for i, each in enumerate(schemas)]
        return first

    def node(self, schema: Any, wanted: Mapping[Path, Path], optional: bool) -> tuple[int, int, int, int]:  # noqa: FBT001
        name, attributes = self.schema.resolved(schema)
        kind = KINDS[name]
        match name:
            case "record":
                return (kind, -1, *self.fields(attributes, wanted, optional=optional))
            case "union":
                branches = [(branch, wanted) for branch in attributes["types"]]
                return (kind, -1, self.children(branches, optional=True), len(branches))
            case "array":
                items = attributes["items"]
                return (kind, -1, self.children([(items, {})]), int(self.schema.takes_bytes(items)))
            case "map":
                return (kind, -1, self.children([(attributes["values"], {})]), 0)
        slot = -1
        if () in wanted and name != "null":
            slot = len(self.leaves)
            self.leaves.append(Leaf(wanted[()], name, attributes, optional))
        return (kind, slot, 0, attributes["size"] if name == "fixed" else len(attributes.get("symbols", ())))

    def fields(self, attributes: dict[str, Any], wanted: Mapping[Path, Path], *, optional: bool) -> tuple[int, int]:
        """Return where the fields of a record begin, and how many there are; those of type null take no bytes."""
        if not wanted and attributes["name"] in self.known:
            return self.known[attributes["name"]]
        fields = [
            (each["type"], {rest[1:]: path for rest, path in wanted.items() if rest[:1] == (each["name"],)})
            for each in attributes["fields"]
            if self.schema.resolved(each["type"])[0] != "null"
        ]
        place = self.children(fields, optional=optional), len(fields)
        if not wanted:
            self.known[attributes["name"]] = place
        return place
