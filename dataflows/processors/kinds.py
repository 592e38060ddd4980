"""Kinds: which types of events a batch may hold, and what each row's type stands for.

Most batches hold rows of one type that is no concern of those who ask; that is told without making the column.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import CodeColumn, EventBatch

SPAN: Final = 256
"""Codes a type may have as a byte."""


def kinds(batch: EventBatch) -> NDArray[np.bool_]:
    """Return bool[256]: the types of these rows, and of others in the batches they are of, where that costs less."""
    found = np.zeros(SPAN, np.bool_)
    origin = None if batch.is_made("type") else batch.origin
    for part in (batch,) if origin is None else origin[0].values():
        if len(part):
            types = part["type"].view(np.uint8)
            if (types == types[0]).all():
                found[types[0]] = True
            else:
                found |= np.bincount(types, minlength=SPAN) > 0
    return found


def looked_up(types: CodeColumn, table: bytes) -> NDArray[np.int8]:
    """Return int8[n]: what stands in a table of ``SPAN`` bytes for each type. An index would be made wider."""
    return np.frombuffer(types.tobytes().translate(table), np.int8)
