"""Pins: the version of a mapping that a plant is held to, whatever its file says (A21)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from canonical.mapping import PlantMapping
from canonical.mapping.problems import Finding

Pin = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
"""The beginning of a mapping's digest."""


def pin_problems(pins: Mapping[str, str], mappings: Sequence[PlantMapping]) -> Iterator[Finding]:
    """Yield pins that a plant's mapping does not meet, and those of no plant."""
    named = {mapping.name: mapping for mapping in mappings}
    names = [mapping.name for mapping in mappings]
    for name, pin in pins.items():
        if name not in named:
            yield ("pins", name), "there is no such plant", f"one of {', '.join(sorted(named))}"
        elif names.count(name) > 1:
            yield ("pins", name), "several mappings are of it", "give each system a plant of its own"
        elif not named[name].digest.startswith(pin):
            found = f"the mapping of {name} is version {named[name].digest[:16]}, and another one is pinned"
            yield ("pins", name), found, f"plantsync mapping rollback {name} {pin}, or pin the new version"
