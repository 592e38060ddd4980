"""What a shard knows of a registry's schemas: kept with its state, so that what it has read it can always read again.

Law: a schema that was handed on once is known to every later commit of the shard, whether the registry is there or not,
as far as ``schemas_max`` reaches. That an id has no schema is forgotten after ``refused_s``: it may be given one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson

from canonical.decoders.avro_frames import named_ids
from canonical.mapping import PlantMapping
from canonical.records import NamedSchemas, RawRecords
from canonical.writer_schema import writer_schema
from dataflows.sources.schema_registry import Asked, SchemaRegistry

PART: Final = "source.schemas"
IDS_MAX: Final = 64
"""Ids asked for at a time, so that a shard with many that nobody knows does not keep others waiting."""


class KnownSchemas:
    """Schemas of one shard by id.

    Args: mapping: of the plant, whose own ids are not asked for; clock: now in UTC microseconds.
    """

    def __init__(self, registry: SchemaRegistry, mapping: PlantMapping, clock: Callable[[], int]) -> None:
        assert mapping.avro is not None, "a mapping has the section of its format"
        self._registry, self._own, self._clock = registry, frozenset(mapping.avro.ids), clock
        self._texts: dict[int, str] = {}  # the one not used longest first
        self._refused: dict[int, tuple[int, str]] = {}  # until when, and why
        self._changed = False

    def seek(self, state: Mapping[str, bytes]) -> None:
        """Take up what a state keeps."""
        kept: dict[str, str] = orjson.loads(state.get(PART, b"{}"))
        self._texts = {int(number): text for number, text in kept.items() if _is_schema(text)}

    def state(self) -> Mapping[str, bytes]:
        """Return what is to be kept, when that has changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {PART: orjson.dumps({str(number): text for number, text in self._texts.items()})}

    def unknown(self, ids: Sequence[int]) -> list[int]:
        """Return those ids that the registry has to be asked for."""
        now_us = self._clock()
        return [
            number
            for number in ids
            if number not in self._own
            and number not in self._texts
            and (number not in self._refused or self._refused[number][0] <= now_us)
        ]

    def ask(self, ids: Sequence[int]) -> Asked:
        """Begin to ask the registry for the first of some ids."""
        return self._registry.ask(ids[:IDS_MAX])

    def learn(self, asked: Asked) -> None:
        """Take in what the registry said. Raises: SourceUnavailable, AnswerUnusable where it did not say all."""
        self._changed |= bool(asked.texts)
        self._texts |= asked.texts
        until_us = self._clock() + round(self._registry.section.refused_s * 1e6)
        self._refused |= {number: (until_us, reason) for number, reason in asked.refused.items()}
        if asked.error is not None:
            raise asked.error

    def handed_on(self, ids: Sequence[int]) -> NamedSchemas:
        """Return what is known of the ids of a batch; beyond them no more than may be kept is remembered."""
        texts = {number: self._texts.pop(number) for number in ids if number in self._texts}
        refused = {number: self._refused[number][1] for number in ids if number in self._refused}
        self._texts |= texts
        for number in list(self._texts)[: max(len(self._texts) - self._registry.section.schemas_max, 0)]:
            del self._texts[number]
            self._changed = True
        now_us = self._clock()
        self._refused = {number: each for number, each in self._refused.items() if each[0] > now_us}
        return NamedSchemas(texts, refused)

    def named(self, records: RawRecords) -> RawRecords:
        """Return records with the schemas they name, waiting for the registry where it has to be asked.

        Raises: SourceUnavailable, AnswerUnusable.
        """
        ids = named_ids(records)
        unknown = self.unknown(ids)
        while unknown:
            asked = self.ask(unknown)
            asked.done.wait()
            self.learn(asked)
            unknown = unknown[len(asked.ids) :]
        return replace(records, schemas=self.handed_on(ids))


def _is_schema(text: str) -> bool:
    """Return whether a text is a schema for this release, as it was for the one that kept it."""
    try:
        writer_schema(text)
    except ValueError:
        return False
    return True
