"""What the postings flow decides by: the settings, and the zones and shifts of the plants."""

from __future__ import annotations

from dataclasses import replace

from dataflows.processors.posting.policy import PostingPolicy
from dataflows.residency import receivers
from dataflows.settings import Settings


def posting_policy(settings: Settings) -> PostingPolicy:
    """Return what the postings flow decides by. Raises: MappingError."""
    gathering = settings.gathering
    return replace(
        settings.postings.policy(),
        gathering=gathering.policy(settings.mappings()),
        attribution=settings.attribution.policy(),
        backflushed=gathering.backflushed,
        resident=receivers(settings),
    )
