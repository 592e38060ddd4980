"""The beginning of a flow: each shard restored, read, and told when to commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS
from dataflows.items import Commit, Item, Restored, Shard, Work
from dataflows.sources.reader import Reader
from dataflows.sources.schema_registry import SchemaRegistry
from sinks.commit_log import Snapshot

Clock = Callable[[], int]
"""Returns now as int64 UTC microseconds."""


def timeless() -> int:
    """Be the clock of those who do not ask how long things take."""
    return 0


@dataclass(frozen=True, slots=True)
class Pace:
    """When a shard commits, and how it waits.

    An interval ends after ``commit_interval_us``; after ``urgent_interval_us`` where something urgent
    waits to be committed (``Shard.urgent``). While every poll brings records it lasts so long that the
    commits of all shards of the source take no more than ``commit_share_max`` of the time, but no longer
    than ``commit_interval_max_us``, and not while ``commit_interval_results_max`` results wait, or one for each
    session of the shard, which takes more memory than it: whoever is behind has other things to do than to commit.
    Where it is ``ticking``, stages are also told the time whenever there was nothing to read; else at the
    end of an interval. It also ends with the batch that makes ``commit_results_max`` results wait, or that
    is read after ``commit_rows_max`` records.

    A vocabulary is renewed once it holds more than ``vocabulary_max`` texts, and more than ``vocabulary_session_max``
    for each session: that costs as much as to learn those in use, which are more of more sessions.
    """

    commit_interval_us: int = 500_000
    commit_interval_max_us: int = 10_000_000
    commit_interval_results_max: int = 20_000
    commit_share_max: float = 0.1
    urgent_interval_us: int = 100_000
    commit_results_max: int = 1_000_000
    commit_rows_max: int = 4_000_000
    idle_wait_us: int = 50_000
    vocabulary_max: int = 100_000
    vocabulary_session_max: int = 6
    until_end: bool = False
    ticking: bool = False


@dataclass(frozen=True, slots=True)
class ShardInput:
    """A shard to be read: how to open its reader, and the plant or the stream whose records it holds.

    ``registry`` knows the schemas that the records name, where there is one; the reader does not ask it.
    ``moving`` says that its position is committed also where it moved without a record.
    """

    open: Callable[[], Reader]
    mapping: PlantMapping | None = None
    stream: str = ""
    registry: SchemaRegistry | None = None
    moving: bool = False


class ShardSource(FixedPartitionedSource[tuple[str, Item], None]):
    """Reads shards; a shard is a partition of the source, so Bytewax gives each to one worker."""

    def __init__(
        self,
        shards: Mapping[str, ShardInput],
        restore: Callable[[str], Snapshot | None],
        pace: Pace,
        clock: Clock,
        stop: Event,
    ) -> None:
        self._shards = shards
        self._restore = restore
        self._pace = pace
        self._clock = clock
        self._stop = stop
        self._costs_us: dict[str, int] = {}

    def list_parts(self) -> list[str]:
        """Return the names of the shards."""
        return list(self._shards)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Part:
        """Fence older writers of the shard, then go on where its last commit ended."""
        snapshot = self._restore(for_part)
        shard = self._shards[for_part]
        reader = shard.open()
        state = snapshot.state if snapshot else {}
        reader.seek(snapshot.position if snapshot else None, state)
        restored = Restored(Shard(for_part, shard.mapping, shard.stream), state)
        return _Part(restored, reader, self._pace, self._clock, self._stop, self._costs_us, moving=shard.moving)


class _Part(StatefulSourcePartition[tuple[str, Item], None]):
    def __init__(
        self,
        restored: Restored,
        reader: Reader,
        pace: Pace,
        clock: Clock,
        stop: Event,
        costs_us: dict[str, int],  # of a commit of each shard of the source
        *,
        moving: bool,
    ) -> None:
        self._shard = restored.shard
        self._items: list[Item] = [restored]
        self._reader, self._pace, self._clock, self._stop, self._costs_us = reader, pace, clock, stop, costs_us
        self._interval_began_us = clock()
        self._vocabulary_limit: int | None = pace.vocabulary_max
        self._rows = 0
        self._idle = False
        self._behind = True
        self._ended = False
        self._moving, self._committed = moving, reader.position() if moving else ""

    def next_batch(self) -> list[tuple[str, Item]]:
        if self._ended:
            raise StopIteration
        self._ended = self._stop.is_set()
        raw = NO_RECORDS if self._ended else self._reader.poll()
        now_us = self._clock()
        self._idle = not len(raw)
        self._behind &= not self._idle
        if len(raw):
            self._items.append(Work(now_us, raw))
            self._rows += len(raw)
        else:
            if self._pace.ticking:
                self._items.append(Work(now_us))
            if self._pace.until_end:
                self._ended |= self._reader.at_end()
        pace, passed_us = self._pace, now_us - self._interval_began_us
        over = passed_us >= self._interval_us()
        over |= self._shard.urgent and passed_us >= pace.urgent_interval_us
        over |= self._results() >= pace.commit_results_max or self._rows >= pace.commit_rows_max
        if self._ended or over:
            self._end_interval(now_us)
        items, self._items = self._items, []
        return [(self._shard.name, item) for item in items]

    def _results(self) -> int:
        """Return how many results wait for the commit; a shard that does not count them may have one of each record."""
        return self._rows if self._shard.results is None else self._shard.results

    def _interval_us(self) -> int:
        """Return how long an interval lasts in which nothing is urgent."""
        pace = self._pace
        self._costs_us[self._shard.name] = self._shard.commit_cost_us
        results_max = max(pace.commit_interval_results_max, len(self._shard.sessions))
        if not self._behind or self._results() >= results_max:
            return pace.commit_interval_us
        long_us = round(sum(self._costs_us.values()) / pace.commit_share_max)
        return max(pace.commit_interval_us, min(long_us, pace.commit_interval_max_us))

    def _end_interval(self, now_us: int) -> None:
        """Let time pass for all, and commit if anything has happened."""
        self._interval_began_us, self._behind = now_us, True
        self._items.append(Work(now_us))
        moved = self._moving and self._reader.position() != self._committed
        if not (self._rows or moved or self._shard.pending or self._ended):
            return
        self._rows = 0
        self._committed = position = self._reader.position()
        self._items.append(Commit(now_us, position, dict(self._reader.state())))
        if self._ended:
            return
        if self._vocabulary_limit is None:  # renewed an interval ago: now the texts in use are known
            self._vocabulary_limit = max(self._pace.vocabulary_max, 2 * len(self._shard.vocabulary))
        elif len(self._shard.vocabulary) > self._texts_max(self._vocabulary_limit):
            self._shard = self._shard.renewed()
            self._items.append(Restored(self._shard, None))
            self._vocabulary_limit = None

    def _texts_max(self, limit: int) -> int:
        """Return how many texts the vocabulary may hold."""
        return max(limit, self._pace.vocabulary_session_max * len(self._shard.sessions))

    def next_awake(self) -> datetime | None:
        if not self._idle or self._ended:
            return None  # at once
        return datetime.now(UTC) + timedelta(microseconds=self._pace.idle_wait_us)

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._reader.close()
