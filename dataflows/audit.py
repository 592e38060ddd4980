"""The audit of a configuration: what to read, and what was on its way while it was read.

Every commit writes the ledger together with all that it speaks of. So whatever the ledger says that
was read first must be found in what is read after it, and the ledger that came in meanwhile, read last,
explains what there is beyond.

From the confirmation on it is the other way round: what an ERP has, a receipt says and a posting cites was there
before, so documents are read first, then receipts, then postings, then what they speak of. How far the postings and
the delivery flow have read is looked at before all of it, and so are the postings that are not settled: what a flow
has read and does not hold must have come to something.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Final

import numpy as np
import orjson

from canonical.columns import IntColumn
from dataflows.analytics import table_of
from dataflows.flow_names import ANALYTICS
from dataflows.posting_marks import posting_marks
from dataflows.settings import Settings
from dataflows.shards import analytics_shards
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import ShardInput
from sinks.audit.check import Audit, Finding, Scope, audit
from sinks.audit.erp_documents import erp_documents
from sinks.audit.ground import AUDITED, DOWNSTREAM, LATER, Ground, opened
from sinks.commit_log import PlantsyncError

POLL_WAIT_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, what it read, and how far that can be relied upon.

    ``on_the_way`` counts the records of each stream that were read from the log since the store had not
    loaded them. ``alone`` says why the log was not looked at, where a store was audited by itself: then
    what is still on its way into it counts as a hole.
    """

    audit: Audit
    place: str
    on_the_way: Mapping[str, int]
    alone: str = ""


def audit_store(settings: Settings, scope: Scope, *, findings_max: int, documents: Path | None = None) -> Audited:
    """Audit the published store; what it has not loaded yet is looked for in the log.

    Args: documents: of the ERPs, as ``sinks.audit.erp_documents`` has them.
    Raises: StoreUnavailable, StoreError, DocumentsUnreadable.
    """
    store = settings.store
    read: Mapping[str, int] = {}
    alone = ""
    with opened(store.published, threads=store.threads, memory_max_mb=store.memory_max_mb) as ground:
        _add_documents(ground, documents)
        try:
            ground.settled(*posting_marks(settings))
            with _reading(settings, ground) as log:
                read = log.rest(ground.marks(ANALYTICS))
        except PlantsyncError as error:
            alone = str(error)
        found = audit(ground, scope, findings_max=findings_max)
    return Audited(found, f"store {store.published}", read, alone)


def audit_file(path: Path, scope: Scope, *, findings_max: int, documents: Path | None = None) -> Audited:
    """Audit a store by itself, as a copy that was kept.

    Raises: StoreUnavailable, StoreError, DocumentsUnreadable.
    """
    with opened(path) as ground:
        _add_documents(ground, documents)
        found = audit(ground, scope, findings_max=findings_max)
    return Audited(found, f"store {path}", {}, "a store that is named is audited by itself")


def audit_log(settings: Settings, scope: Scope, *, findings_max: int, documents: Path | None = None) -> Audited:
    """Audit the commit log from its first record.

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable, DocumentsUnreadable.
    """
    limits = settings.store
    with opened(None, threads=limits.threads, memory_max_mb=limits.memory_max_mb) as ground:
        _add_documents(ground, documents)
        ground.settled(*posting_marks(settings))
        with _reading(settings, ground) as log:
            log.rest({})
        found = audit(ground, scope, findings_max=findings_max)
    if log.gone:
        counts = {**found.counts, "GONE": len(log.gone)}
        found = replace(found, counts=counts, findings=(*log.gone, *found.findings)[:findings_max])
    return Audited(found, f"log {settings.log.path}" if settings.log.kind == "sqlite" else "log Kafka", {})


def _add_documents(ground: Ground, documents: Path | None) -> None:
    if documents is not None:
        ground.documents(erp_documents(documents))


def _reading(settings: Settings, ground: Ground) -> Reading:
    return Reading(analytics_shards(settings), ground, numbered=settings.log.kind == "sqlite")


class Reading(ExitStack):
    """The streams of a log on their way into the tables of an audit; leaving it closes their readers.

    Args:
        shards: the streams; those that no audit looks at are passed over.
        ground: where the rows go.
        numbered: whether the log numbers the records of a stream from 1 without holes. Then records that
            are not there were deleted, and ``gone`` tells which.
    """

    def __init__(self, shards: Mapping[str, ShardInput], ground: Ground, *, numbered: bool) -> None:
        super().__init__()
        self._shards = {name: shard for name, shard in shards.items() if table_of(shard.stream)[0] in AUDITED}
        self._ground = ground
        self._numbered = numbered
        self._readers: dict[str, Reader] = {}
        self._last: dict[str, int] = {}
        self._wait = Event()
        self.gone: list[Finding] = []

    def rest(self, marks: Mapping[str, str | None]) -> dict[str, int]:
        """Read what follows the marks, the ledger first and what it got meanwhile last; return records by stream."""
        table = {name: table_of(shard.stream)[0] for name, shard in self._shards.items()}
        ledger = [name for name in self._shards if table[name] in LATER]
        others = sorted((name for name in self._shards if name not in ledger), key=lambda name: _place(table[name]))
        read: dict[str, int] = {}
        for names, later in ((ledger, False), (others, False), (ledger, True)):
            for name in names:
                stream = self._shards[name].stream
                read[stream] = read.get(stream, 0) + self.read(name, marks.get(name), later=later)
        return {stream: count for stream, count in read.items() if count}

    def read(self, name: str, mark: str | None, *, later: bool) -> int:
        """Read a shard from the mark, or from where it was left, to its end; return the number of records."""
        shard, known = self._shards[name], self._readers.get(name)
        reader = known or self._open(name, shard, mark)
        table, rows_of = table_of(shard.stream)
        count = 0
        while True:
            raw = reader.poll()
            if len(raw):
                count += len(raw)
                self._ground.add(table, name, rows_of(raw), later=later)
                if self._numbered:
                    self._number(shard.stream, raw.offsets)
            elif reader.at_end():
                return count
            else:
                self._wait.wait(POLL_WAIT_S)

    def _number(self, stream: str, offsets: IntColumn) -> None:
        """Note which records are gone: an embedded log numbers those of a stream from 1 without holes."""
        before = np.append(self._last.get(stream, 0), offsets[:-1])
        for row in np.flatnonzero(offsets != before + 1).tolist():
            first, last = int(before[row]) + 1, int(offsets[row]) - 1
            what = f"records {first} to {last} of stream {stream} were deleted from the log"
            self.gone.append(Finding(kind="GONE", expected=f"{last - first + 1} records", found="none", what=what))
        self._last[stream] = int(offsets[-1])

    def _open(self, name: str, shard: ShardInput, mark: str | None) -> Reader:
        reader = shard.open()
        self.callback(reader.close)
        reader.seek(mark, {})
        if mark is not None and self._numbered:
            self._last[shard.stream] = orjson.loads(mark)["offset"]
        self._readers[name] = reader
        return reader


def _place(table: str) -> int:
    """Return when a table is read: what follows from confirmations before them."""
    return DOWNSTREAM.index(table) if table in DOWNSTREAM else len(DOWNSTREAM)
