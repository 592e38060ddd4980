"""Avro: messages in Confluent or single-object frames; container files are taken apart into the latter.

Records of several schemas may be mixed; what a schema does not have is null. Records that are plain and without fault
are read by the kernel (``canonical.decoders.avro_columns``), the others in lockstep.

Law: as in ``canonical.decoders.avro_lockstep``, each record stands alone.
Source: Avro 1.12 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EventBatch, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders.avro_columns import schema_reader
from canonical.decoders.avro_container import SCHEMA_HEADER, read_container
from canonical.decoders.avro_frames import by_schema
from canonical.decoders.avro_lockstep import Lockstep, Part
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import RawRecords, RowFault
from canonical.writer_schema import Path

__all__ = ["SCHEMA_HEADER", "parse_avro", "read_avro", "read_container"]

Rows = NDArray[np.int32]

_REQUIRED: Final = frozenset({"plant", "source", "event_id", "seq", "occurred", "type"})
"""Fields whose absence is looked for; any other that no schema has may be left out."""


def read_avro(mapping: PlantMapping, records: RawRecords, vocabulary: Vocabulary, now_us: int) -> EventBatch:
    """Return the events of the records that the kernel can read, in row order; ``parse_avro`` reads the others.

    It reads none where the mapping computes fields or skips records.
    """
    parts: list[EventBatch] = []
    if mapping.reading.inputs or mapping.reading.computed:
        return EventBatch.empty()
    for passed, schema, rows in by_schema(mapping, records, np.arange(len(records)), {}):
        reader = schema_reader(mapping, vocabulary, schema)
        if reader is not None:
            # The rows are in order, so that as many as there are records are all of them.
            some = slice(None) if len(rows) == len(records) else rows
            starts, ends = records.starts[some], records.ends[some]
            columns, read = reader.read(records.data, starts + passed if passed else starts, ends, now_us)
            columns |= {"offset": records.offsets[some], "row": rows.astype(np.int32)}
            part = EventBatch(len(rows), columns)
            parts.append(part if read.all() else part.take(read))
    events = EventBatch.concat(parts)
    return events if len(parts) < 2 else events.take(np.argsort(events["row"]))


def parse_avro(mapping: PlantMapping, records: RawRecords, only: Rows | None = None) -> Parsed:
    """Project the mapped fields of framed records, or of these only, without the kernel.

    Faults: OVERSIZE; MALFORMED without a frame; UNKNOWN_SCHEMA; TRUNCATED; NOT_UTF8; DEEP_NESTING.
    """
    paths = {name: tuple(read.path.split(".")) for name, read in mapping.reading.reads.items()}
    n = len(records)
    asked = np.arange(n) if only is None else only.astype(np.int64)
    faults: dict[int, tuple[FaultCode, str]] = {}
    found: dict[Path, list[Part]] = {path: [] for path in paths.values()}
    for passed, schema, rows in by_schema(mapping, records, asked, faults):
        starts, ends = records.starts[rows] + passed, records.ends[rows]
        lockstep = Lockstep(records.data, starts, ends, schema, mapping.limits.depth_max)
        for path, parts in lockstep.decode(set(paths.values())).items():
            found[path] += [(rows[some], values) for some, values in parts]
        faults |= {int(rows[row]): fault for row, fault in lockstep.faults.items()}
    good = np.zeros(n, np.bool_)
    good[asked] = True
    good[list(faults)] = False
    alike = [
        Parsed(
            pa.array(rows.astype(np.int32)),
            {name: _gathered(found[path], n, rows) for name, path in paths.items() if found[path] or name in _REQUIRED},
        )
        for rows in _of_like_types(found, np.flatnonzero(good), n)
    ]
    row_faults = [RowFault(row, code, detail) for row, (code, detail) in sorted(faults.items())]
    return replace(alike[0], faults=row_faults, further=tuple(alike[1:]))


def _of_like_types(found: Mapping[Path, list[Part]], rows: NDArray[np.int64], n: int) -> list[NDArray[np.int64]]:
    """Part rows so that each field has one type in each part: what a value means must not depend on its company."""
    kind = np.zeros(n, np.int64)
    for parts in found.values():
        types = list(dict.fromkeys(values.type for _, values in parts))
        if len(types) > 1:
            which = np.zeros(n, np.int64)  # a null is of any type
            for some, values in parts:
                which[some] = types.index(values.type)
            kind = np.unique(kind * len(types) + which, return_inverse=True)[1]
    kinds = np.unique(kind[rows]).tolist()
    return [rows[kind[rows] == each] for each in kinds] if len(kinds) > 1 else [rows]


def _gathered(parts: list[Part], n: int, rows: NDArray[np.int64]) -> pa.Array:
    """Return the values of these rows, which are of one type, null where a row has none."""
    used = parts
    if len(parts) > 1:
        wanted = np.zeros(n, np.bool_)
        wanted[rows] = True
        used = [(some, values) for some, values in parts if wanted[some].any()]
    if not used:
        return pa.nulls(len(rows), pa.string())
    where = np.full(n, -1, np.int64)
    where[np.concatenate([some for some, _ in used])] = np.arange(sum(len(values) for _, values in used))
    where = where[rows]
    whole = used[0][1] if len(used) == 1 else pa.concat_arrays([values for _, values in used])
    return whole.take(pa.array(where, mask=where < 0))
