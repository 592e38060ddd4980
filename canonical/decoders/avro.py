"""Avro: messages in Confluent or single-object frames; container files are taken apart into the latter.

A message names its writer schema: ``00`` and a big-endian id of four bytes (Confluent), or ``C3 01`` and the
little-endian CRC-64-AVRO of the schema (single object). Records of several schemas may be
mixed; what a schema does not have is null. A single object may bring its schema in the header ``avro.schema``.

Law: as in ``canonical.decoders.avro_lockstep``, each record stands alone.
Source: Avro 1.12 specification, Single-object encoding and Object Container Files; Confluent wire format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.contracts.fault import FaultCode
from canonical.decoders.avro_container import MAGIC, SCHEMA_HEADER, read_container
from canonical.decoders.avro_lockstep import Lockstep, Part
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import Headers, RawRecords, RowFault
from canonical.writer_schema import SINGLE, Path, WriterSchema, single_prefix, writer_schema

__all__ = ["SCHEMA_HEADER", "parse_avro", "read_container"]

_CONFLUENT: Final = b"\x00"
_CONFLUENT_BYTES: Final = 5
_SINGLE_BYTES: Final = 10
_REQUIRED: Final = frozenset({"plant", "source", "event_id", "seq", "occurred", "type"})
"""Fields whose absence is looked for; any other that no schema has may be left out."""


def parse_avro(mapping: PlantMapping, records: RawRecords) -> Parsed:
    """Project the mapped fields of framed records.

    Faults: OVERSIZE; MALFORMED without a frame; UNKNOWN_SCHEMA; TRUNCATED; NOT_UTF8; DEEP_NESTING.
    """
    paths = {str(name): tuple(source.path.split(".")) for name, source in mapping.paths.items()}
    n = len(records)
    faults: dict[int, tuple[FaultCode, str]] = {}
    found: dict[Path, list[Part]] = {path: [] for path in paths.values()}
    for prefix, schema, rows in _by_schema(mapping, records, faults):
        lockstep = Lockstep(
            records.data, records.starts[rows] + len(prefix), records.ends[rows], schema, mapping.limits.depth_max
        )
        for path, parts in lockstep.decode(set(paths.values())).items():
            found[path] += [(rows[some], values) for some, values in parts]
        faults |= {int(rows[row]): fault for row, fault in lockstep.faults.items()}
    good = np.ones(n, np.bool_)
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


def _by_schema(
    mapping: PlantMapping, records: RawRecords, faults: dict[int, tuple[FaultCode, str]]
) -> Iterator[tuple[bytes, WriterSchema, NDArray[np.int64]]]:
    """Yield each frame with its schema and rows; note the faults of the rows that have none."""
    body = np.frombuffer(records.data + bytes(_SINGLE_BYTES), np.uint8)
    lengths = records.ends - records.starts
    oversize = lengths > mapping.limits.record_bytes_max
    for row in np.flatnonzero(oversize).tolist():
        faults[row] = (FaultCode.OVERSIZE, f"{lengths[row]} bytes, at most {mapping.limits.record_bytes_max}")
    frame = np.zeros((len(records), _SINGLE_BYTES), np.uint8)
    single = (lengths >= _SINGLE_BYTES) & (body[records.starts] == SINGLE[0]) & (body[records.starts + 1] == SINGLE[1])
    confluent = (lengths >= _CONFLUENT_BYTES) & (body[records.starts] == _CONFLUENT[0])
    for rows, size in ((single, _SINGLE_BYTES), (confluent, _CONFLUENT_BYTES)):
        frame[np.flatnonzero(rows), :size] = body[records.starts[rows, None] + np.arange(size)]
    for row in np.flatnonzero(~(single | confluent | oversize)).tolist():
        value = records.value(row)
        if value.startswith(MAGIC):
            faults[row] = (FaultCode.TRUNCATED, "the container file breaks off, or is broken, here")
        elif value[:1] == _CONFLUENT or SINGLE.startswith(value[:2]):
            faults[row] = (FaultCode.TRUNCATED, f"{len(value)} bytes are less than a frame")
        else:
            faults[row] = (FaultCode.MALFORMED, f"no Avro frame begins with 0x{value[:2].hex()}")
    known = _known(mapping)
    framed = np.flatnonzero((single | confluent) & ~oversize)
    keys, which = np.unique(frame[framed].view(f"V{_SINGLE_BYTES}")[:, 0], return_inverse=True)
    for i, key in enumerate(keys.tolist()):
        rows = framed[which == i]
        if key[:2] != SINGLE:
            prefix = key[:_CONFLUENT_BYTES]
            name, groups = f"id {int.from_bytes(prefix[1:], 'big')}", [(known.get(prefix), rows)]
        else:
            prefix = key
            name, groups = f"fingerprint {prefix[2:].hex()}", _with_own_schema(prefix, known.get(prefix), records, rows)
        for schema, some in groups:
            if schema is not None:
                yield prefix, schema, some
            else:
                detail = f"the schema of {name} is not in [avro.ids]"
                faults |= dict.fromkeys(some.tolist(), (FaultCode.UNKNOWN_SCHEMA, detail))


def _known(mapping: PlantMapping) -> Mapping[bytes, WriterSchema]:
    """Return the writer schemas of the mapping by the frames that name them."""
    known: dict[bytes, WriterSchema] = {}
    for number, schema in (mapping.avro.ids if mapping.avro else {}).items():
        known[_CONFLUENT + number.to_bytes(4, "big")] = writer_schema(schema.text)
        known[single_prefix(schema.text)] = writer_schema(schema.text)
    return known


def _with_own_schema(
    prefix: bytes, known: WriterSchema | None, records: RawRecords, rows: NDArray[np.int64]
) -> list[tuple[WriterSchema | None, NDArray[np.int64]]]:
    """Part rows of one frame by the schema each brings in its headers; ``known`` is that of rows that bring none."""
    if records.headers is None:
        return [(known, rows)]
    texts: dict[int, tuple[Headers, bytes | None]] = {}  # the records of a container share one tuple of headers
    by_text: dict[bytes | None, list[int]] = {}
    for row in rows.tolist():
        headers = records.headers[row]
        if id(headers) not in texts:
            texts[id(headers)] = headers, next((value for name, value in headers if name == SCHEMA_HEADER), None)
        by_text.setdefault(texts[id(headers)][1], []).append(row)
    return [(_brought(prefix, text, known), np.array(some)) for text, some in by_text.items()]


def _brought(prefix: bytes, text: bytes | None, known: WriterSchema | None) -> WriterSchema | None:
    """Return the schema of this text if it is one and its frame is this one."""
    if text is None:
        return known
    try:
        schema = writer_schema(text.decode())
        return schema if single_prefix(text.decode()) == prefix else known
    except ValueError:
        return known


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
