"""What a placing of rows decides, whichever way it is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.gather import Codes
from dataflows.processors.places import Places

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Release:
    """Rows of the batch and held records that are released together.

    ``codes`` say where the rows are, ordered by (sid, seq); ``sid`` and ``seq`` are theirs. ``gone`` are the
    places of those that were held, ascending; ``keep`` the rows of the batch that wait.
    """

    codes: Codes
    sid: NDArray[np.int32]
    seq: IntColumn
    gone: Places
    keep: Places
