"""The analytics store compared with the commit log it was filled from: the same rows, each once."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np

from canonical.records import RawRecords
from dataflows.analytics import TABLES as READERS
from sinks.analytics.published import open_published
from sinks.analytics.stream_tables import TABLES
from sinks.analytics.table import STREAM_OFFSET, STREAM_SHARD


def differences(published, outcome, topic="{}"):
    """Return where the published store differs from what was committed; ``topic`` names a stream as it was read."""
    problems = []
    with open_published(published) as db:
        for stream, (name, read) in READERS.items():
            table = TABLES[name]
            columns = [c for c in table.columns if c.name != STREAM_SHARD]
            chosen = ", ".join(f"CAST({c.name} AS VARCHAR)" if c.sql_type == "UUID" else c.name for c in columns)
            have = Counter(map(_line, db.execute(f"SELECT {chosen} FROM {name}").fetchall()))
            rows = []
            for (part_of, partition), records in sorted(outcome.parts.items()):
                if part_of == stream and records:
                    rows += read(_raw(records, topic.format(stream), partition)).to_pylist()
            if table.newest_by:
                rows = list({tuple(row[key] for key in table.newest_by): row for row in rows}.values())
            if table.added_by:
                rows = _added_up(table, rows)
            want = Counter(_line([row[c.field] for c in columns]) for row in rows)
            problems += [f"store: {name} lacks {count} x {line:.300}" for line, count in _few(want - have)]
            problems += [f"store: {name} has {count} x {line:.300}" for line, count in _few(have - want)]
    return problems


def _added_up(table, rows):
    """Return one row for each key, its counts summed and its place that of the last, as the table has them."""
    kept = {*table.added_by, STREAM_OFFSET}
    added = {}
    for row in rows:
        key = tuple(row[name] for name in table.added_by)
        before = added.get(key)
        added[key] = row if before is None else {n: v if n in kept else before[n] + v for n, v in row.items()}
    return list(added.values())


def _raw(records, topic, partition):
    offsets = np.array([record.offset for record in records], np.int64)
    keys, headers = [record.key for record in records], [record.headers for record in records]
    return RawRecords.from_values([r.value for r in records], offsets, topic, partition, keys, headers)


def _line(row):
    return json.dumps([str(value) if value is not None else None for value in row])


def _few(counted):
    return itertools.islice(counted.items(), 3)
