"""The libraries of compiled kernels there are, and what is to be told of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from canonical.compiled import Compiled
from canonical.kernel import LIBRARY

MESSAGES: Final = Compiled(Path(__file__).parent / "sources" / "kernel.so")
"""What takes messages of a partition (``dataflows/sources/*.c``)."""
KERNELS: Final = (LIBRARY, MESSAGES)
REMEDY: Final = "run bin/environment in a checkout (each target of make does), or reinstall the package"


def troubles(kernels: Iterable[Compiled]) -> Iterator[str]:
    """Yield what is wrong with each library that is there and not, or not wholly, of use, and what to do."""
    for kernel in kernels:
        if trouble := kernel.trouble():
            yield f"{kernel.path}: {trouble}; {REMEDY}"
