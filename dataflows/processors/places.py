"""Places of rows that lie together by group: where each group begins, and each row's place in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn

Places = NDArray[np.intp]
"""Row numbers."""


def heads_of(group: NDArray[np.integer]) -> Places:
    """Return the first row of each run of equal values, ascending."""
    first = np.ones(len(group), np.bool_)
    np.not_equal(group[1:], group[:-1], out=first[1:])
    return np.flatnonzero(first)


def place_in_run(group: NDArray[np.integer]) -> IntColumn:
    """Return each row's place within its run of equal values, from 0."""
    place = np.arange(len(group))
    heads = heads_of(group)
    return place - np.repeat(heads, np.diff(heads, append=len(group)))
