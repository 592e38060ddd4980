"""Bulk decoders: original bytes in, event columns and faults out."""

from __future__ import annotations

from canonical.columns import Vocabulary
from canonical.decoders.canonicalise import canonicalise
from canonical.decoders.json import parse_json
from canonical.decoders.parsed import Decoded
from canonical.mapping import PlantMapping
from canonical.records import RawRecords


def decode(mapping: PlantMapping, records: RawRecords, vocabulary: Vocabulary, now_us: int) -> Decoded:
    """Turn the raw records of a plant into canonical events and faults.

    Args:    records: RAW[n]; vocabulary: the shard's, which grows; now_us: the time of reading, int64 UTC microseconds.
    Returns: events in row order, faults by row, and how many lines were no records; together n.
    """
    parsed = parse_json(mapping, records)
    return canonicalise(mapping, parsed, records, vocabulary, now_us)
