"""Commit logs that are broken on purpose: what the harness must notice, else it could not fail."""

from __future__ import annotations

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
        with self._lock, self._transaction("state"):
            self._db.execute("UPDATE shard SET position = ? WHERE shard = ?", (position, shard))
            rows = [(shard, part, value) for part, value in state.items()]
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", rows)
        super().commit(shard, position, {}, records)


MUTANTS = {"records-first": RecordsFirst, "state-first": StateFirst}
