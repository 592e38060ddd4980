"""Several inputs as one shard: each with its own reader, its own position and its own state.

Laws: of each input the records come in its own order, none twice, none left out, whatever the others do; an input that
always has more does not keep the others waiting longer than one batch of each. Which input a batch is from stands
before its topic, ``name|topic``; ``input_of`` takes it apart.

An input that is new begins at its beginning; one that is gone is remembered, in case it comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.reader import Reader

BETWEEN: Final = "|"
OWN: Final = "source."
"""Parts of a reader's state begin so."""


class Merged:
    """Reads its inputs in turn, also over restarts; a ``Reader``.

    Args: readers: by name, which must stay the same over restarts.
    """

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        assert all(BETWEEN not in name for name in readers), f"{[*readers]}: no {BETWEEN} in a name"
        self._readers = dict(readers)
        self._turn = list(readers)
        self._gone: dict[str, str] = {}

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on where each input stood."""
        known: dict[str, Any] = {"places": {}, "turn": []} if position is None else orjson.loads(position)
        places: dict[str, str] = known["places"]
        self._turn.sort(key=lambda name: known["turn"].index(name) if name in known["turn"] else -1)
        self._gone = {name: place for name, place in places.items() if name not in self._readers}
        for name, reader in self._readers.items():
            own = f"{OWN}{name}{BETWEEN}"
            parts = {OWN + part.removeprefix(own): value for part, value in state.items() if part.startswith(own)}
            reader.seek(places.get(name), parts)

    def poll(self) -> RawRecords:
        """Return the next records of the first input in turn that has some."""
        for name in list(self._turn):
            if self.rests(name):
                continue
            raw = self._readers[name].poll()
            if len(raw):
                self._turn.remove(name)
                self._turn.append(name)
                return replace(raw, topic=f"{name}{BETWEEN}{raw.topic}")
        return NO_RECORDS

    def position(self) -> str:
        """Return where each input goes on, and whose turn it is."""
        places = {name: reader.position() for name, reader in self._readers.items()}
        return orjson.dumps({"places": {**self._gone, **places}, "turn": self._turn}).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what the positions need beyond themselves."""
        return {
            f"{OWN}{name}{BETWEEN}{part.removeprefix(OWN)}": value
            for name, reader in self._readers.items()
            for part, value in reader.state().items()
        }

    def at_end(self) -> bool:
        """Return whether everything that is there now has been polled from all that do not rest."""
        return all(reader.at_end() for name, reader in self._readers.items() if not self.rests(name))

    def rests(self, name: str) -> bool:
        """Return whether an input is not to be read now."""
        return False

    def behind(self) -> int:
        """Return how much is there that has not been polled, of all."""
        return sum(reader.behind() for reader in self._readers.values())

    def close(self) -> None:
        """Release what the readers hold."""
        for reader in self._readers.values():
            reader.close()


def input_of(raw: RawRecords) -> tuple[str, RawRecords]:
    """Return the name of the input a batch is from, and the batch under its own topic."""
    name, _, topic = raw.topic.partition(BETWEEN)
    return name, replace(raw, topic=topic)
