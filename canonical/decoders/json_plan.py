"""What the JSON kernel looks for in the records of a plant: ``struct field`` and ``struct node`` of json_fields.c."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canonical.columns import DEFAULTS
from canonical.decoders.quantities import COUNTER_MAX, sequence_max
from canonical.kernel import INT32, INT64, POINTER
from canonical.mapping import PlantMapping
from canonical.mapping.fields import DURATION_FIELDS, DURATION_US, ENERGY_MWH, EPOCH_US, QUANTITY_FIELDS, TEXT_FIELDS
from canonical.mapping.reads import Kind

FIELDS_MAX: Final = 64
DEPTH_MAX: Final = 64
"""Bounds of the kernel; mappings beyond them are left to the other decoder."""

TEXT, SPAN, EXACT, ROUNDED, EPOCH, INSTANT, OBJECT, NUMBER, TRUTH = range(9)
"""``enum kind``: how the value of a field is read."""

_NAMES_MAX: Final = 64
_NAME_WORDS: Final = 4
_NAME_CHARACTERS_REFUSED: Final = frozenset('"\\') | {chr(c) for c in range(32)}


class _Date(ctypes.Structure):
    _fields_ = (("first", ctypes.c_uint64), ("last", ctypes.c_uint64), ("day_us", INT64))


class Field(ctypes.Structure):
    """``struct field``, member by member."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("length", INT64),
        ("kind", INT64),
        ("node", INT64),
        ("required", INT64),
        ("absent", INT64),
        ("column", POINTER),
        ("lengths", POINTER),
        ("zones", POINTER),
        ("zones_met", INT64),
        ("texts", POINTER),
        ("scale", INT64),
        ("most", ctypes.c_double),
        ("first_us", INT64),
        ("last_us", INT64),
        ("date", _Date),
    )


class _Name(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.c_uint64 * _NAME_WORDS),
        ("mask", ctypes.c_uint64 * _NAME_WORDS),
        ("length", INT32),
        ("field", INT32),
    )


class Node(ctypes.Structure):
    """``struct node``, member by member."""

    _fields_ = (("first", INT32), ("fields", INT32), ("count", INT64), ("names", _Name * _NAMES_MAX))


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields and nodes of a mapping; ``targets`` are the columns of the fields that make one as they are."""

    fields: ctypes.Array[Field]
    nodes: ctypes.Array[Node]
    names: tuple[str, ...]
    targets: Mapping[str, str]

    def leaves(self) -> Iterator[tuple[str, Field]]:
        """Return the mapped fields, by canonical name."""
        return ((name, field) for name, field in zip(self.names, self.fields, strict=True) if name)

    def of_kind(self, kind: int) -> Iterator[tuple[str, Field]]:
        """Return the mapped fields of this kind."""
        return ((name, field) for name, field in self.leaves() if field.kind == kind)


def planned(mapping: PlantMapping) -> Plan | None:
    """Return what the kernel has to look for; None where it cannot read records of this mapping."""
    tree: dict[str, Any] = {}
    for field, read in mapping.reading.reads.items():
        at = tree
        *steps, last = read.path.split(".")
        for step in steps:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                return None  # one path leads through another's value
        if at.setdefault(last, field) is not field:
            return None  # two fields are read from one place
    fields: list[Field] = []
    names: list[str] = []
    nodes: list[tuple[int, int]] = []
    todo = [tree]
    for node in todo:  # it grows while it is walked
        nodes.append((len(fields), len(node)))
        for key, value in node.items():
            if not _NAME_CHARACTERS_REFUSED.isdisjoint(key):
                return None
            quoted = f'"{key}":'.encode()
            made = Field(name=quoted, length=len(quoted), date=_Date(first=0, last=2**64 - 1))
            if isinstance(value, dict):
                made.kind, made.node = OBJECT, len(todo)
                todo.append(value)
            else:
                _describe(made, mapping, value)
            fields.append(made)
            names.append("" if isinstance(value, dict) else value)
    if len(fields) > FIELDS_MAX or mapping.limits.depth_max > DEPTH_MAX:
        return None
    made_nodes = (Node * len(nodes))(*(Node(first=first, fields=count) for first, count in nodes))
    return Plan((Field * len(fields))(*fields), made_nodes, tuple(names), _targets(mapping))


def _describe(field: Field, mapping: PlantMapping, name: str) -> None:
    """Say how the values of a field are read."""
    quantity_max = mapping.limits.quantity_max
    field.absent = -1
    read = mapping.reading.inputs.get(name)
    if read is not None:
        field.kind = _INPUTS[read.kind] if read.kind is not Kind.TEXT or read.repeats else SPAN
        field.absent = _NO_NUMBER if field.kind == NUMBER else -1
    elif name in ("occurred", "recorded"):
        field.required = name == "occurred"
        how = mapping.time.format
        field.kind = EPOCH if how in EPOCH_US else INSTANT if how == "iso8601" else SPAN
        field.scale = EPOCH_US.get(how, 1)
    elif name in TEXT_FIELDS or name == "type":
        field.kind = TEXT
    elif name == "seq":
        field.kind, field.scale, field.most = EXACT, 1, sequence_max(mapping.sequencing.modulus)
        field.required = mapping.sequencing.mode == "number"
    elif name in QUANTITY_FIELDS:
        field.kind, field.scale = EXACT, 1_000
        field.most = min(COUNTER_MAX if name.endswith("_counter") else quantity_max, COUNTER_MAX)
        field.absent = DEFAULTS[name][1]
    elif name == "event_id":
        field.kind = SPAN
    else:
        units, default = (ENERGY_MWH, "Wh") if name == "energy" else (DURATION_US, "s")
        field.kind, field.absent, field.scale = ROUNDED, 0, units[mapping.paths[name].unit or default]  # type: ignore[index]
        field.most = min(quantity_max * units[default] / field.scale, 2**53 / field.scale)


_INPUTS: Final = {Kind.TEXT: TEXT, Kind.NUMBER: NUMBER, Kind.TRUTH: TRUTH}
_NO_NUMBER: Final = int(np.array(np.nan).view(np.int64))


def _targets(mapping: PlantMapping) -> Mapping[str, str]:
    targets = {name: f"{name}_us" for name in ("occurred", "recorded", *DURATION_FIELDS)}
    targets |= {name: name for name in QUANTITY_FIELDS} | {"energy": "energy_mwh"}
    return targets | ({"seq": "seq"} if mapping.sequencing.mode == "number" else {})
