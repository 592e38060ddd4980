"""The mapped fields of plain JSON records, read in one pass by a compiled kernel (``json_fields.c``).

Law: what the kernel reads of a record is what ``canonical.decoders.json`` would; what it does not read, it leaves to
that module. Where the kernel was not compiled, it reads nothing.

The kernel gives columns at once: numbers as float64, instants as microseconds, texts as codes of the batch's
distinct texts, so that no object is made for a record.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.mapping.fields import numeric_fields
from canonical.records import RawRecords

LIBRARY: Final = Path(__file__).with_name("kernel.so")
KEYS_MAX: Final = 64
DEPTH_MAX: Final = 64
"""Bounds of the kernel; mappings beyond them are left to the other decoder."""

_TEXT, _NUMBER, _INSTANT, _OBJECT = 1, 2, 3, 4
_UTC_INSTANT, _LOCAL_INSTANT = 1, 2

_POINTER: Final = ctypes.c_void_p
_NUMBER64: Final = ctypes.c_int64


class _Job(ctypes.Structure):
    """``struct job`` of json_fields.c, member by member."""

    _fields_ = (
        ("data", _POINTER),
        ("starts", _POINTER),
        ("ends", _POINTER),
        ("size", _NUMBER64),
        ("rows", _NUMBER64),
        ("names", _POINTER),
        ("keys", _POINTER),
        ("nodes", _POINTER),
        ("record_bytes_max", _NUMBER64),
        ("depth_max", _NUMBER64),
        ("buckets", _NUMBER64),
        ("code", _POINTER),
        ("table", _POINTER),
        ("text_at", _POINTER),
        ("text_length", _POINTER),
        ("distinct", _POINTER),
        ("number", _POINTER),
        ("instant_us", _POINTER),
        ("instant_zone", _POINTER),
        ("read", _POINTER),
    )


def _compiled() -> Any:
    """Return the kernel's function, None where there is none."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if _NUMBER64.in_dll(library, "job_bytes").value != ctypes.sizeof(_Job):
            return None  # compiled from another release
    except (OSError, ValueError):
        return None
    function = library.read_fields
    function.restype = _NUMBER64
    function.argtypes = (ctypes.POINTER(_Job), _POINTER)
    return function


_READ: Final = _compiled()


def parse_plain(mapping: PlantMapping, records: RawRecords) -> Parsed | None:
    """Project the mapped fields of the records the kernel can read; None where it cannot read this mapping at all."""
    plan = _planned(mapping) if _READ is not None and len(records) else None
    return None if plan is None else _Reading(plan, mapping, records).parsed()


@dataclass(slots=True)
class _Plan:
    """Keys to look for, as the kernel takes them: int32[k, 4] of name, length, kind, slot, and int32[n, 2] nodes."""

    names: bytes
    keys: NDArray[np.int32]
    nodes: NDArray[np.int32]
    texts: list[str]
    numbers: list[str]
    instants: list[str]


def _planned(mapping: PlantMapping) -> _Plan | None:
    numeric = numeric_fields(mapping.time.format)
    iso = mapping.time.format == "iso8601"
    columns: dict[int, list[str]] = {_TEXT: [], _NUMBER: [], _INSTANT: []}
    tree: dict[str, Any] = {}
    for field, source in mapping.paths.items():
        kind = _NUMBER if field in numeric else _INSTANT if iso and field in ("occurred", "recorded") else _TEXT
        at = tree
        for step in source.path.split(".")[:-1]:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                return None  # one path leads through another's value
        if at.setdefault(source.path.rpartition(".")[2], (kind, len(columns[kind]))) != (kind, len(columns[kind])):
            return None  # two fields are read from one place
        columns[kind].append(field)
    names = b""
    keys: list[tuple[int, int, int, int]] = []
    nodes: list[tuple[int, int]] = []
    todo = [tree]
    for node in todo:  # it grows while it is walked
        nodes.append((len(keys), len(node)))
        for name, value in node.items():
            kind, slot = (_OBJECT, len(todo)) if isinstance(value, dict) else value
            if kind == _OBJECT:
                todo.append(value)
            keys.append((len(names), len(name.encode()), kind, slot))
            names += name.encode()
    if len(keys) > KEYS_MAX or mapping.limits.depth_max > DEPTH_MAX:
        return None
    return _Plan(names, np.array(keys, np.int32), np.array(nodes, np.int32), *columns.values())


