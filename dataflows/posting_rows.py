"""Postings as rows of the store, with the instants that their envelopes tell: a posting itself has none (M25, M38)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from canonical.posting_wire import KNOWN, RECORDED, decode_postings
from canonical.records import Headers, RawRecords
from sinks.analytics.table import STREAM_OFFSET


def posting_rows(raw: RawRecords) -> pa.Table:
    """Return POSTING[n] with offsets, and when each was known and enqueued; null where its envelope does not say."""
    rows = decode_postings([raw.value(row) for row in range(len(raw))])
    headers: Sequence[Headers] = [()] * len(raw) if raw.headers is None else raw.headers
    told = [dict(each) for each in headers]
    return (
        rows.append_column("known_us", _instants([each.get(KNOWN) for each in told]))
        .append_column("enqueued_us", _instants([each.get(RECORDED) for each in told]))
        .append_column(STREAM_OFFSET, pa.array(raw.offsets))
    )


def _instants(texts: Sequence[bytes | None]) -> pa.Array:
    """Return UTC microseconds of instants as RFC 3339 has them; null where there is none, or none that reads."""
    try:
        read = pa.array([None if text is None else text.decode() for text in texts], pa.string())
        return read.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    except ValueError:
        return pa.array([None], pa.int64()) if len(texts) == 1 else pa.concat_arrays([_instants([t]) for t in texts])
