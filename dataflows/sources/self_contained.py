"""A reader whose position says all it needs, for those who store a position and nothing else.

Law: as of the reader it is made of; its state goes where its position goes.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from canonical.records import RawRecords
from dataflows.sources.reader import Reader


class SelfContained:
    """Reads what another ``Reader`` does, whose state must be text; a ``Reader``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._state: dict[str, str] = {}

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a position of this class's."""
        if position is None:
            self._reader.seek(None, {})
            return
        whole = orjson.loads(position)
        self._state = whole["state"]
        self._reader.seek(whole["place"], {part: value.encode() for part, value in self._state.items()})

    def poll(self) -> RawRecords:
        """Return the next records, none when there are none now."""
        return self._reader.poll()

    def position(self) -> str:
        """Return where the next poll goes on, and all that is known of what was read."""
        self._state |= {part: value.decode() for part, value in self._reader.state().items()}
        return orjson.dumps({"place": self._reader.position(), "state": self._state}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return nothing: the position has it."""
        return {}

    def at_end(self) -> bool:
        """Return whether everything that is there now has been polled."""
        return self._reader.at_end()

    def behind(self) -> int:
        """Return how much is there that has not been polled."""
        return self._reader.behind()

    def close(self) -> None:
        """Release what the reader holds."""
        self._reader.close()
