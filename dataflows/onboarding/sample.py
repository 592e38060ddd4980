"""A sample of a plant's records: what format they have, and what each of them says, field by field.

Law: recognising never fails for what it reads; bytes that are of no known format are said to be so, with a hint.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import fastavro
import numpy as np
import orjson

from canonical.b2mml.event_lines import event_lines, is_line
from canonical.decoders.avro import read_container
from canonical.decoders.avro_container import MAGIC
from canonical.decoders.b2mml import read_landed
from canonical.mapping.plant import Encoding
from canonical.records import RawRecords
from dataflows.onboarding.table_layout import CsvLayout, FixedLayout, csv_layout, fixed_layout

Value = str | int | float | bool | None
Row = Mapping[str, Value]

ROWS_MAX: Final = 5_000
"""Records that are looked at; more say nothing new."""
_SHDR: Final = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z?(@[\d.]+)?\|[^|]+\|")
_B2MML_LINE: Final = re.compile(rb'\{"event_id":"[0-9a-f]{64}#')
_DEPTH_MAX: Final = 8
_LAYOUT_ENCODINGS: Final[tuple[Encoding, ...]] = ("utf-8", "cp1252")


class SampleUnusable(Exception):
    """Nothing can be proposed from this sample; trying again does not help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What was recognised.

    ``rows`` are flat, by path, column or item; what a record does not have is absent or None. ``remarks`` tell what a
    person should know.
    """

    format: str
    rows: Sequence[Row]
    record_bytes_max: int
    csv: CsvLayout | None = None
    fixed: FixedLayout | None = None
    remarks: Sequence[str] = field(default=())

    @property
    def is_typed(self) -> bool:
        """Whether values are numbers or texts by themselves; elsewhere all are texts."""
        return self.format in {"json", "avro"}

    @property
    def paths(self) -> list[str]:
        """Every path of any record, in the order in which they first appear."""
        return list(dict.fromkeys(path for row in self.rows for path in row))

    @property
    def decimal(self) -> str:
        """The decimal sign of its texts."""
        layout = self.csv or self.fixed
        return "." if layout is None else layout.decimal


def recognised(data: bytes) -> Sample:
    """Return what these bytes are: records of one of the known formats.

    Raises: SampleUnusable, with what was found instead.
    """
    if not data.strip():
        raise SampleUnusable("the sample is empty; give a file with some records of the plant")
    if data.startswith(MAGIC):
        return _avro(data)
    head = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return _b2mml(data)
    if head.startswith(b"["):
        return _json_array(head)
    if head.startswith(b"{"):
        return _b2mml(data) if _B2MML_LINE.match(head) else _json_lines(head)
    text, encoding = _decoded(data)
    lines = [line for line in text.splitlines() if line.strip()][:ROWS_MAX]
    widest = max(map(len, data.splitlines()))
    if sum(bool(_SHDR.match(line)) for line in lines) * 2 > len(lines):
        return Sample("shdr", [dict(_observed(line)) for line in lines if _SHDR.match(line)], widest)
    csv = csv_layout(lines, encoding)
    if csv is not None:
        rows = csv.rows(lines)
        remarks = csv.remarks(lines)
        return Sample("csv", rows, widest, csv=csv, remarks=remarks)
    fixed = fixed_layout(lines, encoding)
    if fixed is not None:
        return Sample("fixed", fixed.rows(lines), widest, fixed=fixed, remarks=fixed.remarks)
    raise SampleUnusable(
        "neither JSON, Avro, B2MML, SHDR, delimited nor fixed-width text; its first line is " + repr(lines[0][:80])
    )


def raw_records(format_name: str, data: bytes, name: str) -> RawRecords:
    """Return the records of a sample as a source would hand them on; a JSON array is its elements, a line each."""
    if format_name == "avro":
        return read_container(data, name)
    if format_name == "b2mml":
        return read_landed(data, name)
    if format_name == "json" and data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        values = [orjson.dumps(each) for each in _array(data.removeprefix(b"\xef\xbb\xbf"))]
        return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64), name)
    return RawRecords.from_lines(data, 0, name)


def flat(record: object, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Value]]:
    """Yield the single values of a nested record with their dotted paths; lists have none."""
    if isinstance(record, dict) and depth <= _DEPTH_MAX:
        for key, value in record.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix and (record is None or isinstance(record, str | int | float | bool)):
        yield prefix, record


def _json_lines(data: bytes) -> Sample:
    rows: list[Row] = []
    broken = 0
    lines = [line for line in data.splitlines() if line.strip()]
    for line in lines[:ROWS_MAX]:
        try:
            rows.append(dict(flat(orjson.loads(line))))
        except orjson.JSONDecodeError:
            broken += 1
    if not rows:
        raise SampleUnusable("it begins as JSON, but no line of it is a whole object; write one record a line")
    remarks = [f"{broken} of {len(lines)} lines are no JSON"] if broken else []
    return Sample("json", rows, max(map(len, lines)), remarks=remarks)


def _json_array(data: bytes) -> Sample:
    records = _array(data)
    rows = [dict(flat(record)) for record in records[:ROWS_MAX]]
    if not any(rows):
        raise SampleUnusable("a JSON array without objects; a record is an object")
    widest = max(len(orjson.dumps(record)) for record in records[:ROWS_MAX])
    remark = (
        "the sample is one JSON array: a file that lands must hold one object a line; "
        "a web service that answers so is collected by [collect.NAME], which takes the array apart"
    )
    return Sample("json", rows, widest, remarks=[remark])


def _array(data: bytes) -> list[Any]:
    try:
        records = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise SampleUnusable(f"it begins as a JSON array and is none: {error}") from error
    return records if isinstance(records, list) else [records]


def _avro(data: bytes) -> Sample:
    rows: list[Row] = []
    try:
        for record in fastavro.reader(io.BytesIO(data)):
            rows.append({path: value for path, value in _avro_values(record) if value is not None})
            if len(rows) == ROWS_MAX:
                break
    except (ValueError, EOFError, KeyError, IndexError) as error:
        if not rows:
            raise SampleUnusable(f"an Avro container that cannot be read: {error}") from error
    if not rows:
        raise SampleUnusable("an Avro container without records")
    return Sample("avro", rows, 1024, remarks=["schemas of Kafka messages go into [avro.ids]; files hold theirs"])


def _avro_values(record: object, prefix: str = "") -> Iterator[tuple[str, Value]]:
    if isinstance(record, dict):
        for key, value in record.items():
            yield from _avro_values(value, f"{prefix}.{key}" if prefix else str(key))
    elif record is None or isinstance(record, str | int | float | bool):
        yield prefix, record
    elif hasattr(record, "isoformat"):
        yield prefix, record.isoformat()


def _b2mml(data: bytes) -> Sample:
    lines = event_lines(data)
    rows = [dict(flat(orjson.loads(line))) for line in lines[:ROWS_MAX] if is_line(line)]
    if not rows:
        raise SampleUnusable("XML, but no B2MML document that reports what was done (OperationsPerformance)")
    return Sample("b2mml", rows, max(map(len, lines)))


def _observed(line: str) -> Iterator[tuple[str, str]]:
    time, *cells = line.split("|")
    yield "", time.partition("@")[0]
    for key, value in zip(cells[::2], cells[1::2], strict=False):
        if not key.startswith("@"):
            yield key.strip(), value.strip()


def _decoded(data: bytes) -> tuple[str, Encoding]:
    for encoding in _LAYOUT_ENCODINGS:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"
