"""A stream of an embedded commit log as one shard: how a flow reads what another committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import orjson

from canonical.records import NO_RECORDS, RawRecords
from sinks.commit_log import Streams

BATCH_RECORDS: Final = 10_000


class LogStream:
    """Reads one stream; a ``Reader``."""

    def __init__(self, streams: Streams, stream: str) -> None:
        self.stream = stream
        self._streams = streams
        self._after = 0

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on behind the committed offset."""
        self._after = 0 if position is None else orjson.loads(position)["offset"]

    def poll(self) -> RawRecords:
        """Return up to ``BATCH_RECORDS`` records."""
        stored = self._streams.read(self.stream, self._after, BATCH_RECORDS)
        if not stored:
            return NO_RECORDS
        offsets = np.array([record.offset for record in stored], np.int64)
        self._after = int(offsets[-1])
        return RawRecords.from_values(
            [record.value for record in stored],
            offsets,
            topic=self.stream,
            keys=[record.key for record in stored],
            headers=[record.headers for record in stored],
        )

    def position(self) -> str:
        """Return the offset of the last record read."""
        return orjson.dumps({"stream": self.stream, "offset": self._after}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return nothing: the offset is all."""
        return {}

    def at_end(self) -> bool:
        """Return whether the last poll found nothing more."""
        return self._streams.end(self.stream) <= self._after

    def behind(self) -> int:
        """Return the number of records that follow."""
        return max(self._streams.end(self.stream) - self._after, 0)

    def close(self) -> None:
        """Release the reader of the log."""
        self._streams.close()
