"""Residency: the region that a plant's data may not leave, and the regions of a sink (M50).

Law: a plant without a region may be received anywhere; one with a region only by a sink that names it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

Region = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""A name that mappings and settings agree on, as ``eu``."""


def admits(regions: Collection[str] | None, region: str) -> bool:
    """Return whether a sink of these regions may receive the data of a plant of that one, empty for none."""
    return not region or region in (regions or ())
