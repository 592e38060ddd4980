"""Contracts on the wire: columns to JSON messages, and bulk back to Arrow.

Law: ``decode(encode(columns))`` are the columns, with defaults where a column was absent; every
encoded value is one the contract's pydantic model accepts (tests/property/test_wire.py).

Columns are lists of plain Python values named as the fields of the contract: text, int, bool,
None; ids and dates as text. Those of the ledger may be numpy or Arrow. A column that is absent
stands for its default. A message is a plain tuple of key, value and headers; the value is JSON, and
the headers are a CloudEvents 1.0 envelope in Kafka's binary mode, so that a consumer routes
without parsing. Nothing here reads a clock: the same columns give the same keys and values for
ever, ``recorded_us`` shows in a header.

Source: CloudEvents 1.0.2, Kafka protocol binding; extensions partitioning, sequence, recordedtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from io import BytesIO
from itertools import repeat
from typing import Any, ClassVar, Final
from urllib.parse import quote

import arro3.io
import orjson
import pyarrow as pa
from pydantic import BaseModel

from canonical.contracts import (
    ComponentUsage,
    Confirmation,
    Event,
    Gap,
    LedgerEntry,
    LedgerRange,
    StateMark,
    TelemetryMinute,
    TrailEntry,
)
from canonical.identity import event_ids, posting_ids
from canonical.json_lines import json_lines
from canonical.messages import Message
from canonical.records import Headers
from canonical.schemas import arrow_schema, columns, default

Columns = Mapping[str, Sequence[Any]]
_JSON: Final = ("content-type", b"application/json")
_LINES: Final = ("content-type", b"application/x-ndjson")
_SPECVERSION: Final = ("ce_specversion", b"1.0")
COMMON_HEADERS: Final = (_JSON, _SPECVERSION)
CONFIRMATION_TYPE: Final = b"plantsync.confirmation.v1"
_MANY: Final = 256
"""Rows from which on arrow-rs writes lines faster, ten times as fast in the end; it writes the same bytes."""
LINES_BYTES_MAX: Final = 500_000
"""Of a message that holds lines: any number of sources may change in a commit, and a broker takes 1 MB by default."""
_REMEMBERED: Final = 1 << 14
"""Sources and seconds repeat: so many parts of envelopes are kept."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class WireError(ValueError):
    """A stored value that is not of its contract: which one, what is wrong, what to do."""

    retryable: ClassVar[bool] = False


def encode_confirmations(rows: Columns, recorded_us: int) -> list[Message]:
    """Return a message for each CONFIRMATION[n]; its CloudEvents id is the posting id."""
    values = _documents(Confirmation, rows)
    return _enveloped(
        CONFIRMATION_TYPE,
        values,
        rows,
        ids=rows["posting_id"],
        sequences=rows["first_seq"],
        times_us=rows["last_occurred_us"],
        recorded_us=repeat(recorded_us),
    )


def encode_events(rows: Columns, recorded_us: int) -> list[Message]:
    """Return a message for each EVENT[n]; its CloudEvents id is the event id.

    ``ce_recordedtime`` is when the plant edge stored the event, and ``recorded_us`` where it did not say.
    """
    values = _documents(Event, rows)
    seqs = rows.get("seq") or [None] * len(values)
    sessions = rows.get("session") or repeat("")
    named = (value.decode() if seq is None else seq for seq, value in zip(seqs, values, strict=True))
    edge_us = rows.get("recorded_us") or [None] * len(values)
    return _enveloped(
        b"plantsync.event.v3",
        values,
        rows,
        ids=event_ids(zip(rows["source"], sessions, named, strict=False)),
        sequences=seqs,
        times_us=rows["occurred_us"],
        recorded_us=(recorded_us if us is None else us for us in edge_us),
    )


def encode_gaps(rows: Columns) -> list[Message]:
    """Return a message for each GAP[n]; it happened, and is recorded, when it was declared."""
    values = _documents(Gap, rows)
    sessions = rows.get("session") or repeat("")
    ids = posting_ids(
        zip(rows["plant"], rows["source"], sessions, rows["first_seq"], repeat("gap"), repeat(0), strict=False)
    )
    return _enveloped(
        b"plantsync.gap.v1",
        values,
        rows,
        ids=ids,
        sequences=rows["first_seq"],
        times_us=rows["declared_us"],
        recorded_us=rows["declared_us"],
    )


def encode_ledger(shard: str, rows: Columns) -> list[Message]:
    """Return messages for all LEDGER_ENTRY[n] of a shard, a line of JSON each; ``rows`` names no shard.

    As few as can be, of ``LINES_BYTES_MAX`` at most, except where a line alone is longer.
    """
    return _cut(shard, _lines(LedgerEntry, shard, rows))


