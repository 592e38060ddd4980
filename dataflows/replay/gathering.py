"""Finding the records a replay is to send: who matches, what the mapping now in force makes of them (M29).

Law: every dead letter that matches is taken or counted under the reason why not: replayed before, bytes
gone, of a shard the settings do not name, still faulty, or found not to be meant once it could be read.
At most ``limit`` records are taken, and the search ends there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.mapping import PlantMapping
from canonical.records import Headers, NamedSchemas, RawRecords
from dataflows.dead_letter_box import letter as letter_at
from dataflows.dead_letter_box import letters, set_aside_by
from dataflows.replay.original_records import OriginalRecords, original
from dataflows.replay.selection import CONTENT_BYTES_MAX, ReplayedPlaces, ReplayRefused, Selection
from dataflows.settings import Settings
from dataflows.sources.known_schemas import KnownSchemas
from dataflows.sources.shard_source import ShardInput
from dataflows.sources.with_schemas import recalled
from sinks.commit_log import Snapshot, Stored
from sinks.dead_letters import REFUSE, DeadLetterUnreadable, parse

CHUNK: Final = 1_000
REPLAY_HEADER: Final = "plantsync.replay"
"""Names the replay that sent a message."""
Tell = Callable[[int], None]
"""Told now and then how many records have been looked at."""


@dataclass(slots=True)
class Chosen:
    """RECORD[n] of one shard that are to be sent; ``places`` are those of dead letters, else empty.

    ``schemas`` are those of its registry that they name.
    """

    mapping: PlantMapping
    topic: str
    partition: int
    values: list[bytes] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    schemas: NamedSchemas | None = None

    def raw(self) -> RawRecords:
        """Return the records as a batch."""
        offsets = np.arange(len(self.values), dtype=np.int64)
        raw = RawRecords.from_values(self.values, offsets, self.topic, self.partition, self.keys, self.headers)
        return replace(raw, schemas=self.schemas)

    def without(self, rows: Mapping[int, str]) -> Chosen:
        """Return the records but these rows."""
        kept = [row for row in range(len(self.values)) if row not in rows]
        return Chosen(
            self.mapping,
            self.topic,
            self.partition,
            [self.values[row] for row in kept],
            [self.keys[row] for row in kept],
            [self.headers[row] for row in kept],
            [self.places[row] for row in kept] if self.places else [],
            self.schemas,
        )


@dataclass(slots=True)
class Gathered:
    """What was found, by shard, and what was not taken, by reason."""

    chosen: dict[str, Chosen] = field(default_factory=dict)
    already: int = 0
    gone: int = 0
    unreadable: int = 0
    strangers: Counter[str] = field(default_factory=Counter)
    faulty: Counter[str] = field(default_factory=Counter)
    more: bool = False
    bytes_taken: int = 0

    @property
    def matched(self) -> int:
        """How many records are meant, taken or not."""
        return self.taken + self.already + self.gone + self.strangers.total() + self.faulty.total()

    @property
    def taken(self) -> int:
        """How many records are to be sent."""
        return sum(len(chosen.values) for chosen in self.chosen.values())


@dataclass(frozen=True, slots=True)
class _Found:
    """A record that may be meant."""

    value: bytes
    key: bytes | None
    headers: Headers
    topic: str
    partition: int
    place: str


@dataclass(frozen=True, slots=True)
class Gathering:
    """One search."""

    settings: Settings
    selection: Selection
    shards: Mapping[str, ShardInput]
    snapshots: Mapping[str, Snapshot]
    replayed: ReplayedPlaces
    now_us: int
    tell: Tell
    known: dict[str, KnownSchemas | None] = field(default_factory=dict)

    def gather(self) -> Gathered:
        """Search, and return what was found.

        Raises: ReplayRefused, CommitLogUnavailable, CommitLogError, SourceUnavailable, PositionLost.
        """
        out = Gathered()
        if self.selection.origin == "input":
            self._from_input(out)
        else:
            self._from_letters(out)
        return out

    # -- dead letters --------------------------------------------------------------------------

    def _from_letters(self, out: Gathered) -> None:
        waiting: dict[str, list[_Found]] = {}
        with ExitStack() as opened:
            originals: dict[str, OriginalRecords] = {}
            for seen, (place, stored) in enumerate(self._letters(), 1):
                if seen % CHUNK == 0:
                    self.tell(seen)
                found = self._letter(out, place, stored, originals, opened)
                if found is None:
                    continue
                shard, record = found
                waiting.setdefault(shard, []).append(record)
                if len(waiting[shard]) == CHUNK:
                    self._take(out, shard, waiting.pop(shard))
                if out.more:
                    return
        for shard, records in waiting.items():
            self._take(out, shard, records)

    def _letters(self) -> Iterator[tuple[str, Stored]]:
        if self.selection.places:
            return ((place, letter_at(self.settings, place)) for place in dict.fromkeys(self.selection.places))
        return letters(self.settings)

    def _letter(
        self, out: Gathered, place: str, stored: Stored, originals: dict[str, OriginalRecords], opened: ExitStack
    ) -> tuple[str, _Found] | None:
        """Return a dead letter's record and its shard, if it is meant and can be sent."""
        try:
            letter = parse(stored)
        except DeadLetterUnreadable:
            out.unreadable += 1
            return None
        _, shard = set_aside_by(stored)
        if not self.selection.means_letter(place, letter, shard):
            return None
        if letter.stage == REFUSE:
            out.gone += 1
            return None
        if place in self.replayed and not self.selection.again:
            out.already += 1
            return None
        if shard not in self.shards:
            out.strangers[shard] += 1
            return None
        value, key, headers = stored.value, stored.key, stored.headers
        if not letter.original:
            known = None
            if shard in self.snapshots:
                if shard not in originals:
                    originals[shard] = opened.enter_context(OriginalRecords(self.shards[shard], self.snapshots[shard]))
                known = originals[shard].find(letter)
            if known is None:
                out.gone += 1
                return None
            value, key, own = known
            headers = (*own, *stored.headers[len(letter.headers) :])
        return shard, _Found(value, key, headers, letter.topic, letter.partition, place)

    # -- input ---------------------------------------------------------------------------------

    def _from_input(self, out: Gathered) -> None:
        selection, seen = self.selection, 0
        for name, shard in sorted(self.shards.items()):
            mapping, snapshot = shard.mapping, self.snapshots.get(name)
            assert mapping is not None
            if not self._reads(name, mapping):
                continue
            if mapping.sequencing.mode == "arrival":
                raise ReplayRefused(
                    f"the records of {name} have no numbers: beyond the last "
                    f"{mapping.sequencing.identity_horizon_rows:,} (identity_horizon_rows) a record that was accounted "
                    "for would count again. What was read is accounted for or among the dead letters: replay those"
                )
            if snapshot is None:
                continue
            with OriginalRecords(shard, snapshot) as originals:
                topic = selection.topic if name.startswith("folder:") else ""
                for raw in originals.read(topic, selection.first_offset, selection.last_offset):
                    for begin in range(0, len(raw), CHUNK):
                        rows = range(begin, min(begin + CHUNK, len(raw)))
                        self._take(out, name, [_unmarked(raw, row) for row in rows])
                        seen += len(rows)
                        self.tell(seen)
                        if out.more:
                            return

    def _reads(self, name: str, mapping: PlantMapping) -> bool:
        """Return whether a shard may hold what is meant."""
        selection = self.selection
        folder = name.removeprefix("folder:")
        topics = {name.rpartition("-")[0], name} if folder == name else {folder}
        return (
            selection.shard in ("", name)
            and (not selection.topic or selection.topic.partition("/")[0] in topics or selection.topic in topics)
            and (not selection.plant or mapping.plant in ("", selection.plant))
        )

    # -- both ----------------------------------------------------------------------------------

    def _take(self, out: Gathered, shard: str, records: list[_Found]) -> None:
        """Take what the mapping now in force understands, and what is meant of it."""
        first, mapping = records[0], self.shards[shard].mapping
        assert mapping is not None
        batch = Chosen(mapping, first.topic, first.partition)
        for record in records:
            batch.values.append(record.value)
            batch.keys.append(record.key)
            batch.headers.append(record.headers)
        vocabulary, raw = Vocabulary(), batch.raw()
        if (known := self._known(shard)) is not None:
            raw = known.named(raw)
        done = decode(mapping, raw, vocabulary, self.now_us)
        meant = done.events["row"][self.selection.means_events(done.events, vocabulary)].tolist()
        if not self.selection.decodes:
            wanted = self.selection.source
            out.faulty.update(fault.code.value for fault in done.faults if wanted in ("", fault.source))
        chosen = out.chosen.setdefault(shard, Chosen(mapping, first.topic, first.partition))
        chosen.schemas = raw.schemas if chosen.schemas is None else chosen.schemas.joined(raw.schemas)
        for row in sorted(meant):
            record = records[row]
            size = len(record.value) + sum(len(name) + len(value) for name, value in record.headers)
            if out.taken == self.selection.limit or out.bytes_taken + size > CONTENT_BYTES_MAX:
                out.more = True
                return
            out.bytes_taken += size
            chosen.values.append(record.value)
            chosen.keys.append(record.key)
            chosen.headers.append(record.headers)
            if record.place:
                chosen.places.append(record.place)

    def _known(self, shard: str) -> KnownSchemas | None:
        if shard not in self.known:
            state = self.snapshots[shard].state if shard in self.snapshots else {}
            self.known[shard] = recalled(self.shards[shard], state)
        return self.known[shard]


def _unmarked(raw: RawRecords, row: int) -> _Found:
    """Return a record that was read, without the mark of a replay that had sent it."""
    value, key, headers = original(raw, row)
    own = tuple(header for header in headers if header[0] != REPLAY_HEADER)
    return _Found(value, key, own, raw.topic, raw.partition, "")
