"""The heap: keep what batches free, since the next batch takes it again; look for cycles seldom.

Arrays of a batch are a little larger than what the C library hands back to the system at once, so
that without this each batch is mapped, cleared and unmapped anew. Measured on workload W: 8 % of the
processor time of the whole job. The price is that a process keeps the memory of its largest batch.
Arrow takes its memory there too, not from a heap of its own that keeps as much: 12 MB less with 10,000 sources, 40 with
100,000, and no slower.
Source: mallopt(3), glibc; pyarrow.set_memory_pool.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

import pyarrow as pa

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 1 << 30
_PAD_BYTES: Final = 64 << 20


def keep_heap() -> None:
    """Have one heap, of which the C library keeps up to ``_KEPT_BYTES`` that are free; without glibc do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        pa.set_memory_pool(pa.system_memory_pool())
        for option, size in (
            (_TRIM_THRESHOLD, _KEPT_BYTES),
            (_TOP_PAD, _PAD_BYTES),
            (_MMAP_THRESHOLD, _KEPT_BYTES),
        ):
            mallopt(option, size)


def collect_seldom() -> None:
    """Have Python look for cycles after 50,000 new objects instead of 700.

    What a desk remembers and what waits for a commit are up to millions of objects without cycles, through which it
    would go again and again. Measured: a tenth of the processor time of the flow ``postings``, and 6 % of that of
    ``confirmations``.
    """
    gc.set_threshold(50_000, 20, 50)
