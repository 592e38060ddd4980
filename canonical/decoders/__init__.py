"""Bulk decoders: original bytes in, event columns and faults out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final

import numpy as np

from canonical.columns import EventBatch, Vocabulary
from canonical.decoders.avro import parse_avro, read_avro
from canonical.decoders.b2mml import parse_b2mml
from canonical.decoders.canonicalise import canonicalise
from canonical.decoders.delimited import parse_delimited
from canonical.decoders.expressions import computed
from canonical.decoders.json import parse_json
from canonical.decoders.json_kernel import read_json
from canonical.decoders.parquet import parse_parquet
from canonical.decoders.parsed import Decoded, Parsed, ReadRecords
from canonical.decoders.shdr import parse_shdr
from canonical.mapping import PlantMapping
from canonical.records import RawRecords

PARSERS: Final[Mapping[str, Callable[[PlantMapping, RawRecords], Parsed]]] = {
    "json": parse_json,
    "avro": parse_avro,
    "csv": parse_delimited,
    "fixed": parse_delimited,
    "shdr": parse_shdr,
    "b2mml": parse_b2mml,
    "parquet": parse_parquet,
}
"""The parser of each format a mapping may name."""

_KERNELS: Final = {
    "json": (read_json, parse_json),
    "parquet": (read_json, parse_parquet),
    "avro": (lambda *asked: ReadRecords(read_avro(*asked)), parse_avro),
}
"""By format, what reads records by a compiled kernel, and what parses those it leaves."""


def decode(mapping: PlantMapping, records: RawRecords, vocabulary: Vocabulary, now_us: int) -> Decoded:
    """Turn the raw records of a plant into canonical events and faults.

    Args:    records: RAW[n]; vocabulary: the shard's, which grows; now_us: the time of reading, int64 UTC microseconds.
    Returns: events in row order, faults by row, and how many lines were no records; together n.
    """
    if records.refusals is not None:
        return Decoded(EventBatch.empty(), records.refused())
    plain, skipped = EventBatch.empty(), np.empty(0, np.int32)
    if mapping.format in _KERNELS:
        read, parse_rest = _KERNELS[mapping.format]
        done = read(mapping, records, vocabulary, now_us)
        plain, skipped = done.events, done.skipped
    if len(plain) + len(skipped) == len(records):
        return Decoded(plain, skipped=len(skipped))
    if len(plain) + len(skipped):
        done_rows = np.concatenate((plain["row"], skipped))
        parsed = parse_rest(mapping, records, np.delete(np.arange(len(records), dtype=np.int32), done_rows))
    else:
        parsed = PARSERS[mapping.format](mapping, records)
    parts = [
        canonicalise(mapping, computed(mapping, part), records, vocabulary, now_us)
        for part in (parsed, *parsed.further)
    ]
    if len(parts) == 1 and not len(plain):
        return parts[0]
    events = EventBatch.concat([plain, *(part.events for part in parts)])
    faults = sorted((fault for part in parts for fault in part.faults), key=attrgetter("row"))
    return Decoded(events.take(np.argsort(events["row"])), faults, len(records) - len(events) - len(faults))
