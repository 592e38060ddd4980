"""A commit log whose restore and commit can be hit between any two of their steps.

What is durable is a ``MemoryStore``, the reference. A commit gathers its records, state and position
where no one sees them, and then publishes all of it at once; what was gathered dies with the process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dataflows.proof.faults import Place
from dataflows.proof.partition import Surroundings
from sinks.commit_log import FENCED, Record, Snapshot, Stored, WriterFenced
from sinks.memory import MemoryLog, MemoryStore


@dataclass(frozen=True, slots=True)
class Published:
    """What has become visible at one instant: records, and where the shard stands from then on."""

    shard: str
    snapshot: Snapshot | None
    records: Collection[Record]
    at_us: int

    @property
    def position(self) -> int:
        """The offset of the first record that the shard has not accounted for."""
        return int(self.snapshot.position) if self.snapshot else 0


@dataclass(slots=True)
class Store(MemoryStore):
    """The durable part, with the history of what could be seen."""

    history: list[Published] = field(default_factory=list)

    def show(self, published: Published) -> None:
        """Store what a commit has made visible."""
        if published.snapshot is not None:
            self.snapshots[published.shard] = published.snapshot
        for record in published.records:
            rows = self.records.setdefault(record.stream, [])
            rows.append(Stored(len(rows) + 1, record.key, record.value, record.headers))
        self.history.append(published)


class SteppedLog(MemoryLog):
    """One process's writer on a store; a ``CommitLog``."""

    store: Store

    def __init__(self, store: Store, around: Surroundings) -> None:
        super().__init__(store)
        self._around = around

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit."""
        self._around.pass_by(Place.RESTORE)
        self._fence(shard)
        self._around.pass_by(Place.FENCED)
        snapshot = self._read(shard)
        self._around.pass_by(Place.RESTORED)
        return snapshot

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """Store all of it or nothing. Raises: WriterFenced, and what the surroundings do."""
        self._around.pass_by(Place.COMMIT)
        self._check(shard)
        self._around.pass_by(Place.CHECKED)
        staged_records = list(records)
        self._around.pass_by(Place.STAGED_RECORDS)
        staged_state = dict(state)
        self._around.pass_by(Place.STAGED_STATE)
        staged_position = position
        self._around.pass_by(Place.STAGED_POSITION)
        self._publish(shard, staged_position, staged_state, staged_records)
        self._around.pass_by(Place.PUBLISHED)

    def _fence(self, shard: str) -> None:
        super().restore(shard)

    def _read(self, shard: str) -> Snapshot | None:
        return self.store.snapshots.get(shard)

    def _check(self, shard: str) -> None:
        """Refuse early; only the check inside ``_publish`` is one with the storing."""
        if self.store.generations[shard] != self._generations[shard]:
            raise WriterFenced(f"commit of shard {shard!r} refused: {FENCED}")

    def _publish(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        super().commit(shard, position, state, records)
        self.store.history.append(Published(shard, self.store.snapshots.get(shard), records, self._around.now_us))
