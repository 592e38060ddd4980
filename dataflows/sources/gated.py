"""A reader behind a gate: no more comes out of it than there is room for.

Law: the records, their order and their offsets are those of the reader; whatever the room is at any time, none is left
out and none comes twice, across restarts too. What the reader has given and the gate has not waits here: one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.reader import Reader


class Gated:
    """Reads another reader; a ``Reader``. Args: room: how many records may come now."""

    def __init__(self, reader: Reader, room: Callable[[], int]) -> None:
        self._reader, self._room = reader, room
        self._batch = NO_RECORDS
        self._given = 0  # rows of the batch, and of those before it since the position
        self._begin = 0  # of the batch, counted from the position
        self._place = ""

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position; None starts at the beginning."""
        known = {} if position is None else orjson.loads(position)
        self._reader.seek(known.get("place"), state)
        self._place = self._reader.position()
        self._batch, self._begin, self._given = NO_RECORDS, 0, known.get("given", 0)

    def poll(self) -> RawRecords:
        """Return the next records, as many as there is room for."""
        room = self._room()
        if room <= 0:
            return NO_RECORDS
        if not self._next():
            return NO_RECORDS
        first = self._given - self._begin
        last = min(first + room, len(self._batch))
        self._given += last - first
        return _rows(self._batch, first, last)

    def position(self) -> str:
        """Return where the next poll goes on."""
        return orjson.dumps({"place": self._place, "given": self._given}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what the reader's position needs beyond itself."""
        return self._reader.state()

    def at_end(self) -> bool:
        """Return whether everything that is there now has come out."""
        return self._given >= self._begin + len(self._batch) and self._reader.at_end()

    def behind(self) -> int:
        """Return how much has not come out."""
        # What was given before a restart is read once more, and does not come out again.
        return max(self._reader.behind() + self._begin + len(self._batch) - self._given, 0)

    def close(self) -> None:
        """Release what the reader holds."""
        self._reader.close()

    def _next(self) -> bool:
        """Take the next batch of which something has not been given; return whether there is one."""
        while self._given >= self._begin + len(self._batch):
            if self._given == self._begin + len(self._batch):  # all of it is out: the position moves on
                self._place, self._begin, self._given = self._reader.position(), 0, 0
            else:  # given before a restart
                self._begin += len(self._batch)
            self._batch = self._reader.poll()
            if not len(self._batch):
                return False
        return True


def _rows(raw: RawRecords, first: int, last: int) -> RawRecords:
    """Return some of the rows; their bytes are not copied."""
    return replace(
        raw,
        starts=raw.starts[first:last],
        ends=raw.ends[first:last],
        offsets=raw.offsets[first:last],
        keys=None if raw.keys is None else raw.keys[first:last],
        headers=None if raw.headers is None else raw.headers[first:last],
    )
