"""Logs and stores that are broken on purpose: what the harness must notice, else it could not fail."""

from __future__ import annotations

from sinks.analytics.store import Store
from sinks.kafka import KafkaLog
from sinks.sqlite import SqliteLog


class RecordsFirst(SqliteLog):
    """Records in one transaction, state and position in the next: a crash between them posts twice."""

    def commit(self, shard, position, state, records):
        with self._lock, self._transaction("records"):
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", self._rows(shard, records))
        super().commit(shard, position, state, [])


class StateFirst(SqliteLog):
    """State and position in one transaction, records in the next: a crash between them loses postings."""

    def commit(self, shard, position, state, records):
        super().commit(shard, position, state, [])
        super().commit(shard, position, {}, records)


class KafkaStateFirst(KafkaLog):
    """The same on Kafka."""

    def commit(self, shard, position, state, records):
        super().commit(shard, position, state, [])
        super().commit(shard, position, {}, records)


class Unfenced(SqliteLog):
    """Commits whoever has restored the shard since: of two that run it, both post."""

    def commit(self, shard, position, state, records):
        query = "SELECT generation FROM shard WHERE shard = ?"
        ((self._generations[shard],),) = self._db.execute(query, (shard,)).fetchall()
        super().commit(shard, position, state, records)


class StorePositionFirst(Store):
    """The position in one transaction, the rows in the next: a crash between them loses rows."""

    def commit(self, shard, position, tables):
        super().commit(shard, position, {})
        return super().commit(shard, position, tables)


MUTANTS = {
    "records-first": {"SqliteLog": RecordsFirst},
    "state-first": {"SqliteLog": StateFirst},
    "unfenced": {"SqliteLog": Unfenced},
    "kafka-state-first": {"KafkaLog": KafkaStateFirst},
    "store-position-first": {"Store": StorePositionFirst},
}
"""By name: what takes the place of which class of the flow."""
