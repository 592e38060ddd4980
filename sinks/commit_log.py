"""The commit log: postings, processor state and input position of a shard in one transaction.

Law (DESIGN 3): after a crash at any instant ``restore`` returns exactly what one ``commit``
stored, with all of that commit's records readable, or the commit before it. There is nothing
in between, and a writer that has been replaced can no longer commit.

The port and its values are here; the adapters are ``memory``, ``sqlite`` and ``kafka``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One message for a stream (a topic, or a table of the embedded log)."""

    stream: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A committed record with its place: ``offset`` grows within (stream, partition)."""

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
    """Where a flow's results land. One suite (tests/conformance) holds for every adapter."""

    def restore(self, shard: str) -> Snapshot | None:
        """Fence every older writer of the shard, then return its last commit.

        Raises: CommitLogUnavailable.
        """
        ...

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Sequence[Record]) -> None:
        """Store all of it or nothing; parts of the state that are not named stay as they were.

        An empty value removes that part of the state.

        Raises: WriterFenced when another writer restored the shard since; CommitLogUnavailable.
        """
        ...

    def close(self) -> None:
        """Release what the log holds; uncommitted work is gone."""
        ...


class PlantsyncError(Exception):
    """An operating error: says what happened, to what, and what to do next."""

    retryable: ClassVar[bool] = False


class CommitLogError(PlantsyncError):
    """The commit log could not do what it was asked."""


class CommitLogUnavailable(CommitLogError):
    """The log cannot be reached or written now; the same call may succeed later."""

    retryable = True


class WriterFenced(CommitLogError):
    """Another writer has taken over the shard. Stop; do not retry."""
