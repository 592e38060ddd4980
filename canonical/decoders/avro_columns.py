"""Avro records of one schema straight into canonical columns, by the compiled kernel.

Law: what is read of a record is what ``parse_avro`` and ``canonicalise`` make of it; one with a fault is not read.
Whatever needs more is left to them: a mapping that identifies records by their content, texts that are times or
numbers, decimals, local times, fields of several types.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import DEFAULTS, CodeColumn, Column, IntColumn, Vocabulary
from canonical.decoders import avro_kernel
from canonical.decoders.avro_kernel import CODED, EXACT, ROUNDED, SYMBOL, WHOLE, WRITTEN
from canonical.decoders.avro_plan import Leaf, Plan, plan
from canonical.decoders.canonicalise import YEAR_1_US
from canonical.decoders.coding import TEXT_MAX, Coding, coding, constant_code
from canonical.decoders.instants import time_bounds
from canonical.decoders.known_texts import REFUSED, KnownTexts
from canonical.decoders.quantities import COUNTER_MAX, SEQUENCE_MAX
from canonical.kernel import address
from canonical.mapping import PlantMapping
from canonical.mapping.fields import DURATION_FIELDS, DURATION_US, ENERGY_MWH, EPOCH_US, QUANTITY_FIELDS, TEXT_FIELDS
from canonical.writer_schema import WriterSchema

SYMBOLS_MAX: Final = 256
"""The symbols of an enum are all given codes; one with more is left."""

_READERS_MAX: Final = 64
"""Schemas of which a shard keeps a reader: files may bring any number of them."""
_INT64_MAX: Final = 2**63 - 1
_FLOAT_EXACT: Final = 2**53
_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    "timestamp-millis": (1_000, 1),
    "timestamp-micros": (1, 1),
    "timestamp-nanos": (1, 1_000),
}
"""Microseconds in a count of a logical type, as a fraction."""
_LOGICAL: Final = frozenset({*_COUNTS, *(f"local-{name}" for name in _COUNTS)})
_TIMES: Final = {"occurred": "occurred_us", "recorded": "recorded_us"}
_NAMED: Final = frozenset({"plant", "source"})
"""Texts that must not be empty."""
_PAGE_ITEMS: Final = 512
_STAGGER_ITEMS: Final = 40
_REQUIRED: Final = frozenset({"plant", "source", "seq", "occurred"})


class Unfit(Exception):
    """The kernel cannot read this schema for this mapping."""


@dataclass(slots=True)
class _Filled:
    """A column of the events that the kernel fills: its name, dtype, and what stands where a record has no value."""

    name: str
    absent: int
    texts: KnownTexts | None = None


@dataclass(slots=True)
class _Kept:
    """What is kept from batch to batch; the mapping too, so that its id stays its own."""

    mapping: PlantMapping
    texts: dict[str, KnownTexts] = field(default_factory=dict)
    readers: dict[WriterSchema, SchemaReader | None] = field(default_factory=dict)


class SchemaReader:
    """Reads records of one schema; keeps the texts it has met. Raises: Unfit."""

    def __init__(
        self, mapping: PlantMapping, vocabulary: Vocabulary, schema: WriterSchema, texts: dict[str, KnownTexts]
    ) -> None:
        self._mapping, self._vocabulary, self._texts = mapping, vocabulary, texts
        self._symbols: list[NDArray[np.int32]] = []  # what columns point to
        self._plan, names = self._planned(schema)
        self._columns = (avro_kernel.Column * len(names))()
        self._filled = [
            self._field(name, leaf, self._columns[i])
            for i, (name, leaf) in enumerate(zip(names, self._plan.leaves, strict=True))
        ]
        self._required = sum(1 << i for i, name in enumerate(names) if self._is_required(name))
        self._same = self._constants(names)

    def read(
        self, data: bytes, starts: IntColumn, ends: IntColumn, now_us: int
    ) -> tuple[dict[str, Column], NDArray[np.bool_]]:
        """Return the columns, and which records were read; the rows of the others hold nothing of meaning."""
        rows = len(starts)
        columns: dict[str, Column] = {}
        texts: list[tuple[KnownTexts, CodeColumn, Coding]] = []
        # Columns are written side by side, so they must not begin at the same place of a page: it would be the same
        # place of the processor's cache.
        wide = np.empty((len(self._filled), -(-rows // _PAGE_ITEMS) * _PAGE_ITEMS + _STAGGER_ITEMS), np.int64)
        for i, (filled, column) in enumerate(zip(self._filled, self._columns, strict=True)):
            coded = column.role in (CODED, SYMBOL, WRITTEN)
            values: Column = wide[i].view(np.int32)[:rows] if coded else wide[i, :rows]
            columns[filled.name] = values
            column.values = address(values)
            if coded or (self._plan.leaves[i].optional and not self._required >> i & 1):
                values[:] = filled.absent
            if filled.texts is not None:
                how = coding(self._mapping, self._vocabulary, filled.name)
                texts.append((filled.texts, values, how))
            if filled.name in _TIMES.values():
                self._within(column, now_us)
        depth_max = self._mapping.limits.depth_max
        read = avro_kernel.read_records(self._plan, self._columns, self._required, texts, data, starts, ends, depth_max)
        columns |= {name: np.full(rows, code, DEFAULTS[name][0]) for name, code in self._same.items()}
        columns["type"] = columns["type"].astype(np.int8)
        return columns, read

    # -- the plan ------------------------------------------------------------------------------

    def _planned(self, schema: WriterSchema) -> tuple[Plan, list[str]]:
        """Return the plan and the names of its fields, in the order of its leaves."""
        names: dict[tuple[str, ...], str] = {}
        for name, source in self._mapping.paths.items():
            if names.setdefault(tuple(source.path.split(".")), str(name)) != name:
                raise Unfit("two fields come from one place")
        planned = plan(schema, frozenset(names))
        if planned is None or len(planned.leaves) > avro_kernel.COLUMNS_MAX:
            raise Unfit("the schema is too much for the kernel")
        if self._mapping.sequencing.mode != "number":
            raise Unfit("records are told apart by content")
        return planned, [names[leaf.path] for leaf in planned.leaves]

    def _is_required(self, name: str) -> bool:
        return name in _REQUIRED or (name == "type" and self._mapping.default_type is None)

    def _constants(self, names: list[str]) -> dict[str, int]:
        """Return the codes of the text columns that no leaf fills. Raises: Unfit where a required field has none."""
        mapped = {str(name) for name in self._mapping.paths}
        constant = {
            name: constant_code(self._mapping, self._vocabulary, name)
            for name in (*TEXT_FIELDS, "type")
            if name not in names
        }
        if any(self._is_required(name) for name in mapped - set(names)) or constant.get("type", 0) == -1:
            raise Unfit("a field is missing that every record must have")
        return {name: code for name, code in constant.items() if code is not None}

    # -- columns -------------------------------------------------------------------------------

    def _field(self, name: str, leaf: Leaf, column: avro_kernel.Column) -> _Filled:
        column.low, column.high, column.factor, column.divisor = -_INT64_MAX - 1, _INT64_MAX, 1, 1
        if name in TEXT_FIELDS or name == "type":
            return self._text(name, leaf, column)
        if name in _TIMES:
            return self._time(name, leaf, column)
        if name == "seq":
            modulus = self._mapping.sequencing.modulus
            return self._number(name, leaf, column, 1, SEQUENCE_MAX if modulus is None else modulus - 1)
        limit: float = self._mapping.limits.quantity_max
        if name in QUANTITY_FIELDS:
            limit = COUNTER_MAX if name.endswith("_counter") else min(limit, COUNTER_MAX)
            return self._number(name, leaf, column, 1_000, limit)
        unit = self._mapping.paths[name].unit  # type: ignore[index]
        units, default, target = (
            (DURATION_US, "s", f"{name}_us") if name in DURATION_FIELDS else (ENERGY_MWH, "Wh", "energy_mwh")
        )
        scale = units[unit or default]
        largest = min(limit * units[default] / scale, _FLOAT_EXACT / scale)
        return self._number(target, leaf, column, scale, largest, rounded=True)

    def _number(
        self, name: str, leaf: Leaf, column: avro_kernel.Column, factor: int, largest: float, *, rounded: bool = False
    ) -> _Filled:
        if leaf.kind in {"int", "long"} and leaf.attributes.get("logicalType") not in _LOGICAL:
            column.role, column.low, column.high = WHOLE, 0, math.floor(largest)
        elif leaf.kind in {"float", "double"}:
            column.role, column.largest = ROUNDED if rounded else EXACT, largest
        else:
            raise Unfit(f"{name} is no number")
        column.factor = factor
        return _Filled(name, DEFAULTS[name][1])

    def _time(self, name: str, leaf: Leaf, column: avro_kernel.Column) -> _Filled:
        scale_us = EPOCH_US.get(self._mapping.time.format)
        logical = leaf.attributes.get("logicalType", "")
        if leaf.kind in {"int", "long"} and logical in _COUNTS:
            column.role = WHOLE
            column.factor, column.divisor = _COUNTS[logical]
        elif scale_us is not None and leaf.kind in {"int", "long"} and logical not in _LOGICAL:
            column.role, column.factor = WHOLE, scale_us
        elif scale_us is not None and scale_us > 1 and leaf.kind in {"float", "double"}:
            column.role, column.factor, column.largest = ROUNDED, scale_us, _FLOAT_EXACT / scale_us
        else:
            raise Unfit(f"{name} is no count of an instant")
        return _Filled(_TIMES[name], DEFAULTS[_TIMES[name]][1])

    def _within(self, column: avro_kernel.Column, now_us: int) -> None:
        """Bound an instant; what is farther away than float64 can tell is left."""
        first, last = time_bounds(self._mapping, now_us)
        first, last = max(first, YEAR_1_US, -_FLOAT_EXACT), min(last, _FLOAT_EXACT)
        if column.role == WHOLE:
            # Counts whose microseconds, rounded down, are first at least and last at most.
            first = -(-first * column.divisor // column.factor)
            last = (last * column.divisor + column.divisor - 1) // column.factor
        column.low, column.high = first, last

    def _text(self, name: str, leaf: Leaf, column: avro_kernel.Column) -> _Filled:
        meant = coding(self._mapping, self._vocabulary, name)
        if leaf.kind == "enum":
            column.role = SYMBOL
            self._symbols.append(_symbol_codes(meant, leaf.attributes["symbols"], named=name in _NAMED))
            column.symbols = self._symbols[-1].ctypes.data
            return _Filled(name, meant.absent)
        if leaf.kind in {"string", "bytes", "fixed"} and leaf.attributes.get("logicalType") != "decimal":
            column.role = CODED
        elif leaf.kind in {"int", "long"} and leaf.attributes.get("logicalType") not in _LOGICAL:
            column.role = WRITTEN
        else:
            raise Unfit(f"{name} is no text")
        if name not in self._texts:
            self._texts[name] = KnownTexts(meant.absent, required=name in _NAMED)
        column.texts = ctypes.addressof(self._texts[name].layout)
        return _Filled(name, meant.absent, self._texts[name])


def _symbol_codes(meant: Coding, symbols: list[str], *, named: bool) -> NDArray[np.int32]:
    """Return the code of each symbol of an enum, below 0 for one that makes a fault."""
    if len(symbols) > SYMBOLS_MAX or max(map(len, symbols)) > TEXT_MAX:
        raise Unfit("an enum has too many symbols, or too long ones")
    codes = meant.codes([symbol or "?" for symbol in symbols])
    codes[[not symbol for symbol in symbols]] = meant.absent
    if named:
        codes[codes == 0] = REFUSED
    return codes


def schema_reader(mapping: PlantMapping, vocabulary: Vocabulary, schema: WriterSchema) -> SchemaReader | None:
    """Return what reads records of a schema into columns; the same one for the same vocabulary. None: nothing does."""
    if not avro_kernel.is_compiled():
        return None
    kept: _Kept | None = vocabulary.readers.get(id(mapping))
    if kept is None:
        kept = vocabulary.readers[id(mapping)] = _Kept(mapping)
    if schema not in kept.readers:
        if len(kept.readers) == _READERS_MAX:
            kept.readers.clear()
        try:
            kept.readers[schema] = SchemaReader(mapping, vocabulary, schema, kept.texts)
        except Unfit:
            kept.readers[schema] = None
    return kept.readers[schema]
