"""Whether kernels are compiled and in use: without them all is the same, several times slower."""

from __future__ import annotations

from collections.abc import Collection

from canonical.compiled import INSTEAD, Compiled
from dataflows.health.shard_health import Finding
from dataflows.kernels import REMEDY, troubles


def kernel_finding(kernels: Collection[Compiled]) -> Finding:
    """Return whether kernels are compiled and in use; that they are not is nothing wrong, but slow."""
    if found := "; ".join(troubles(kernels)):
        return Finding("kernels", "note", found)
    absent = [str(kernel.path) for kernel in kernels if not kernel.is_there()]
    if absent:
        words = f"not compiled, so {INSTEAD}; where there is a C compiler, {REMEDY}"
        return Finding("kernels", "note", f"{' and '.join(absent)}: {words}")
    return Finding("kernels", "fine", "compiled, and in use")
