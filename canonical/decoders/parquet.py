"""Parquet: rows as lines of JSON (``parquet_rows``), and what stands for what cannot be read.

Law: as of ``canonical.decoders.json``; a record that begins as a Parquet file does is none, and a fault.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from canonical.contracts.fault import FaultCode
from canonical.decoders.json import parse_json
from canonical.decoders.parquet_pages import MAGIC
from canonical.decoders.parquet_rows import GROUP
from canonical.decoders.parsed import Parsed
from canonical.mapping import PlantMapping
from canonical.records import RawRecords, RowFault


def parse_parquet(mapping: PlantMapping, records: RawRecords, rows: NDArray[np.int32] | None = None) -> Parsed:
    """Project the mapped fields of these rows, or all.

    Faults: as of JSON; TRUNCATED and MALFORMED where a file, or a row group of it, cannot be read.
    """
    asked = np.arange(len(records), dtype=np.int32) if rows is None else rows
    body = np.frombuffer(records.data + MAGIC, np.uint8)
    suspect = asked[body[records.starts[asked]] == MAGIC[0]].tolist()
    faults = [RowFault(row, *_refusal(value)) for row in suspect if (value := records.value(row)).startswith(MAGIC)]
    others = np.setdiff1d(asked, np.array([fault.row for fault in faults], np.int32))
    parsed = parse_json(mapping, records, others)
    return replace(parsed, faults=sorted([*parsed.faults, *faults], key=attrgetter("row"))) if faults else parsed


def _refusal(value: bytes) -> tuple[FaultCode, str]:
    if value.startswith(GROUP):
        return FaultCode.MALFORMED, "a row group of the Parquet file is broken, or its pages are too large"
    if value.endswith(MAGIC) and len(value) > len(MAGIC):
        return FaultCode.MALFORMED, "the Parquet file is broken, or is encrypted, or holds nothing but lists"
    return FaultCode.TRUNCATED, "the Parquet file breaks off: it has no footer"