def encode_ranges(shard: str, rows: Columns) -> list[Message]:
    """Return messages for all LEDGER_RANGE[n] of a shard, as ``encode_ledger`` does."""
    return _cut(shard, _lines(LedgerRange, shard, rows))


def encode_marks(shard: str, rows: Columns) -> list[Message]:
    """Return messages for all STATE_MARK[n] of a shard, a line of JSON each, cut as those of the ledger."""
    return _cut(shard, b"\n".join(_documents(StateMark, rows)))


def encode_minutes(shard: str, rows: Columns) -> list[Message]:
    """Return messages for all TELEMETRY_MINUTE[n] of a shard, a line of JSON each, cut as those of the ledger."""
    return _cut(shard, b"\n".join(_documents(TelemetryMinute, rows)))


def encode_trail(rows: Columns) -> list[Message]:
    """Return a message for each TRAIL_ENTRY[n]; its key is the chain."""
    values = _documents(TrailEntry, rows)
    return [(chain.encode(), value, (_JSON,)) for chain, value in zip(rows["chain"], values, strict=True)]


def decode_confirmations(values: Sequence[bytes]) -> pa.Table:
    """Return CONFIRMATION[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(Confirmation, values)


def decode_events(values: Sequence[bytes]) -> pa.Table:
    """Return EVENT[n] in the Arrow schema of version 3; older versions are up-cast. Raises: WireError."""
    return table(Event, values)


def decode_gaps(values: Sequence[bytes]) -> pa.Table:
    """Return GAP[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(Gap, values)


def decode_ledger(values: Sequence[bytes]) -> pa.Table:
    """Return LEDGER_ENTRY[m] of all lines of all values, in order. Raises: WireError."""
    return table(LedgerEntry, values)


def decode_ranges(values: Sequence[bytes]) -> pa.Table:
    """Return LEDGER_RANGE[m] of all lines of all values, in order. Raises: WireError."""
    return table(LedgerRange, values)


def decode_marks(values: Sequence[bytes]) -> pa.Table:
    """Return STATE_MARK[m] of all lines of all values, in order. Raises: WireError."""
    return table(StateMark, values)


def decode_minutes(values: Sequence[bytes]) -> pa.Table:
    """Return TELEMETRY_MINUTE[m] of all lines of all values, in order. Raises: WireError."""
    return table(TelemetryMinute, values)


def decode_trail(values: Sequence[bytes]) -> pa.Table:
    """Return TRAIL_ENTRY[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(TrailEntry, values)


def decode_usage(values: Sequence[bytes]) -> pa.Table:
    """Return COMPONENT_USAGE[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(ComponentUsage, values)


def _lines(model: type[BaseModel], shard: str, rows: Columns) -> bytes:
    """Return a line of JSON for each row, its fields in contract order; ``shard`` is that of all."""
    count = len(next(iter(rows.values())))
    if rows.keys() | {"shard"} == model.model_fields.keys():
        lines = json_lines({name: shard if name == "shard" else rows[name] for name in model.model_fields}, count)
        if lines is not None:
            return lines
    rows = {**rows, "shard": pa.repeat(pa.scalar(shard), count) if count >= _MANY else [shard] * count}
    if count >= _MANY and rows.keys() == model.model_fields.keys():
        types = {name: _schema(model).field(name).type for name in model.model_fields}
        table = pa.table(
            {
                name: column if isinstance(column := rows[name], pa.Array) else pa.array(column, types[name])
                for name in types
            }
        )
        if not any(column.null_count for column in table.columns):  # arrow-rs would leave a null out
            sink = BytesIO()
            arro3.io.write_ndjson(table, sink)
            return sink.getvalue()[:-1]
    listed: Columns = {name: getattr(column, "tolist", lambda column=column: column)() for name, column in rows.items()}
    return b"\n".join(_documents(model, listed))


def _cut(shard: str, lines: bytes) -> list[Message]:
    """Return lines as messages, cut where one ends."""
    values, start = [], 0
    while len(lines) - start > LINES_BYTES_MAX:
        end = lines.rfind(b"\n", start, start + LINES_BYTES_MAX + 1)
        if end < 0:
            end = lines.find(b"\n", start)
            if end < 0:
                break
        values.append(lines[start:end])
        start = end + 1
    return [(shard.encode(), value, (_LINES,)) for value in (*values, lines[start:])]


def _documents(model: type[BaseModel], rows: Columns) -> list[bytes]:
    """Return one JSON object for each row, its fields in contract order."""
    fields = model.model_fields
    assert rows.keys() <= fields.keys(), f"{model.__name__} has no {sorted(rows.keys() - fields.keys())}"
    absent = {name for name, field in fields.items() if name not in rows}
    required = sorted(name for name in absent if fields[name].is_required())
    assert not required, f"{model.__name__} needs {required}"
    count = len(next(iter(rows.values())))
    assert all(len(column) == count for column in rows.values()), f"columns of {model.__name__} differ in length"
    parts: list[Iterable[Any]] = [repeat(default(fields[name])) if name in absent else rows[name] for name in fields]
    dumps, names = orjson.dumps, tuple(fields)
    # A copy, as what orjson returns keeps the room it was written in: 8 or 16 kB for half a kB, until the commit.
    return [bytes(memoryview(dumps(dict(zip(names, row, strict=True))))) for row in zip(*parts, strict=False)]


def _enveloped(
    event_type: bytes,
    values: list[bytes],
    rows: Columns,
    *,
    ids: Iterable[str],
    sequences: Iterable[int | None],
    times_us: Iterable[int],
    recorded_us: Iterable[int],
) -> list[Message]:
    """Return the values with source as key and with their CloudEvents attributes."""
    common = (*COMMON_HEADERS, ("ce_type", event_type))
    orders = rows.get("order") or repeat("")
    messages = []
    for value, plant, source, order, name, seq, time_us, stored_us in zip(
        values, rows["plant"], rows["source"], orders, ids, sequences, times_us, recorded_us, strict=False
    ):
        key, headers = _origin(plant, source)
        headers += (("ce_id", name.encode()),)
        if seq is not None:
            headers += (("ce_sequence", b"%020d" % seq),)
        if order:
            headers += (("ce_subject", order.encode()),)
        for attribute, us in (("ce_time", time_us), ("ce_recordedtime", stored_us)):
            if text := instant(us):
                headers += ((attribute, text),)
        messages.append((key, value, common + headers))
    return messages


@lru_cache(_REMEMBERED)
def _origin(plant: str, source: str) -> tuple[bytes, Headers]:
    """Return the key and the headers of a source; its URI reference quotes what a path may not hold."""
    key = source.encode()
    path = f"/plantsync/{_quoted(plant)}/{_quoted(source)}"
    return key, (("ce_source", path.encode()), ("ce_partitionkey", key))


def _quoted(text: str) -> str:
    """Return what ``quote`` does, which looks at each character of most names in vain."""
    return text if _PLAIN(text) else quote(text, safe="")


def instant(us: int) -> bytes | None:
    """Return UTC microseconds as RFC 3339 has them; None outside the years 1 to 9999, which it cannot say."""
    whole, micros = divmod(us, 1_000_000)
    text = _second(whole)
    return b"%b.%06dZ" % (text, micros) if text else None


@lru_cache(_REMEMBERED)
def _second(epoch_s: int) -> bytes | None:
    """Return a second as RFC 3339 has it; None outside the years 1 to 9999, which it cannot say."""
    try:
        return (_EPOCH + timedelta(seconds=epoch_s)).isoformat()[:19].encode()
    except OverflowError:
        return None


@cache
def _schema(model: type[BaseModel]) -> pa.Schema:
    return arrow_schema(model)


@cache
def _nullable_schema(model: type[BaseModel]) -> pa.Schema:
    """Return the schema as older data may have it: any field may be absent."""
    return pa.schema([field.with_nullable(True) for field in _schema(model)])  # noqa: FBT003 - pyarrow takes no name


def table(model: type[BaseModel], values: Sequence[bytes]) -> pa.Table:
    """Return the rows of all values in the contract's schema, with defaults where a field is absent."""
    filled = [value for value in values if value]
    if not filled:
        return _schema(model).empty_table()
    try:
        read = _read(model, filled)
    except ValueError as error:
        raise WireError(
            f"{model.__name__}: {_place(model, filled)} is not JSON of this contract ({error}); the stream holds "
            "what plantsync did not write: see who else writes to it"
        ) from error
    arrays = []
    for name, field in columns(model).items():
        array = read[name]
        if array.null_count and not _schema(model).field(name).nullable:
            if field.is_required():
                raise WireError(
                    f"{model.__name__}: {array.null_count} of {len(array)} rows lack {name}, which has no default"
                )
            array = array.fill_null(default(field))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=_schema(model))


def _read(model: type[BaseModel], values: Sequence[bytes]) -> pa.Table:
    lines = b"\n".join(values)
    count = lines.count(b"\n") + 1
    table = pa.table(arro3.io.read_json(BytesIO(lines), _nullable_schema(model), batch_size=count))
    if table.num_rows != count:
        raise ValueError(f"{count} lines hold {table.num_rows} objects")
    return table


def _place(model: type[BaseModel], values: Sequence[bytes]) -> str:
    """Return which value cannot be read, for a person."""
    for i, value in enumerate(values):
        try:
            _read(model, [value])
        except ValueError:
            return f"value {i} of {len(values)}, {value[:80]!r},"
    return f"one of {len(values)} values"
