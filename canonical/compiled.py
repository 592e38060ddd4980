"""A library of compiled kernels: what of it can be used, and why the rest cannot.

Law: what is not taken from the library is done in Python, with the same results.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

INSTEAD: Final = "Python does the work, with the same results, several times slower"
_INT64: Final = ctypes.c_int64


class Compiled:
    """The library at ``path``, compiled from all C files of its folder, which may lie there still."""

    def __init__(self, path: Path) -> None:
        """Load it; that it is not there, or cannot be loaded, is no error."""
        self.path: Final = path
        self._refused: list[str] = []
        self._library, self._error = _loaded(path)

    def function(
        self,
        name: str,
        arguments: tuple[Any, ...],
        layouts: Mapping[str, type[ctypes.Structure]] | None = None,
        result: Any = _INT64,
    ) -> Any:
        """Return a kernel's function; None where there is none.

        Args: layouts: by the name of the library's constant that tells its size, each structure the function takes. A
              kernel of another release, whose structures differ, is none; result: the C type of what it gives.
        """
        if self._library is None:
            return None
        if any(self._number(size) != ctypes.sizeof(layout) for size, layout in (layouts or {}).items()):
            found = None
        else:
            found = getattr(self._library, name, None)
        if found is None:
            self._refused.append(name)
            return None
        found.restype = result
        found.argtypes = arguments
        return found

    def constant(self, name: str) -> int:
        """Return the int64 constant of this name, 0 where there is none."""
        return self._number(name) or 0

    def is_there(self) -> bool:
        """Return whether there is a file, of use or not."""
        return self.path.is_file()

    def trouble(self) -> str:
        """Return what is wrong with a library that is there, empty where nothing is.

        Of its functions it knows those that were asked for: call it when what is to run has been imported.
        """
        if not self.is_there():
            return ""
        if self._library is None:
            return f"it cannot be loaded ({self._error}), so {INSTEAD}"
        if self._refused:
            names = ", ".join(dict.fromkeys(self._refused))
            return f"it was compiled from another release, and its {names} cannot be called, so {INSTEAD}"
        if self._is_stale():
            return "it was compiled from other C files than those beside it, and may do what another release did"
        return ""

    def _is_stale(self) -> bool:
        """Whether it was compiled from other sources; one that was compiled by hand does not know from which."""
        sources = digest(self.path.parent)
        return sources != 0 and self._number("source_digest") not in {0, sources}

    def _number(self, name: str) -> int | None:
        try:
            return None if self._library is None else _INT64.in_dll(self._library, name).value
        except ValueError:
            return None


def digest(folder: Path) -> int:
    """Return what tells the C files of a folder from others, as ``hatch_build.py`` makes it; 0 where there are none."""
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))


def _loaded(path: Path) -> tuple[ctypes.CDLL | None, str]:
    try:
        return ctypes.CDLL(str(path)), ""
    except OSError as error:
        return None, str(error)
