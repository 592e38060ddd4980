"""Avro: messages in Confluent or single-object frames, and object container files.

A message names its writer schema: ``00`` and a big-endian id of four bytes (Confluent), or ``C3 01`` and the
little-endian CRC-64-AVRO of the schema (single object). Records of several schemas may be
mixed; what a schema does not have is null.

Law: as in ``canonical.decoders.avro_lockstep``, each record stands alone.
Source: Avro 1.12 specification, Single-object encoding and Object Container Files; Confluent wire format.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import fastavro
import numpy as np
import pyarrow as pa
from fastavro.schema import fingerprint, to_parsing_canonical_form
from numpy.typing import NDArray

from canonical.contracts.fault import FaultCode
from canonical.decoders.avro_lockstep import Lockstep
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import Headers, RawRecords, RowFault
from canonical.writer_schema import Path, WriterSchema, writer_schema

SCHEMA_HEADER: Final = "avro.schema"
"""Header of a record of a container file: its writer schema as JSON, so that it can be read anywhere."""

_CONTAINER: Final = b"Obj\x01"
_CONFLUENT: Final = b"\x00"
_CONFLUENT_BYTES: Final = 5
_SINGLE: Final = b"\xc3\x01"
_SINGLE_BYTES: Final = 10


def parse_avro(mapping: PlantMapping, records: RawRecords) -> Parsed:
    """Project the mapped fields of framed records.

    Faults: OVERSIZE; MALFORMED without a frame; UNKNOWN_SCHEMA; TRUNCATED; NOT_UTF8; DEEP_NESTING.
    """
    paths = {str(name): tuple(source.path.split(".")) for name, source in mapping.paths.items()}
    n = len(records)
    faults: dict[int, tuple[FaultCode, str]] = {}
    values: dict[Path, list[tuple[NDArray[np.int64], pa.Array]]] = {path: [] for path in paths.values()}
    for prefix, schema, rows in _by_schema(mapping, records, faults):
        lockstep = Lockstep(
            records.data, records.starts[rows] + len(prefix), records.ends[rows], schema, mapping.limits.depth_max
        )
        for path, found in lockstep.decode(set(paths.values())).items():
            values[path].append((rows, found))
        faults |= {int(rows[row]): fault for row, fault in lockstep.faults.items()}
    good = np.ones(n, np.bool_)
    good[list(faults)] = False
    rows = np.flatnonzero(good)
    fields = {name: _gathered(values[path], n, rows) for name, path in paths.items() if values[path]}
    row_faults = [RowFault(row, code, detail) for row, (code, detail) in sorted(faults.items())]
    return Parsed(pa.array(rows.astype(np.int32)), fields, row_faults)


def read_container(data: bytes, topic: str = "") -> RawRecords:
    """Take an object container file apart: one single-object record per datum, its offset the ordinal.

    Every record carries the header ``avro.schema``. Where the file breaks off or is no container, the
    rest of it, behind the magic of such files, is the last record, which ``parse_avro`` refuses.
    Slower than messages, some 0.2 million data a second, since only reading one tells where the next begins.
    """
    values: list[bytes] = []
    headers: tuple[tuple[str, bytes], ...] = ()
    consumed = 0
    prefix = b""
    source = io.BytesIO(data)
    try:
        reader = fastavro.block_reader(source)
        assert reader.writer_schema is not None
        text = json.dumps(reader.writer_schema)
        prefix, headers = _single_prefix(text), ((SCHEMA_HEADER, text.encode()),)
        consumed = source.tell()
        # To find where a datum ends its values need not make sense: a time may be out of Python's range.
        bare = json.loads(text, object_hook=lambda node: {k: v for k, v in node.items() if k != "logicalType"})
        for block in reader:
            block_bytes: bytes = block.bytes_.getvalue()  # type: ignore[attr-defined]
            values += _data_of(block_bytes, block.num_records, fastavro.parse_schema(bare), prefix)
            consumed = source.tell()
    except Exception:  # noqa: BLE001 - fastavro and the codecs raise what they like on broken input
        values.append(_CONTAINER + data[consumed:].removeprefix(_CONTAINER))
    offsets = np.arange(len(values), dtype=np.int64)
    return RawRecords.from_values(values, offsets, topic, headers=[headers] * len(values))


def _data_of(block: bytes, count: int, schema: Any, prefix: bytes) -> Iterator[bytes]:
    """Yield each datum of a block behind the prefix; what cannot be read ends it."""
    source = io.BytesIO(block)
    for _ in range(count):
        start = source.tell()
        try:
            fastavro.schemaless_reader(source, schema)
        except Exception:  # noqa: BLE001 - as above
            source.seek(0, io.SEEK_END)
            yield prefix + block[start:]
            return
        yield prefix + block[start : source.tell()]


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
    single = (
        (lengths >= _SINGLE_BYTES) & (body[records.starts] == _SINGLE[0]) & (body[records.starts + 1] == _SINGLE[1])
    )
    confluent = (lengths >= _CONFLUENT_BYTES) & (body[records.starts] == _CONFLUENT[0])
    for rows, size in ((single, _SINGLE_BYTES), (confluent, _CONFLUENT_BYTES)):
        frame[np.flatnonzero(rows), :size] = body[records.starts[rows, None] + np.arange(size)]
    for row in np.flatnonzero(~(single | confluent | oversize)).tolist():
        value = records.value(row)
        if value.startswith(_CONTAINER):
            faults[row] = (FaultCode.TRUNCATED, "the container file breaks off, or is broken, here")
        elif value[:1] == _CONFLUENT or _SINGLE.startswith(value[:2]):
            faults[row] = (FaultCode.TRUNCATED, f"{len(value)} bytes are less than a frame")
        else:
            faults[row] = (FaultCode.MALFORMED, f"no Avro frame begins with 0x{value[:2].hex()}")
    schemas = _schemas(mapping, records)
    framed = np.flatnonzero((single | confluent) & ~oversize)
    keys, which = np.unique(frame[framed].view(f"V{_SINGLE_BYTES}")[:, 0], return_inverse=True)
    for i, key in enumerate(keys.tolist()):
        prefix = key if key[:2] == _SINGLE else key[:_CONFLUENT_BYTES]
        rows = framed[which == i]
        schema = schemas.get(prefix)
        if schema is not None:
            yield prefix, schema, rows
            continue
        name = (
            f"id {int.from_bytes(prefix[1:], 'big')}" if prefix[:1] == _CONFLUENT else f"fingerprint {prefix[2:].hex()}"
        )
        faults |= dict.fromkeys(rows.tolist(), (FaultCode.UNKNOWN_SCHEMA, f"the schema of {name} is not in [avro.ids]"))


def _schemas(mapping: PlantMapping, records: RawRecords) -> Mapping[bytes, WriterSchema]:
    """Return the known writer schemas by the frame that names them."""
    known: dict[bytes, WriterSchema] = {}
    for number, schema in (mapping.avro.ids if mapping.avro else {}).items():
        known[_CONFLUENT + number.to_bytes(4, "big")] = writer_schema(schema.text)
        known[_single_prefix(schema.text)] = writer_schema(schema.text)
    # The records of a container share one tuple of headers, so telling them apart by identity is enough.
    distinct: dict[int, Headers] = {id(headers): headers for headers in records.headers or ()}
    for headers in distinct.values():
        for name, value in headers:
            if name == SCHEMA_HEADER:
                known[_single_prefix(value.decode())] = writer_schema(value.decode())
    return known


@lru_cache(maxsize=256)
def _single_prefix(text: str) -> bytes:
    canonical = to_parsing_canonical_form(fastavro.parse_schema(json.loads(text)))
    return _SINGLE + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


def _gathered(parts: list[tuple[NDArray[np.int64], pa.Array]], n: int, rows: NDArray[np.int64]) -> pa.Array:
    """Return the values of these rows; different types of several schemas meet as text."""
    types = {values.type for _, values in parts}
    arrays = [values if len(types) == 1 else values.cast(pa.string()) for _, values in parts]
    where = np.full(n, -1, np.int64)
    where[np.concatenate([part for part, _ in parts])] = np.arange(sum(map(len, arrays)))
    where = where[rows]
    whole = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
    return whole.take(pa.array(where, mask=where < 0))
