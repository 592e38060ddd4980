"""Texts as UTF-8, one after the other, that grow only: an Arrow array of all of them costs nothing to make."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canonical.grown import grown

_ENDS: Final = 1
"""Where the first text begins stands before the ends."""


class TextBytes:
    """TEXT[n]; the empty text is the first."""

    __slots__ = ("_bytes", "_count", "_ends")

    def __init__(self) -> None:
        self._count = 1
        self._ends: NDArray[np.int32] = np.zeros(_ENDS + 1, np.int32)
        self._bytes: NDArray[np.uint8] = np.empty(0, np.uint8)

    def __len__(self) -> int:
        return self._count

    def extend(self, texts: list[str]) -> None:
        """Add texts."""
        array = pa.array(texts, pa.string())
        _, ends, data = array.buffers()
        own: NDArray[np.int32] = np.frombuffer(ends, np.int32)[: len(texts) + _ENDS]
        used, count = int(self._ends[self._count]), self._count + len(texts)
        self._ends = grown(self._ends, self._count + _ENDS, count + _ENDS)
        self._ends[self._count + _ENDS : count + _ENDS] = own[_ENDS:] + used
        self._bytes = grown(self._bytes, used, used + int(own[-1]))
        if data is not None:
            self._bytes[used : used + int(own[-1])] = np.frombuffer(data, np.uint8)[: own[-1]]
        self._count = count

    def arrow(self) -> pa.StringArray:
        """Return all of them. What is added later goes behind what the array sees, or into another buffer."""
        return pa.StringArray.from_buffers(self._count, pa.py_buffer(self._ends), pa.py_buffer(self._bytes))
