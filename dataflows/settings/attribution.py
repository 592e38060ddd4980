"""Settings of attribution: whose confirmations get the order that is at their work centre."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from canonical.mapping import PlantMapping
from canonical.mapping.problems import Finding
from dataflows.processors.posting.presence import AttributionPolicy
from dataflows.section import Section

if TYPE_CHECKING:
    from dataflows.settings import Settings


class AttributionSection(Section):
    """Whose confirmations get an order, and how long is waited for the word of which."""

    plants: tuple[str, ...] = Field(
        default=(), description="Plants whose confirmations get the order at their work centre, where they name none."
    )
    settle_s: float = Field(
        default=60.0, ge=0, le=86_400, description="They wait so long for starts and stops that come by other ways."
    )
    interval_max_s: float = Field(
        default=43_200.0,
        gt=0,
        le=31 * 86_400,
        description="An order of which nothing is heard for so long is not there any more.",
    )
    marks_max: int = Field(default=100_000, ge=1, description="Starts and stops remembered, of all work centres.")

    def policy(self) -> AttributionPolicy:
        """Return what the processor is told."""
        return AttributionPolicy(
            plants=frozenset(self.plants),
            settle_us=round(self.settle_s * 1e6),
            interval_max_us=round(self.interval_max_s * 1e6),
            marks_max=self.marks_max,
        )


def attribution_problems(settings: Settings, mappings: Sequence[PlantMapping]) -> Iterator[Finding]:
    """Yield plants that no mapping is of; one whose records name their plants may be of any."""
    known = {each.plant for each in mappings}
    if not all(known):
        return
    for index, plant in enumerate(settings.attribution.plants):
        if plant not in known:
            yield (
                ("attribution", "plants", index),
                f"no mapping is of plant {plant}",
                f"one of {', '.join(sorted(known))}",
            )
