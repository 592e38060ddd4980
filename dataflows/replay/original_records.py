"""Records as a shard once read them, fetched again from where they came (M28, M29).

Law: only what the shard has read is returned: what lies behind its committed position comes by itself.
Of a folder these are the files that are still there as they were read, whatever the shard then called
them; of a partition, what the broker still keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import orjson

from canonical.columns import Vocabulary
from canonical.contracts import DeadLetter
from canonical.decoders import decode
from canonical.records import Headers, RawRecords
from dataflows.sources.errors import PositionLost, SourceUnavailable
from dataflows.sources.kafka_partition import KafkaPartition
from dataflows.sources.landed_files import FILE_SHIFT, PART, LandedFiles
from dataflows.sources.log_stream import LogStream
from dataflows.sources.shard_source import ShardInput
from dataflows.sources.with_schemas import recalled
from sinks.commit_log import Snapshot

Original = tuple[bytes, bytes | None, Headers]
"""Value, key and headers of a record."""
BYTES: Final = (1 << FILE_SHIFT) - 1
"""The part of a landed record's offset that is its place in the file."""


class OriginalRecords:
    """What one shard has read; a context that closes its reader.

    Args: snapshot: of its last commit.
    """

    def __init__(self, shard: ShardInput, snapshot: Snapshot) -> None:
        assert shard.mapping is not None
        self._open, self._mapping, self._snapshot = shard.open, shard.mapping, snapshot
        self._schemas = recalled(shard, snapshot.state)
        self._reader = shard.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def read(self, topic: str, first: int | None, last: int | None) -> Iterator[RawRecords]:
        """Yield the records from ``first`` to ``last``; of a folder, those places in the files ``topic`` means.

        Raises: SourceUnavailable, PositionLost.
        """
        if isinstance(self._reader, LogStream):
            yield from map(self._named, self._spooled(self._reader, first, last))
            return
        if isinstance(self._reader, KafkaPartition):
            yield from map(self._named, self._messages(self._reader, first, last))
            return
        for path, end in self._files():
            if topic in ("", f"{path.parent.name}/{path.name}"):
                until = end if last is None else min(end, last + 1)
                yield from (part for raw in self._whole(path) if len(part := _between(raw, first or 0, until)))

    def find(self, letter: DeadLetter) -> Original | None:
        """Return the record of a dead letter whose bytes were gone; None where it is there no more.

        Raises: SourceUnavailable.
        """
        at = letter.fault.offset
        if isinstance(self._reader, LogStream):
            found = self._spooled(self._reader, at, at)
        elif isinstance(self._reader, KafkaPartition):
            found = self._messages(self._reader, at, at)
        else:
            at &= BYTES
            found = (
                part for path, _ in self._files() for raw in self._whole(path) if len(part := _between(raw, at, at + 1))
            )
        try:
            return next((original(raw, 0) for raw in found if self._is(raw, letter)), None)
        except PositionLost:
            return None

    def _named(self, raw: RawRecords) -> RawRecords:
        """Return records with the schemas they name, as they were read with. Raises: SourceUnavailable."""
        return raw if self._schemas is None else self._schemas.named(raw)

    def _spooled(self, reader: LogStream, first: int | None, last: int | None) -> Iterator[RawRecords]:
        committed: int = orjson.loads(self._snapshot.position)["offset"]
        end = committed if last is None else min(committed, last)
        reader.seek(orjson.dumps({"offset": max(first or 1, 1) - 1}).decode(), {})
        while len(raw := reader.poll()) and raw.offsets[0] <= end:
            yield _between(raw, 0, end + 1)

    def _messages(self, reader: KafkaPartition, first: int | None, last: int | None) -> Iterator[RawRecords]:
        committed = orjson.loads(self._snapshot.position)["offset"]
        end = committed if last is None else min(committed, last + 1)
        low, _ = reader.watermarks()
        at = max(first or 0, low)
        if at >= end:
            return
        reader.seek(orjson.dumps({"offset": at}).decode(), {})
        while at < end:
            raw = reader.poll()
            if len(raw):
                at = int(raw.offsets[-1]) + 1
                if len(part := _between(raw, first or 0, end)):
                    yield part
            elif reader.at_end():
                return

    def _files(self) -> Iterator[tuple[Path, int]]:
        """Yield each file that has been read and is unchanged, and how far it has been read."""
        assert isinstance(self._reader, LandedFiles)
        done = orjson.loads(self._snapshot.state.get(PART, b'{"done":{}}'))["done"]
        ends = {name: (stamp, BYTES) for name, stamp in done.items()}
        place = orjson.loads(self._snapshot.position)
        if place["name"]:
            ends[place["name"]] = (place["stamp"], place["at"])
        for name, (stamp, end) in ends.items():
            path = self._reader.config.folder / name
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SourceUnavailable(f"reading {path} failed: {error.strerror}. Check the folder.") from error
            if [stat.st_size, stat.st_mtime_ns] == stamp:
                yield path, end

    def _whole(self, path: Path) -> Iterator[RawRecords]:
        reader = self._open()
        assert isinstance(reader, LandedFiles)
        return reader.whole(path)

    def _is(self, raw: RawRecords, letter: DeadLetter) -> bool:
        """Return whether a record says it is the one that failed; what is at that place may be another by now."""
        vocabulary, fault = Vocabulary(), letter.fault
        events = decode(self._mapping, self._named(raw), vocabulary, letter.failed_us).events
        told = zip(events["source"].tolist(), events["session"].tolist(), events["seq"].tolist(), strict=True)
        wanted = (fault.source, fault.session, fault.seq)
        return any(
            (vocabulary.texts[source], vocabulary.texts[session], seq) == wanted for source, session, seq in told
        )


def _between(raw: RawRecords, first: int, end: int) -> RawRecords:
    """Return the records with these offsets."""
    return rows_of(raw, np.flatnonzero((raw.offsets >= first) & (raw.offsets < end)).tolist())


def rows_of(raw: RawRecords, rows: list[int]) -> RawRecords:
    """Return these records of a batch, back to back."""
    if len(rows) == len(raw):
        return raw
    keys = None if raw.keys is None else [raw.keys[row] for row in rows]
    headers = None if raw.headers is None else [raw.headers[row] for row in rows]
    values = [raw.value(row) for row in rows]
    taken = RawRecords.from_values(values, raw.offsets[rows], raw.topic, raw.partition, keys, headers)
    return replace(taken, schemas=raw.schemas)


def original(raw: RawRecords, row: int) -> Original:
    """Return one record of a batch."""
    key = raw.keys[row] if raw.keys is not None else None
    return raw.value(row), key, raw.headers[row] if raw.headers is not None else ()
