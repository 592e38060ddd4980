"""Dead letters as rows of the analytics store's table ``fault``."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from canonical.contracts import FaultCode
from canonical.records import RawRecords
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import STREAM_OFFSET, STREAM_SHARD
from sinks.commit_log import Stored
from sinks.dead_letters import LONG_CHARS_MAX, DeadLetterUnreadable, parse

VALUE_BYTES_MAX: Final = 4096
"""Bytes of a record, and of its key, that the store keeps; the stream keeps all of them."""

_ARROW: Final = {"BIGINT": pa.int64(), "BLOB": pa.binary(), "BOOLEAN": pa.bool_(), "VARCHAR": pa.string()}
SCHEMA: Final = pa.schema(
    [pa.field(c.field, _ARROW[c.sql_type], c.nullable) for c in TABLES["fault"].columns if c.name != STREAM_SHARD]
)


def fault_table(letters: RawRecords, value_bytes_max: int = VALUE_BYTES_MAX) -> pa.Table:
    """Return FAULT[n] for records read from the stream ``dead-letters``.

    A record that is no dead letter stops nothing: it becomes a row of code MALFORMED and stage
    ``dead-letters``, so that it is seen.
    """
    return pa.Table.from_pylist([_row(letters, row, value_bytes_max) for row in range(len(letters))], SCHEMA)


def _row(letters: RawRecords, row: int, value_bytes_max: int) -> dict[str, Any]:
    key = letters.keys[row] if letters.keys is not None else None
    headers = letters.headers[row] if letters.headers is not None else ()
    offset = int(letters.offsets[row])
    stored = Stored(offset, key, letters.value(row), headers)
    return {
        **_fault(letters, stored),
        "key": None if key is None else key[:value_bytes_max],
        "value": stored.value[:value_bytes_max],
        "value_bytes": len(stored.value),
        STREAM_OFFSET: offset,
    }


def _fault(letters: RawRecords, stored: Stored) -> dict[str, Any]:
    try:
        letter = parse(stored)
    except DeadLetterUnreadable as error:
        unknown = dict.fromkeys(("plant", "source", "session", "correlation_id"), "")
        return {
            **unknown,
            "code": FaultCode.MALFORMED.value,
            "detail": str(error)[:LONG_CHARS_MAX],
            "seq": -1,
            "offset": stored.offset,
            "topic": letters.topic,
            "partition": letters.partition,
            "stage": "dead-letters",
            "failed_us": 0,
            "first_failed_us": 0,
            "attempts": 1,
            "original": True,
        }
    fault = letter.fault.model_dump(mode="json")
    return {**fault, **letter.model_dump(exclude={"fault", "key", "value", "headers"})}
