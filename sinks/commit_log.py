"""The commit log: postings, processor state and input position of a shard in one transaction.

Law (DESIGN 3): after a crash at any instant ``restore`` returns exactly what one ``commit``
stored, with all of that commit's records readable, or the commit before it. There is nothing
in between, and a writer that has been replaced can no longer commit.

The port and its values are here; the adapters are ``memory``, ``sqlite`` and ``kafka``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One message for a stream (a topic, or a table of the embedded log)."""

    stream: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A committed record with its place: ``offset`` grows within (stream, partition).

    The embedded logs have one partition a stream and number its records from 1 without holes.
    """

    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the last commit of a shard stored."""

    position: str
    state: Mapping[str, bytes] = field(default_factory=dict)


class CommitLog(Protocol):
    """Where a flow's results land. One suite (tests/conformance) holds for every adapter.

    A log writes a shard only after it has restored it; anything else is a programming error.
    """

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit.

        Raises: CommitLogUnavailable; CommitLogError when what is stored cannot be used.
        """
        ...

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """Store all of it or nothing; parts of the state that are not named stay as they were.

        An empty value removes that part of the state.

        Raises: WriterFenced when another writer restored the shard since; CommitLogUnavailable when
            nothing was stored and the same call may succeed later; CommitInDoubt when it cannot be
            known whether it was stored, until the shard is restored; CommitLogError otherwise,
            and then nothing was stored.
        """
        ...

    def close(self) -> None:
        """Release what the log holds; uncommitted work is gone."""
        ...


class Streams(Protocol):
    """The committed records of an embedded log, for the flows and tools downstream of it."""

    def streams(self) -> list[str]:
        """Names of the streams that have records, sorted."""
        ...

    def read(self, stream: str, after_offset: int, limit: int) -> list[Stored]:
        """Return up to ``limit`` records with a greater offset than ``after_offset``, in order; 0 reads from the start.

        Raises: CommitLogUnavailable.
        """
        ...

    def end(self, stream: str) -> int:
        """Offset of the last record, 0 when there is none: ``end - after_offset`` records wait."""
        ...

    def count(self, stream: str) -> int:
        """Number of records that can be read."""
        ...

    def close(self) -> None:
        """Release what the reader holds."""
        ...


class PlantsyncError(Exception):
    """An operating error: says what happened, to what, and what to do next."""

    retryable: ClassVar[bool] = False


class CommitLogError(PlantsyncError):
    """The commit log could not do what it was asked."""


class CommitLogUnavailable(CommitLogError):
    """The log cannot be reached or written now; the same call may succeed later."""

    retryable = True


class CommitInDoubt(CommitLogError):
    """The answer to a commit was lost. Restore the shard, which tells, and go on from there."""


FENCED: Final = "another writer has taken over the shard; stop this one, or give each its own shards"


class WriterFenced(CommitLogError):
    """Another writer has taken over the shard. Stop; do not retry."""
