"""JSON, one object a record, decoded in bulk by arrow-rs.

Law: what becomes of a record depends on its own bytes only, never on its company. arrow-rs reads a
stream of documents and does not report where each began, so a batch counts only when its records
provably are its rows; anything else is cut down until the records that cannot stand alone are found.

The proof. Between documents arrow-rs accepts nothing but white space, and a document is an object.
In a plain record (``canonical.decoders.json_plain``) every ``{`` but the first follows ``:``, ``,`` or ``[``, so no
document can begin there, wherever the one before ended: n plain records hold at most n documents,
and n documents are exactly the n records. A record that is not plain is checked by a strict parser
and, being one whole document, decoded in bulk with others of its kind.

More lenient than RFC 8259 in plain records: superfluous or absent commas, leading zeros, a point
without digits, and numbers like ``1.2.3`` where no field is mapped. Everywhere: of equal keys the
last counts; a number may come as a string; a byte order mark is skipped.

Escaped surrogate pairs are written out before arrow-rs sees them: it takes the pair of U+20000
for U+10000. Records that hold U+0000 are refused, and never reach arrow-rs: arro3 aborts the process where
an error message quotes it.
"""

from __future__ import annotations

import io
from typing import Any, Final

import arro3.io
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from canonical.decoders.json_plain import suspects
from canonical.decoders.json_strict import form_refusal, is_mistyped, text_at, trimmed, type_refusal, unescaped
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.mapping.reads import Kind
from canonical.records import RawRecords, RowFault

Rows = NDArray[np.int32]
Part = tuple[Rows, pa.RecordBatch]

_CUTS: Final = 8
_SCREENED_ROWS: Final = 256
_BATCH_ROWS: Final = 2_048  # What arrow-rs keeps of so many rows fits the processor's cache: 20 % faster than 16,384.
_DETAIL_MAX: Final = 120


def parse_json(mapping: PlantMapping, records: RawRecords, rows: Rows | None = None) -> Parsed:
    """Project the mapped fields of these rows, or all; a blank record is in neither rows nor faults."""
    if rows is None:
        rows = np.arange(len(records), dtype=np.int32)
    parser = _Parser(mapping, records)
    suspicious = suspects(records, mapping.limits)[rows]
    parts = parser.plain(rows[~suspicious] if suspicious.any() else rows)
    parts += parser.checked(rows[suspicious])
    return parser.parsed(parts)


