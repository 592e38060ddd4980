"""Records of collectors back into their streams of the spool, in two steps that a crash may part: prepared, then told.

Law: exactly once for each replay. What is prepared lies in the state of a shard of its own, which nobody reads; telling
it appends the records to their streams and removes what was prepared in one transaction. Whether a replay that was cut
off between the two is told or discarded, its entry in the audit trail decides (M29).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final, Self

import orjson

from dataflows.settings import Settings
from dataflows.spool import shard_of
from sinks.commit_log import Record
from sinks.sqlite import SqliteLog

COLLECTED: Final = shard_of("")
"""How the names of shards begin whose records come from collectors."""
SHARD: Final = "replay"
PREPARED: Final = "prepared"


class ReplaySpool:
    """The writer of replays to the spool; a context. It fences whoever else is about to replay.

    Raises: CommitLogUnavailable, CommitLogError; everything but ``close`` also WriterFenced.
    """

    def __init__(self, settings: Settings) -> None:
        self._log = SqliteLog(settings.spool.path)
        snapshot = self._log.restore(SHARD)
        self._prepared = snapshot.state.get(PREPARED, b"") if snapshot is not None else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def prepare(self, replay: str, records: Sequence[Record]) -> None:
        """Store the records of a replay, durably, where nobody reads them yet."""
        written = [
            (
                record.stream,
                None if record.key is None else _text(record.key),
                _text(record.value),
                [(name, _text(value)) for name, value in record.headers],
            )
            for record in records
        ]
        prepared = orjson.dumps({"replay": replay, "records": written})
        self._log.commit(SHARD, replay, {PREPARED: prepared}, [])
        self._prepared = prepared

    def finish(self, replay: str) -> bool:
        """Tell what was prepared if it is of this replay, else discard it; return whether it was told."""
        if not self._prepared:
            return False
        found = orjson.loads(self._prepared)
        told: bool = found["replay"] == replay
        records = [
            Record(
                stream,
                None if key is None else base64.b64decode(key),
                base64.b64decode(value),
                tuple((name, base64.b64decode(text)) for name, text in headers),
            )
            for stream, key, value, headers in (found["records"] if told else ())
        ]
        self._log.commit(SHARD, found["replay"], {PREPARED: b""}, records)
        self._prepared = b""
        return told


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
