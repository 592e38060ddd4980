"""The commit log in memory: the reference that simulations run on and other adapters are held to.

Law: a ``MemoryStore`` is the durable thing and outlives its writers; a ``MemoryLog`` is one writer.
Dropping a log without closing it is a crash, and a new log on the same store is the restart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sinks.commit_log import FENCED, Record, Snapshot, Stored, WriterFenced


@dataclass(slots=True)
class MemoryStore:
    """What all writers share, read as ``Streams``. Size: O(records); nothing is ever removed."""

    generations: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    records: dict[str, list[Stored]] = field(default_factory=dict)

    def streams(self) -> list[str]:
        """Names of the streams that have records, sorted."""
        return sorted(self.records)

    def read(self, stream: str, after_offset: int, limit: int) -> list[Stored]:
        """Return up to ``limit`` records that follow ``after_offset``, in order."""
        return self.records.get(stream, [])[after_offset : after_offset + limit]

    def end(self, stream: str) -> int:
        """Offset of the last record, 0 when there is none."""
        return len(self.records.get(stream, []))

    def count(self, stream: str) -> int:
        """Number of records."""
        return self.end(stream)

    def close(self) -> None:
        """Keep everything: the store outlives its readers."""


class MemoryLog:
    """One writer on a store (see ``CommitLog``), by default on one of its own."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = MemoryStore() if store is None else store
        self._generations: dict[str, int] = {}

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit."""
        generation = self.store.generations.get(shard, 0) + 1
        self.store.generations[shard] = self._generations[shard] = generation
        return self.store.snapshots.get(shard)

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """Store all of it or nothing.

        Raises: WriterFenced.
        """
        assert shard in self._generations, f"restore shard {shard!r} before committing to it"
        store = self.store
        if store.generations[shard] != self._generations[shard]:
            raise WriterFenced(f"commit of shard {shard!r} refused: {FENCED}")
        before = store.snapshots[shard].state if shard in store.snapshots else {}
        after = {part: value for part, value in {**before, **state}.items() if value}
        fresh: dict[str, list[Stored]] = {}
        for record in records:
            rows = fresh.setdefault(record.stream, [])
            rows.append(Stored(store.end(record.stream) + len(rows) + 1, record.key, record.value, record.headers))
        # Nothing below can fail, which is what makes this one transaction.
        store.snapshots[shard] = Snapshot(position, after)
        for stream, rows in fresh.items():
            store.records.setdefault(stream, []).extend(rows)

    def close(self) -> None:
        """Forget the shards this writer held; the store keeps what was committed."""
        self._generations.clear()
