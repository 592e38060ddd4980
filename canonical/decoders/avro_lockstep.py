"""Avro binary data decoded in lockstep: one field of every record at a time, on columns.

Law: what a record becomes depends on its own bytes and its writer schema only. Every record has its
own cursor, which never leaves the record; one that would is a fault of that record alone, so
there is no stream to lose step with, and lengths are checked before anything is allocated.

Source: Avro 1.12 specification, Binary Encoding; fastavro is the reference in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.decoders.lines import spans
from canonical.writer_schema import Path, WriterSchema

Index = NDArray[np.int64]
Part = tuple[Index, pa.Array]
"""Values and the records they are of."""
Found = dict[Path, list[Part]]
"""By path, the values that records have there, in parts of one type each."""

ITEMS_MAX: Final = 10_000
"""Items in the arrays and maps of one record, and records within it; one with more is refused as OVERSIZE."""

DECIMAL_BYTES_MAX: Final = 128
"""Of a decimal: what is longer is beyond float64, and takes time that grows with its square."""

_VARINT_BYTES_MAX: Final = 10
_HIGH_BITS: Final = np.uint64(0x8080808080808080)
_INT_MAX: Final = 2**31 - 1
_TIMESTAMPS: Final[Mapping[str, pa.DataType]] = {
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
}


class Lockstep:
    """Cursors of RAW[n] and the first fault of each record."""

    def __init__(self, data: bytes, starts: IntColumn, ends: IntColumn, schema: WriterSchema, depth_max: int) -> None:
        self.data = data
        padded = data + bytes(_VARINT_BYTES_MAX)  # so that a number can be looked for at the very end
        self.body = np.frombuffer(padded, np.uint8)
        self.words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))  # the eight bytes from each byte on
        self.at = starts.copy()
        self.ends = ends
        self.schema = schema
        self.depth_max = depth_max
        self.items = np.zeros(len(starts), np.int64)
        self.faults: dict[int, tuple[FaultCode, str]] = {}
        self.faulty = np.zeros(len(starts), np.bool_)

    def decode(self, paths: set[Path]) -> Found:
        """Read every record to its end and return the values at these paths."""
        rows = np.arange(len(self.at))
        found = self._value(self.schema.root, rows, {path: path for path in paths}, 1)
        left = self.ends - self.at
        self._refuse(rows[left != 0], FaultCode.MALFORMED, "bytes are left over behind the record")
        return found

    def _refuse(self, rows: Index, code: FaultCode, detail: str) -> None:
        for row in rows.tolist():
            self.faults.setdefault(row, (code, detail))
        # A faulty record is read no further: its cursor stands at its end, where nothing can be read.
        self.at[rows] = self.ends[rows]
        self.faulty[rows] = True

    def _value(self, schema: Any, rows: Index, wanted: Mapping[Path, Path], depth: int) -> Found:
        """Read one value of each of these rows; ``wanted`` maps what remains of each path to the path."""
        kind, attributes = self.schema.resolved(schema)
        if kind == "record":
            return self._record(attributes["fields"], rows, wanted, depth)
        if kind == "union":
            return self._union(attributes["types"], rows, wanted, depth)
        if kind in {"array", "map"}:
            self._blocks(kind, attributes, rows, depth)
            return {}
        if kind == "null":
            return {}
        values = self._scalar(kind, attributes, rows, asked=() in wanted)
        return {} if values is None else {wanted[()]: [(rows, values)]}

    def _record(self, fields: list[dict[str, Any]], rows: Index, wanted: Mapping[Path, Path], depth: int) -> Found:
        if depth > self.depth_max:
            self._refuse(rows, FaultCode.DEEP_NESTING, f"more than {self.depth_max} levels")
            return {}
        if depth > 1:
            self.items[rows] += 1
            self._refuse_many(rows)
        found: Found = {}
        for field in fields:
            inner = {rest[1:]: path for rest, path in wanted.items() if rest[:1] == (field["name"],)}
            found |= self._value(field["type"], rows, inner, depth + 1)
        return found

    def _union(self, branches: list[Any], rows: Index, wanted: Mapping[Path, Path], depth: int) -> Found:
        chosen = self._long(rows)
        unknown = (chosen < 0) | (chosen >= len(branches))
        if unknown.any():
            self._refuse(rows[unknown], FaultCode.MALFORMED, f"a union has {len(branches)} branches, and not this one")
        found: Found = {}
        for branch, schema in enumerate(branches):
            which = rows[chosen == branch]
            if len(which):
                for path, parts in self._value(schema, which, wanted, depth).items():
                    found.setdefault(path, []).extend(parts)
        return found

    def _blocks(self, kind: str, attributes: dict[str, Any], rows: Index, depth: int) -> None:
        """Pass over the items of arrays and maps."""
        if depth > self.depth_max:
            self._refuse(rows, FaultCode.DEEP_NESTING, f"more than {self.depth_max} levels")
            return
        inner = attributes["values" if kind == "map" else "items"]
        active = np.arange(len(rows))
        while len(active):
            counts = self._long(rows[active])
            # A negative count comes with the size of the block, which must be the size of its items.
            sized = np.flatnonzero(counts < 0)
            sizes = self._long(rows[active[sized]])
            expected = self.at[rows[active[sized]]] + sizes
            counts = np.minimum(np.where(counts < -ITEMS_MAX, ITEMS_MAX + 1, np.abs(counts)), ITEMS_MAX + 1)
            self.items[rows[active]] += counts
            many = self._refuse_many(rows[active])
            left = np.where(many, 0, counts)
            item = 0
            if kind == "array" and not self.schema.takes_bytes(inner):
                item = ITEMS_MAX  # there is nothing to pass over
            while len(some := active[(left > item) & ~self.faulty[rows[active]]]):
                if kind == "map":
                    self._scalar("string", {}, rows[some], asked=False)
                self._value(inner, rows[some], {}, depth + 1)
                item += 1
            other = sized[self.at[rows[active[sized]]] != expected]
            if len(other):
                self._refuse(rows[active[other]], FaultCode.MALFORMED, "a block is not of the size it states")
            # A record that breaks off here, or did before, has no count to read and is done.
            active = active[left > 0]

    def _refuse_many(self, rows: Index) -> NDArray[np.bool_]:
        """Refuse those of these rows that hold too much, and return which these are."""
        many: NDArray[np.bool_] = self.items[rows] > ITEMS_MAX
        if many.any():
            self._refuse(rows[many], FaultCode.OVERSIZE, f"more than {ITEMS_MAX} items and records")
        return many

    def _scalar(self, kind: str, attributes: dict[str, Any], rows: Index, *, asked: bool) -> pa.Array | None:
        if kind in {"int", "long"}:
            return self._whole(kind, attributes, rows, asked=asked)
        if kind == "enum":
            chosen, symbols = self._long(rows), attributes["symbols"]
            unknown = (chosen < 0) | (chosen >= len(symbols))
            if unknown.any():
                self._refuse(
                    rows[unknown], FaultCode.MALFORMED, f"an enum has {len(symbols)} symbols, and not this one"
                )
                chosen = np.where(unknown, 0, chosen)
            return pa.array(symbols, pa.string()).take(pa.array(chosen)) if asked else None
        if kind == "boolean":
            values = self._fixed(rows, 1)[:, 0]
            if (values > 1).any():
                self._refuse(rows[values > 1], FaultCode.MALFORMED, "a boolean is 0 or 1")
            return pa.array(values == 1) if asked else None
        if kind in {"float", "double"}:
            width = 4 if kind == "float" else 8
            numbers = self._fixed(rows, width).view(f"<f{width}")[:, 0]
            return pa.array(numbers) if asked else None
        size = np.full(len(rows), attributes["size"], np.int64) if kind == "fixed" else self._long(rows)
        starts, ends = self._advance(rows, size)
        if not asked:
            return None
        if attributes.get("logicalType") == "decimal":
            return self._decimals(rows, starts, ends, attributes.get("scale", 0))
        return self._texts(rows, starts, ends)

    def _whole(self, kind: str, attributes: dict[str, Any], rows: Index, *, asked: bool) -> pa.Array | None:
        numbers = self._long(rows)
        if kind == "int" and ((numbers > _INT_MAX) | (numbers < -_INT_MAX - 1)).any():
            wide = (numbers > _INT_MAX) | (numbers < -_INT_MAX - 1)
            self._refuse(rows[wide], FaultCode.MALFORMED, "an int has more than 32 bits")
        if not asked:
            return None
        timestamp = _TIMESTAMPS.get(attributes.get("logicalType", ""))
        return pa.array(numbers) if timestamp is None else pa.array(numbers).view(timestamp)

    def _long(self, rows: Index) -> IntColumn:
        """Read a zig-zag varint of each row; 0 for a row with a fault."""
        at = self.at[rows]
        first = self.words[at]
        # The lowest high bit that is not set ends the number; mask covers the bytes up to it.
        stops = ~first & _HIGH_BITS
        mask = stops ^ (stops - np.uint64(1))
        size = (np.bitwise_count(mask) >> 3).astype(np.int64)
        value = _compressed(first & mask & ~_HIGH_BITS)
        long = stops == 0
        if long.any():
            which = np.flatnonzero(long)
            ninth, tenth = self.body[at[which] + 8], self.body[at[which] + 9]
            ten = ninth > 0x7F
            value[which] |= (ninth & np.uint8(0x7F)).astype(np.uint64) << np.uint64(56)
            value[which] |= np.where(ten, tenth & np.uint8(1), np.uint8(0)).astype(np.uint64) << np.uint64(63)
            size[which] = 9 + ten
            wide = which[ten & (tenth > 1) & (at[which] + 10 <= self.ends[rows[which]])]
            if len(wide):
                self._refuse(rows[wide], FaultCode.MALFORMED, "a number has more than 64 bits")
                value[wide], size[wide] = 0, 0
        after = at + size
        cut = after > self.ends[rows]
        if cut.any():
            self._refuse(rows[cut], FaultCode.TRUNCATED, "the record ends inside a number")
            value[cut] = 0
            after[cut] = self.ends[rows[cut]]
        if long.any():
            after = np.where(size == 0, self.ends[rows], after)
        self.at[rows] = after
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def _advance(self, rows: Index, size: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Pass over ``size`` bytes of each row and return where they lie; none for a row with a fault."""
        starts = self.at[rows]
        left = self.ends[rows] - starts
        if (size < 0).any():
            self._refuse(rows[size < 0], FaultCode.MALFORMED, "a length is negative")
        if (size > left).any():
            self._refuse(rows[size > left], FaultCode.TRUNCATED, "the record ends inside a value")
        ends = starts + np.where((size < 0) | (size > left), 0, size)
        good = (size >= 0) & (size <= left)
        self.at[rows[good]] = ends[good]
        return starts, ends

    def _fixed(self, rows: Index, size: int) -> NDArray[np.uint8]:
        """Read ``size`` bytes of each row; zeros for a row with a fault."""
        starts, ends = self._advance(rows, np.full(len(rows), size, np.int64))
        at = np.where(ends > starts, starts, 0)
        taken = np.zeros((len(rows), size), np.uint8)
        good = ends > starts
        taken[good] = self.body[at[good, None] + np.arange(size)]
        return taken

    def _texts(self, rows: Index, starts: IntColumn, ends: IntColumn) -> pa.Array:
        texts = spans(self.data, starts, ends)
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            for i in range(len(rows)):
                try:
                    self.data[starts[i] : ends[i]].decode()
                except UnicodeDecodeError:
                    self._refuse(rows[i : i + 1], FaultCode.NOT_UTF8, "a text is not UTF-8")
                    ends[i] = starts[i]
            texts = spans(self.data, starts, ends)
        return texts

    def _decimals(self, rows: Index, starts: IntColumn, ends: IntColumn, scale: int) -> pa.Array:
        """Return decimals as exact text."""
        long = ends - starts > DECIMAL_BYTES_MAX
        if long.any():
            self._refuse(rows[long], FaultCode.OVERSIZE, f"a decimal has more than {DECIMAL_BYTES_MAX} bytes")
            ends = np.where(long, starts, ends)
        spanned = zip(starts.tolist(), ends.tolist(), strict=True)
        numbers = (int.from_bytes(self.data[start:end], "big", signed=True) for start, end in spanned)
        return pa.array([f"{number}e-{scale}" for number in numbers], pa.string())


def _compressed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the low seven bits of the eight bytes of each word side by side."""
    for low, high, shift in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    ):
        words = (words & np.uint64(low)) | ((words & np.uint64(high)) >> np.uint64(shift))
    return words
