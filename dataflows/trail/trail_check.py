"""The audit trail read from a log and verified (M35): whoever checks fences and delays nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dataflows.committed_states import committed_states
from dataflows.settings import Settings
from dataflows.shards import confirmations_shards
from dataflows.sources.shard_source import Clock
from dataflows.stored_records import stored_records
from dataflows.trail.operator_trail import OPERATOR
from sinks.commit_log import Snapshot
from sinks.streams import TRAIL
from sinks.trail import Break, Head, breaks


@dataclass(frozen=True, slots=True)
class TrailReport:
    """What a check found: the head of each chain, how many entries there are, and where chains break."""

    heads: dict[str, Head]
    entries: int
    breaks: list[Break]


def verified(settings: Settings, clock: Clock) -> TrailReport:
    """Read the whole trail and the heads of all chains, and hold them against each other.

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable, MappingError.
    """
    # Read once only to learn of chains whose shards the settings no longer name.
    chains = {(record.key or b"").decode("utf-8", "replace") for _, record in stored_records(settings, TRAIL)}
    before = _heads(settings, clock, chains)
    stored = [record for _, record in stored_records(settings, TRAIL)]
    after = _heads(settings, clock, chains)
    return TrailReport(after, len(stored), breaks(stored, before, after))


def _heads(settings: Settings, clock: Clock, chains: Iterable[str]) -> dict[str, Head]:
    """Return the head of each chain that has begun, of those the settings, the log or ``chains`` name."""
    shards = dict.fromkeys((*confirmations_shards(settings, clock), OPERATOR, *chains))
    return dict(_begun(committed_states(settings, shards)))


def _begun(snapshots: dict[str, Snapshot]) -> Iterator[tuple[str, Head]]:
    for shard, snapshot in snapshots.items():
        head = Head.of(snapshot.state)
        if head is not None:
            yield shard, head
