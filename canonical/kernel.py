"""The library of compiled kernels (``canonical/decoders/*.c``); every one has a twin in Python that does the same.

Law: nothing depends on whether a kernel is there, but the time it takes.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from canonical.compiled import Compiled

LIBRARY: Final = Compiled(Path(__file__).parent / "decoders" / "kernel.so")
POINTER: Final = ctypes.c_void_p
INT64: Final = ctypes.c_int64
INT32: Final = ctypes.c_int32

function: Final = LIBRARY.function
constant: Final = LIBRARY.constant


def address(array: NDArray[Any]) -> int:
    """Return where the array's first item is; the array must outlive what is done with it."""
    return int(array.ctypes.data)
