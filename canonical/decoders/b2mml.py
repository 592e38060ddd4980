"""B2MML documents: one file is one document, and each event in it a record.

Law: what becomes of a record depends on its own bytes alone. A record is a line that ``event_lines`` made of a
document, or a document that holds one event. Any other document is a fault, or where it says nothing no record.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import orjson
import pyarrow as pa

from canonical.b2mml.document import read_document
from canonical.b2mml.event_lines import FAULT, FIELDS, event_lines, is_line, lines_of
from canonical.b2mml.refusal import Refusal, shown
from canonical.contracts.fault import FaultCode
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import RawRecords, RowFault

_CODES: Final = frozenset(FaultCode)


def read_landed(data: bytes, topic: str = "") -> RawRecords:
    """Return the records of a file that was dropped; their offsets are ordinals."""
    lines = event_lines(data)
    return RawRecords.from_values(lines, np.arange(len(lines), dtype=np.int64), topic)


def parse_b2mml(mapping: PlantMapping, records: RawRecords) -> Parsed:
    """Read the mapped fields of lines and of documents with one event, all as text.

    Faults OVERSIZE, NOT_UTF8, TRUNCATED, MALFORMED, WRONG_TYPE, MISSING_FIELD, TEXT_TOO_LONG, DEEP_NESTING,
    UNKNOWN_SCHEMA, UNKNOWN_TYPE, UNKNOWN_UNIT. Rows in neither are blank, or documents that say nothing.
    """
    rows: list[int] = []
    lines: list[dict[str, str]] = []
    faults: list[RowFault] = []
    for row in range(len(records)):
        value = records.value(row)
        if not value.strip():
            continue
        try:
            line = _line(value, mapping.limits.record_bytes_max) if is_line(value) else _only_event(value)
        except Refusal as refusal:
            faults.append(RowFault(row, refusal.code, refusal.detail))
            continue
        if line is not None:
            rows.append(row)
            lines.append(line)
    fields = {
        name: pa.array([line.get(read.path) or None for line in lines], pa.string())
        for name, read in mapping.reading.reads.items()
    }
    return Parsed(pa.array(rows, pa.int32()), fields, faults)


def _only_event(value: bytes) -> dict[str, str] | None:
    """Return the line of a document's one event; None where the document says nothing. Raises: Refusal."""
    lines = lines_of(read_document(value), value)
    if len(lines) > 1:
        raise Refusal(
            FaultCode.MALFORMED, f"{len(lines)} events in one message; drop the document into the folder of its plant"
        )
    return _line(lines[0], len(lines[0])) if lines else None


def _line(value: bytes, bytes_max: int) -> dict[str, str]:
    """Return what a line says. Raises: Refusal with the fault that it states, or with its own."""
    if len(value) > bytes_max:
        raise Refusal(FaultCode.OVERSIZE, f"{len(value)} bytes; a record may have {bytes_max}")
    try:
        line = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Refusal(_form(value), str(error)) from error
    assert isinstance(line, dict), "JSON that begins with a brace is an object"
    if FAULT in line:
        match line[FAULT]:
            case [str(code), str(detail)] if code in _CODES and detail:
                raise Refusal(FaultCode(code), detail)
            case _:
                raise Refusal(FaultCode.MALFORMED, f"{FAULT} is no code and detail")
    for name, text in line.items():
        if name not in FIELDS:
            raise Refusal(FaultCode.MALFORMED, f"there is no field {shown(name)} in a line of B2MML")
        if not isinstance(text, str):
            raise Refusal(FaultCode.WRONG_TYPE, f"{name} is no text")
    return line


def _form(value: bytes) -> FaultCode:
    try:
        value.decode()
    except UnicodeDecodeError:
        return FaultCode.NOT_UTF8
    return FaultCode.MALFORMED
