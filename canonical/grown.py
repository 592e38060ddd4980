"""Columns that grow by doubling, so that adding costs the same however long they are."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Item = TypeVar("_Item", bound=np.generic)


def grown(column: NDArray[_Item], used: int, size: int) -> NDArray[_Item]:
    """Return a column with room for ``size`` items, the first ``used`` as they were; the same while it has room."""
    if size <= len(column):
        return column
    out = np.zeros((max(size, 2 * len(column)), *column.shape[1:]), column.dtype)
    out[:used] = column[:used]
    return out
