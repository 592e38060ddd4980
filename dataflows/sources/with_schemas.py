"""A reader of Avro messages whose schemas a registry knows: each batch is handed on with the schemas it names.

Law: what is handed on, and in which order, is what the reader gives; a batch waits until the registry has said a
schema, or that there is none, for each of its ids. While it does not answer, nothing of the batch is passed on or
committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from canonical.decoders.avro_frames import named_ids
from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.known_schemas import KnownSchemas
from dataflows.sources.reader import Reader
from dataflows.sources.schema_registry import Asked, SchemaRegistry
from dataflows.sources.shard_source import Clock, ShardInput, timeless

WAIT_S: Final = 0.005
"""So long a poll waits for an answer that is quick."""


@dataclass(slots=True)
class _Waiting:
    """A batch that waits: its ids, those that are still to be asked for, and where the reader stood before it."""

    records: RawRecords
    ids: list[int]
    unknown: list[int]
    position: str
    asked: Asked
    due_us: int = field(default=0)


def opened(source: ShardInput, clock: Clock) -> Reader:
    """Return a reader of a shard, with the schemas of its registry where it has one."""
    if source.registry is None:
        return source.open()
    return WithSchemas(source.open(), _known(source.registry, source, clock), source.registry.section.timeout_s, clock)


def recalled(source: ShardInput, state: Mapping[str, bytes]) -> KnownSchemas | None:
    """Return what a shard's committed state knows, for those who look at records read before; None: it has no registry.

    What the registry refuses is refused as long as they look.
    """
    if source.registry is None:
        return None
    known = _known(source.registry, source, timeless)
    known.seek(state)
    return known


def _known(registry: SchemaRegistry, source: ShardInput, clock: Clock) -> KnownSchemas:
    assert source.mapping is not None, "records that name schemas are a plant's"
    return KnownSchemas(registry, source.mapping, clock)


class WithSchemas:
    """Reads what another ``Reader`` does, whose position must say all it needs; a ``Reader``."""

    def __init__(self, reader: Reader, known: KnownSchemas, patience_s: float, clock: Clock) -> None:
        self._reader, self._known, self._clock = reader, known, clock
        self._patience_us = round(patience_s * 1e6)
        self._waiting: _Waiting | None = None

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position."""
        self._reader.seek(position, state)
        self._known.seek(state)
        self._waiting = None

    def poll(self) -> RawRecords:
        """Return the next records; none while the registry is asked. Raises: SourceUnavailable, AnswerUnusable."""
        if self._waiting is None:
            position = self._reader.position()
            records = self._reader.poll()
            if not len(records):
                return records
            ids = named_ids(records)
            unknown = self._known.unknown(ids)
            if not unknown:
                return replace(records, schemas=self._known.handed_on(ids))
            self._waiting = _Waiting(records, ids, unknown, position, self._known.ask(unknown))
            self._be_patient(self._waiting)
        return self._answered(self._waiting)

    def position(self) -> str:
        """Return where the next poll goes on, a batch that waits included."""
        return self._reader.position() if self._waiting is None else self._waiting.position

    def state(self) -> Mapping[str, bytes]:
        """Return the schemas to be kept, when they have changed."""
        return self._known.state()

    def at_end(self) -> bool:
        """Return whether everything that is there now has been handed on."""
        return self._waiting is None and self._reader.at_end()

    def behind(self) -> int:
        """Return how much is there that has not been handed on."""
        return self._reader.behind() + (0 if self._waiting is None else len(self._waiting.records))

    def close(self) -> None:
        """Release the reader; what is being asked is answered to nobody."""
        self._reader.close()

    def _answered(self, waiting: _Waiting) -> RawRecords:
        """Return the batch that waits, if all its schemas are known now."""
        while waiting.asked.done.wait(WAIT_S):
            self._known.learn(waiting.asked)
            waiting.unknown = waiting.unknown[len(waiting.asked.ids) :]
            if not waiting.unknown:
                self._waiting = None
                return replace(waiting.records, schemas=self._known.handed_on(waiting.ids))
            waiting.asked = self._known.ask(waiting.unknown)
            self._be_patient(waiting)
        if self._clock() > waiting.due_us:
            raise SourceUnavailable("the schema registry lets us wait. Check the address and the network.")
        return NO_RECORDS

    def _be_patient(self, waiting: _Waiting) -> None:
        waiting.due_us = self._clock() + self._patience_us * (1 + len(waiting.asked.ids))