class _Parser:
    def __init__(self, mapping: PlantMapping, records: RawRecords) -> None:
        self.records = records
        self.limits = mapping.limits
        self.reads = mapping.reading.reads
        self.paths = {name: tuple(read.path.split(".")) for name, read in self.reads.items()}
        self.schema = _schema({self.paths[name]: read.kind for name, read in self.reads.items()})
        self.faults: list[RowFault] = []

    def plain(self, rows: Rows) -> list[Part]:
        """Decode plain records; cut what fails."""
        if not len(rows):
            return []
        batch = self.decoded(_lines(self.records, rows), len(rows))
        if batch is not None:
            return [(rows, batch)]
        if len(rows) == 1:
            self.refuse(int(rows[0]), trimmed(self.records.value(int(rows[0]))))
            return []
        if len(rows) <= _SCREENED_ROWS:
            return self.screened(rows)
        return [part for piece in np.array_split(rows, _CUTS) for part in self.plain(piece)]

    def screened(self, rows: Rows) -> list[Part]:
        """Set the mistyped records among a few aside, which arrow-rs would refuse, and decode the others.

        Finding each by cutting would cost a call or more per level: with many of them, milliseconds a record.
        """
        parts: list[Part] = []
        sound: list[int] = []
        for row in rows.tolist():
            try:
                document = orjson.loads(self.records.value(row))
            except orjson.JSONDecodeError:
                parts += self.plain(np.array([row], np.int32))  # arrow-rs is more lenient, and decides
            else:
                if is_mistyped(document, self.paths, self.reads):
                    self.refuse_type(row, document)
                else:
                    sound.append(row)
        pieces = [np.array(sound, np.int32)] if len(sound) < len(rows) else np.array_split(rows, min(_CUTS, len(rows)))
        return parts + [part for piece in pieces for part in self.plain(piece)]

    def checked(self, rows: Rows) -> list[Part]:
        """Decode records that are not plain, after a strict parser has accepted each."""
        accepted: list[int] = []
        values: list[bytes] = []
        for row in rows.tolist():
            value = trimmed(self.records.value(row))
            if not value:
                continue
            refusal = form_refusal(value, self.limits)
            if refusal is None:
                accepted.append(row)
                values.append(unescaped(value))
            else:
                self.faults.append(RowFault(row, refusal[0], refusal[1][:_DETAIL_MAX]))
        return self.whole(np.array(accepted, np.int32), values)

    def whole(self, rows: Rows, values: list[bytes]) -> list[Part]:
        if not values:
            return []
        batch = self.decoded(b"\n".join(values), len(values))
        if batch is not None:
            return [(rows, batch)]
        if len(values) == 1:
            self.refuse(int(rows[0]), values[0])
            return []
        sound = [i for i, v in enumerate(values) if not is_mistyped(orjson.loads(v), self.paths, self.reads)]
        if len(sound) < len(values):
            for i in sorted(set(range(len(values))) - set(sound)):
                self.refuse_type(int(rows[i]), orjson.loads(values[i]))
            return self.whole(rows[sound], [values[i] for i in sound])
        half = len(values) // 2
        return self.whole(rows[:half], values[:half]) + self.whole(rows[half:], values[half:])

    def decoded(self, lines: bytes, count: int) -> pa.RecordBatch | None:
        """Return ``count`` rows, or None where the lines do not hold as many documents of the schema."""
        if b"\0" in lines:
            return None  # Such records are suspects and refused before; but nothing less than the process is at stake.
        try:
            reader = arro3.io.read_json(io.BytesIO(lines), self.schema, batch_size=min(count, _BATCH_ROWS))
            batch = pa.concat_batches([pa.record_batch(piece) for piece in reader])
        except Exception:  # noqa: BLE001 - arro3 raises Exception itself, for every cause
            return None
        return batch if batch.num_rows == count else None

    def refuse(self, row: int, value: bytes) -> None:
        """Name the fault of a record arrow-rs does not accept."""
        refusal = form_refusal(value, self.limits)
        if refusal is not None:
            self.faults.append(RowFault(row, refusal[0], refusal[1][:_DETAIL_MAX]))
            return
        self.refuse_type(row, orjson.loads(value))

    def refuse_type(self, row: int, document: dict[str, Any]) -> None:
        code, detail = type_refusal(document, self.paths, self.reads)
        source, session = (text_at(document, self.paths.get(name)) for name in ("source", "session"))
        self.faults.append(RowFault(row, code, detail[:_DETAIL_MAX], source, session))

    def parsed(self, parts: list[Part]) -> Parsed:
        if not parts:
            return Parsed(pa.array([], pa.int32()), {}, self.faults)
        if len(parts) == 1:
            rows, batch = parts[0]
        else:
            rows = np.concatenate([rows for rows, _ in parts])
            batch = pa.concat_batches([batch for _, batch in parts])
            if (np.diff(rows) < 0).any():
                order = np.argsort(rows)
                rows, batch = rows[order], batch.take(pa.array(order))
        return Parsed(pa.array(rows), {name: _field(batch, path) for name, path in self.paths.items()}, self.faults)


def _lines(records: RawRecords, rows: Rows) -> bytes:
    """Return the records as lines; runs of neighbours are copied at once."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return records.data[records.starts[first] : records.ends[last]]
    breaks = np.flatnonzero(np.diff(rows) != 1)
    starts = records.starts[rows[np.concatenate(([0], breaks + 1))]].tolist()
    ends = records.ends[rows[np.concatenate((breaks, [len(rows) - 1]))]].tolist()
    return b"\n".join(records.data[start:end] for start, end in zip(starts, ends, strict=True))


_ARROW: Final = {Kind.TEXT: pa.string(), Kind.NUMBER: pa.float64(), Kind.TRUTH: pa.bool_()}


def _schema(leaves: dict[tuple[str, ...], Kind]) -> pa.Schema:
    """Return the nested schema of these paths."""
    tree: dict[str, Any] = {}
    for path, kind in leaves.items():
        at = tree
        for step in path[:-1]:
            at = at.setdefault(step, {})
        at[path[-1]] = _ARROW[kind]
    return pa.schema(_members(tree))


def _members(tree: dict[str, Any]) -> list[pa.Field]:
    return [
        pa.field(name, pa.struct(_members(node)) if isinstance(node, dict) else node) for name, node in tree.items()
    ]


def _field(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    column = batch.column(path[0])
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column