class _Reading:
    """One call of the kernel and what it found."""

    def __init__(self, plan: _Plan, mapping: PlantMapping, records: RawRecords) -> None:
        rows = len(records)
        texts, numbers, instants = len(plan.texts), len(plan.numbers), len(plan.instants)
        buckets = 1 << (2 * rows - 1).bit_length()
        self.plan, self.records = plan, records
        self.code = np.full((texts, rows), -1, np.int32)
        self.text_at = np.empty((texts, rows), np.int64)
        self.text_length = np.empty((texts, rows), np.int64)
        self.distinct = np.zeros(texts, np.int64)
        self.number = np.full((numbers, rows), np.nan)
        self.instant_us = np.zeros((instants, rows), np.int64)
        self.instant_zone = np.zeros((instants, rows), np.uint8)
        self.read = np.empty(rows, np.uint8)
        # What the job points to must outlive the call, which is why each array has a name.
        body = np.frombuffer(records.data, np.uint8)
        starts, ends = np.ascontiguousarray(records.starts, np.int64), np.ascontiguousarray(records.ends, np.int64)
        names = np.frombuffer(plan.names or b"\0", np.uint8)
        table = np.full((texts, buckets), -1, np.int32)
        expected = np.zeros((len(plan.nodes), KEYS_MAX), np.uint8)
        job = _Job(
            data=_address(body),
            starts=_address(starts),
            ends=_address(ends),
            size=len(body),
            rows=rows,
            names=_address(names),
            keys=_address(plan.keys),
            nodes=_address(plan.nodes),
            record_bytes_max=mapping.limits.record_bytes_max,
            depth_max=mapping.limits.depth_max,
            buckets=buckets,
            code=_address(self.code),
            table=_address(table),
            text_at=_address(self.text_at),
            text_length=_address(self.text_length),
            distinct=_address(self.distinct),
            number=_address(self.number),
            instant_us=_address(self.instant_us),
            instant_zone=_address(self.instant_zone),
            read=_address(self.read),
        )
        _READ(ctypes.byref(job), _address(expected))

    def parsed(self) -> Parsed:
        """Return the rows that were read; a row whose instant is written unlike the others' was not."""
        plan, read = self.plan, self.read.view(np.bool_)
        local: dict[str, bool] = {}
        for name, zone in zip(plan.instants, self.instant_zone, strict=True):
            local[name] = bool((zone == _LOCAL_INSTANT).any()) and not (zone == _UTC_INSTANT).any()
            if not local[name]:
                read &= zone != _LOCAL_INSTANT
        rows = None if read.all() else np.flatnonzero(read)
        fields: dict[str, pa.Array] = {}
        for i, name in enumerate(plan.texts):
            fields[name] = self._text(i, rows)
        for name, number in zip(plan.numbers, self.number, strict=True):
            fields[name] = _nullable(number if rows is None else number[rows])
        for i, name in enumerate(plan.instants):
            us, zone = self.instant_us[i], self.instant_zone[i]
            us, zone = (us, zone) if rows is None else (us[rows], zone[rows])
            none = zone == 0
            values = pa.array(us, pa.int64(), mask=none if none.any() else None)
            fields[name] = values.view(pa.timestamp("us") if local[name] else pa.timestamp("us", "UTC"))
        kept = np.arange(len(read), dtype=np.int32) if rows is None else rows.astype(np.int32)
        return Parsed(pa.array(kept, pa.int32()), {name: fields[name] for name in _order(plan)})

    def _text(self, column: int, rows: NDArray[np.intp] | None) -> pa.DictionaryArray:
        count = int(self.distinct[column])
        data, starts = self.records.data, self.text_at[column, :count]
        ends = starts + self.text_length[column, :count]
        distinct = [data[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        code = self.code[column] if rows is None else self.code[column, rows]
        absent = code < 0
        indices = pa.array(code, pa.int32(), mask=absent if absent.any() else None)
        return pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.string()))


def _order(plan: _Plan) -> list[str]:
    return [*plan.texts, *plan.numbers, *plan.instants]


def _nullable(number: NDArray[np.float64]) -> pa.Array:
    absent = np.isnan(number)
    return pa.array(number, pa.float64(), mask=absent if absent.any() else None)


def _address(array: NDArray[Any]) -> int:
    return int(array.ctypes.data)
