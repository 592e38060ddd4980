"""Contracts on the wire: columns to JSON messages, and bulk back to Arrow.

Law: ``decode(encode(columns))`` are the columns, with defaults where a column was absent; every
encoded value is one the contract's pydantic model accepts (tests/property/test_wire.py).

Columns are lists of plain Python values named as the fields of the contract: text, int, bool,
None; ids and dates as text. Those of the ledger may be numpy or Arrow. A column that is absent
stands for its default. A message is a plain tuple of key, value and headers; the value is JSON, and
the headers are its envelope (``canonical.envelope``). Nothing here reads a clock: the same columns
give the same keys and values for ever, ``recorded_us`` shows in a header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import repeat
from typing import Any, Final

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
from canonical.envelope import JSON, enveloped
from canonical.identity import event_ids, posting_ids
from canonical.json_lines import json_lines
from canonical.json_tables import table
from canonical.messages import Message
from canonical.schemas import arrow_schema, default

Columns = Mapping[str, Sequence[Any]]
_LINES: Final = ("content-type", b"application/x-ndjson")
CONFIRMATION_TYPE: Final = b"plantsync.confirmation.v1"
_MANY: Final = 256
"""Rows from which on arrow-rs writes lines faster, ten times as fast in the end; it writes the same bytes."""
LINES_BYTES_MAX: Final = 500_000
"""Of a message that holds lines: any number of sources may change in a commit, and a broker takes 1 MB by default."""


def encode_confirmations(rows: Columns, recorded_us: int) -> list[Message]:
    """Return a message for each CONFIRMATION[n]; its CloudEvents id is the posting id."""
    values = _documents(Confirmation, rows)
    return enveloped(
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
    return enveloped(
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
    return enveloped(
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
    return [(chain.encode(), value, (JSON,)) for chain, value in zip(rows["chain"], values, strict=True)]


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
        types = {name: arrow_schema(model).field(name).type for name in model.model_fields}
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
