"""The library of compiled kernels (``canonical/decoders/*.c``); every one has a twin in Python that does the same.

Law: nothing depends on whether a kernel is there, but the time it takes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

LIBRARY: Final = Path(__file__).parent / "decoders" / "kernel.so"
POINTER: Final = ctypes.c_void_p
INT64: Final = ctypes.c_int64
INT32: Final = ctypes.c_int32


def _loaded() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None  # no C compiler was there to make it


_LIBRARY: Final = _loaded()


def function(name: str, arguments: tuple[Any, ...], layouts: Mapping[str, type[ctypes.Structure]] | None = None) -> Any:
    """Return a kernel's function, which gives an int64; None where there is none.

    Args: layouts: by the name of the library's constant that tells its size, each structure the function takes. A
          kernel of another release, whose structures differ, is none.
    """
    if _LIBRARY is None:
        return None
    try:
        for constant, layout in (layouts or {}).items():
            if INT64.in_dll(_LIBRARY, constant).value != ctypes.sizeof(layout):
                return None
        found = getattr(_LIBRARY, name)
    except (AttributeError, ValueError):
        return None
    found.restype = INT64
    found.argtypes = arguments
    return found


def constant(name: str) -> int:
    """Return the int64 constant of the library of this name, 0 where there is none."""
    try:
        return 0 if _LIBRARY is None else INT64.in_dll(_LIBRARY, name).value
    except ValueError:
        return 0


def address(array: NDArray[Any]) -> int:
    """Return where the array's first item is; the array must outlive what is done with it."""
    return int(array.ctypes.data)
