"""Operating errors of a running flow: the first one ends the flow in order and is told afterwards.

An exception that leaves a source or a sink makes the engine panic: it prints a stack of its own, and
in a cluster the exception itself is lost. So the edges of a flow are guarded: after the first
operating error nothing more is read or committed, every shard ends, and what was not committed is
done again by the next run. Defects are not guarded; they crash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Event, Lock
from typing import Final, ParamSpec, TypeVar

import pyarrow as pa

from canonical.records import NO_RECORDS, RawRecords
from dataflows.analytics import TableStore
from dataflows.progress import Progress
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock, ShardInput
from dataflows.watch import UNWATCHED, Committed, OnCommit, Watch
from sinks.commit_log import CommitLog, PlantsyncError, Record
from sinks.records import weighed

BEHIND_US: Final = 2_000_000
"""How often a shard is asked how much it has still to read."""

P = ParamSpec("P")
R = TypeVar("R")


class Failure:
    """The first operating error of a run, if there was one; reading and committing may be the work of two threads.

    Args: stop: set then, so that the flow ends. raising: let the error out as well, which ends every
        process of a cluster.
    """

    def __init__(self, stop: Event, *, raising: bool = False) -> None:
        self.error: PlantsyncError | None = None
        self._stop = stop
        self._raising = raising
        self._one_at_a_time = Lock()

    def guarded(self, call: Callable[P, R], otherwise: R) -> Callable[P, R]:
        """Return the call made safe: after a failure, its own or another's, it does nothing."""

        def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
            if self.error is not None:
                return otherwise
            try:
                return call(*args, **kwargs)
            except PlantsyncError as error:
                with self._one_at_a_time:
                    self.error = self.error or error
                self._stop.set()
                if self._raising:
                    raise
                return otherwise

        return attempt


class GuardedReader:
    """A shard's reader behind a guard; tells the progress and who watches what was read. A ``Reader``."""

    def __init__(
        self,
        shard: str,
        source: ShardInput,
        failure: Failure,
        progress: Progress,
        clock: Clock,
        watch: Watch = UNWATCHED,
    ) -> None:
        self._shard, self._progress, self._clock, self._watch = shard, progress, clock, watch
        self._asked_us = 0
        self._failure = failure
        self._reader: Reader | None = failure.guarded(source.open, None)()
        self._poll = failure.guarded(self._polled, NO_RECORDS)

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position, unless something has failed."""
        if self._reader is not None:
            self._failure.guarded(self._reader.seek, None)(position, state)

    def poll(self) -> RawRecords:
        """Return the next records; none after a failure."""
        return self._poll()

    def position(self) -> str:
        """Return where the next poll goes on."""
        return self._reader.position() if self._reader is not None else ""

    def state(self) -> Mapping[str, bytes]:
        """Return what the position needs beyond itself."""
        return self._reader.state() if self._reader is not None else {}

    def at_end(self) -> bool:
        """Return whether everything that is there now has been polled; true after a failure."""
        return self._reader is None or self._failure.guarded(self._reader.at_end, otherwise=True)()

    def behind(self) -> int:
        """Return how much is there that has not been polled."""
        return self._reader.behind() if self._reader is not None else 0

    def close(self) -> None:
        """Release what the reader holds."""
        if self._reader is not None:
            self._tell_behind(self._failure.guarded(self._reader.behind, 0)(), self._clock())
            self._reader.close()

    def _polled(self) -> RawRecords:
        assert self._reader is not None
        records = self._reader.poll()
        if len(records):
            self._progress.read += len(records)
            self._watch.polled(self._shard, records)
        now_us = self._clock()
        if now_us - self._asked_us >= BEHIND_US:
            self._asked_us = now_us
            self._tell_behind(self._reader.behind(), now_us)
        return records

    def _tell_behind(self, unread: int, now_us: int) -> None:
        self._progress.behind[self._shard] = unread
        self._watch.behind(self._shard, unread, now_us)


class GuardedLog:
    """A commit log behind a guard; tells the progress and others what was committed. A ``CommitLog``."""

    def __init__(
        self, log: CommitLog, failure: Failure, progress: Progress, clock: Clock, told: Sequence[OnCommit] = ()
    ) -> None:
        def commit(shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
            began_us = clock()
            log.commit(shard, position, state, records)
            ended_us = clock()
            progress.committed(ended_us, Counter({stream: count for stream, (count, _) in weighed(records).items()}))
            done = Committed(shard, position, began_us, ended_us, state, records)
            for tell in told:
                tell(done)

        self.restore = failure.guarded(log.restore, None)
        self.commit = failure.guarded(commit, None)
        self.close = log.close


class GuardedStore:
    """An analytics store behind a guard; tells the progress and others what was committed. A ``TableStore``."""

    def __init__(
        self, store: TableStore, failure: Failure, progress: Progress, clock: Clock, told: Sequence[OnCommit] = ()
    ) -> None:
        def commit(shard: str, position: str, tables: Mapping[str, pa.Table]) -> int:
            began_us = clock()
            new = store.commit(shard, position, tables)
            ended_us = clock()
            rows = {name: table.num_rows for name, table in tables.items()}
            progress.committed(ended_us, Counter(rows))
            done = Committed(shard, position, began_us, ended_us, rows=rows)
            for tell in told:
                tell(done)
            return new

        self.restore = failure.guarded(store.restore, None)
        self.commit = failure.guarded(commit, 0)
        self.transact = failure.guarded(store.transact, None)
        self.publish_if_due = failure.guarded(store.publish_if_due, otherwise=False)
