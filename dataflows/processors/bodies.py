"""Body hashes: two records with the same number are duplicates when these are equal.

The hash covers what the event says and leaves out how it travelled (position, raw bytes,
time of recording). A column that is absent hashes like one that holds only its default, and
texts count by content, so that the hash is the same in every batch and every process. 32 bits
are kept: of 4 billion conflicting records one passes as a duplicate.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import (
    COUNTER_COLUMNS,
    DEFAULTS,
    MOVED_COLUMNS,
    QUANTITY_COLUMNS,
    TEXT_COLUMNS,
    EventBatch,
    Vocabulary,
)

BODY_COLUMNS: Final = (*TEXT_COLUMNS, *QUANTITY_COLUMNS, *MOVED_COLUMNS, *COUNTER_COLUMNS, "type", "occurred_us")


def _odd(name: str) -> int:
    """Return the column's own odd 64-bit factor."""
    return (zlib.crc32(name.encode()) << 32 | zlib.crc32(name[::-1].encode())) | 1


FACTORS: Final = {name: np.uint64(_odd(name)) for name in BODY_COLUMNS}
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)


def body_hashes(batch: EventBatch, vocabulary: Vocabulary) -> NDArray[np.uint32]:
    """Return uint32[n], never 0: 0 means that a body is unknown."""
    total = np.zeros(batch.n, np.uint64)
    for name, factor in FACTORS.items():
        if name not in batch:
            continue
        column = batch[name]
        if name in TEXT_COLUMNS:
            value = vocabulary.crc().take(column)
        else:
            value = column.astype(np.int64, copy=False).view(np.uint64)
            default = DEFAULTS[name][1]
            if default:
                value = value - np.int64(default).astype(np.uint64)
        total += value * factor
    total ^= total >> np.uint64(33)
    total *= _MIX
    return (total >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
