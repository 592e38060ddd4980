"""The frames of Avro messages: which writer schema each record was written with.

A message names its writer schema: ``00`` and a big-endian id of four bytes (Confluent), or ``C3 01`` and the
little-endian CRC-64-AVRO of the schema (single object). What an id means is said by the mapping, else by the registry
that was asked when the record was read. A single object may bring its schema in the header ``avro.schema``.
Source: Avro 1.12 specification, Single-object encoding; Confluent wire format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.contracts.fault import FaultCode
from canonical.decoders.avro_container import MAGIC, SCHEMA_HEADER
from canonical.mapping import PlantMapping
from canonical.records import Headers, RawRecords, SameHeaders
from canonical.writer_schema import SINGLE, WriterSchema, single_prefix, writer_schema

Framed = tuple[int, WriterSchema, NDArray[np.int64]]
"""How many bytes of frame there are to pass over, the schema it names, and the rows of these records."""

_CONFLUENT: Final = b"\x00"
_CONFLUENT_BYTES: Final = 5
_BROKEN: Final = (FaultCode.TRUNCATED, "the container file breaks off, or is broken, here")
_SINGLE_BYTES: Final = 10


def by_schema(
    mapping: PlantMapping, records: RawRecords, rows: NDArray[np.int64], faults: dict[int, tuple[FaultCode, str]]
) -> Iterator[Framed]:
    """Part these records of a batch by their writer schemas.

    Notes the faults of the rows that are too long, or have no frame, or one that is not known.
    """
    lengths = records.ends - records.starts + len(records.prefix)
    sound = rows
    if len(records) and lengths.max() > mapping.limits.record_bytes_max:
        long = lengths[rows] > mapping.limits.record_bytes_max
        sound = rows[~long]
        for row in rows[long].tolist():
            faults[row] = (FaultCode.OVERSIZE, f"{lengths[row]} bytes, at most {mapping.limits.record_bytes_max}")
    known = _known(mapping, records)
    for frame, alike in _by_frame(records, lengths, sound, faults):
        absent = ""
        if frame.startswith(SINGLE):
            name, groups = f"fingerprint {frame[2:].hex()}", _with_own_schema(frame, known.get(frame), records, alike)
        else:
            number = int.from_bytes(frame[1:], "big")
            name, groups = f"id {number}", [(known.get(frame), alike)]
            if records.schemas is not None and number in records.schemas.refused:
                absent = f"the schema of id {number} is not in [avro.ids], and {records.schemas.refused[number]}"
        for schema, some in groups:
            if schema is not None:
                yield len(frame) - len(records.prefix), schema, some
            else:
                detail = absent or f"the schema of {name} is not in [avro.ids]"
                faults |= dict.fromkeys(some.tolist(), (FaultCode.UNKNOWN_SCHEMA, detail))


def _by_frame(
    records: RawRecords, lengths: IntColumn, rows: NDArray[np.int64], faults: dict[int, tuple[FaultCode, str]]
) -> list[tuple[bytes, NDArray[np.int64]]]:
    """Part these rows by their frames."""
    if records.prefix == MAGIC:
        faults |= dict.fromkeys(rows.tolist(), _BROKEN)
        return []
    common = _common_frame(records, lengths, rows)
    if common is not None:
        return [(common, rows)]
    body = np.frombuffer(records.data + bytes(_SINGLE_BYTES), np.uint8)
    starts, lengths = records.starts[rows], lengths[rows]
    frames = np.zeros((len(rows), _SINGLE_BYTES), np.uint8)
    single = (lengths >= _SINGLE_BYTES) & (body[starts] == SINGLE[0]) & (body[starts + 1] == SINGLE[1])
    confluent = (lengths >= _CONFLUENT_BYTES) & (body[starts] == _CONFLUENT[0])
    for some, size in ((single, _SINGLE_BYTES), (confluent, _CONFLUENT_BYTES)):
        frames[np.flatnonzero(some), :size] = body[starts[some, None] + np.arange(size)]
    for row in rows[~(single | confluent)].tolist():
        value = records.value(row)
        if value.startswith(MAGIC):
            faults[row] = _BROKEN
        elif value[:1] == _CONFLUENT or SINGLE.startswith(value[:2]):
            faults[row] = (FaultCode.TRUNCATED, f"{len(value)} bytes are less than a frame")
        else:
            faults[row] = (FaultCode.MALFORMED, f"no Avro frame begins with 0x{value[:2].hex()}")
    framed = np.flatnonzero(single | confluent)
    keys, which = np.unique(frames[framed].view(f"V{_SINGLE_BYTES}")[:, 0], return_inverse=True)
    return [
        (key if key.startswith(SINGLE) else key[:_CONFLUENT_BYTES], rows[framed[which == i]])
        for i, key in enumerate(keys.tolist())
    ]


def _common_frame(records: RawRecords, lengths: IntColumn, rows: NDArray[np.int64]) -> bytes | None:
    """Return the frame of these rows where they have the same, which is usual; None where that is not seen at once."""
    if records.prefix:
        return records.prefix
    if not len(rows) or lengths[rows].min() < _SINGLE_BYTES:
        return None
    first = records.data[records.starts[rows[0]] :][:_SINGLE_BYTES]
    frame = first if first.startswith(SINGLE) else first[:_CONFLUENT_BYTES]
    if not first.startswith((_CONFLUENT, SINGLE)):
        return None
    words = np.ndarray((len(records.data) - 7,), "<u8", records.data, strides=(1,))  # the eight bytes from each on
    starts = records.starts[rows]
    for at in {0, max(len(frame) - 8, 0)}:
        here = words[starts + at]
        mask = np.uint64((1 << 8 * min(len(frame), 8)) - 1)
        if ((here ^ here[0]) & mask).any():
            return None
    return frame


def named_ids(records: RawRecords) -> list[int]:
    """Return the ids that Confluent frames of these records name, each once, in order."""
    lengths = records.ends - records.starts + len(records.prefix)
    frames = _by_frame(records, lengths, np.arange(len(records)), {})
    return sorted(int.from_bytes(frame[1:], "big") for frame, _ in frames if frame.startswith(_CONFLUENT))


def _known(mapping: PlantMapping, records: RawRecords) -> Mapping[bytes, WriterSchema]:
    """Return the writer schemas of the mapping, and those of the registry, by the frames that name them."""
    known = {
        _CONFLUENT + number.to_bytes(4, "big"): writer_schema(text)
        for number, text in (records.schemas.texts if records.schemas is not None else {}).items()
    }
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
    if isinstance(records.headers, SameHeaders):  # the records of a container
        text = next((value for name, value in records.headers.headers if name == SCHEMA_HEADER), None)
        return [(_brought(prefix, text, known), rows)]
    texts: dict[int, tuple[Headers, bytes | None]] = {}  # records of one container share a tuple of headers
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
