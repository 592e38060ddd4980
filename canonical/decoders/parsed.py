"""What a format's parser hands on: the mapped fields as Arrow arrays, before they mean anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.columns import EventBatch
from canonical.records import RowFault


@dataclass(frozen=True, slots=True)
class Parsed:
    """PARSED[k]: the records of a raw batch that have the declared form.

    ``rows`` (int32[k], increasing) are their rows in the raw batch. ``fields`` holds, by canonical
    field name (``source``, ``seq``, ``occurred``, ``good``, ...) or input, one Arrow array of length k:
    text as string, numbers as float64 or as string, null where the record has none.
    ``faults`` are the rows that have no such form. Rows in neither are no records (a header, a
    blank line, a part of an asset's document); no row is in both.

    ``further`` are rows whose fields have other types (Avro's unions), each part as this one.
    """

    rows: pa.Int32Array
    fields: Mapping[str, pa.Array]
    faults: list[RowFault] = field(default_factory=list)
    further: tuple[Parsed, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """EVENT[k] of the records that a kernel could read, in row order, and the rows that the mapping skips, int32."""

    events: EventBatch
    skipped: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class Decoded:
    """EVENT[k] and the faults of a raw batch.

    ``skipped`` counts lines that are no records (a CSV header, an empty line);
    k + faults + skipped = rows of the batch.
    """

    events: EventBatch
    faults: list[RowFault] = field(default_factory=list)
    skipped: int = 0
