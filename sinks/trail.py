"""The audit trail in the commit log: entries in the stream ``trail``, the head of each chain in a state (M35).

Law: an entry is committed in one transaction with the head it becomes, (number, hash), in the state
of the shard that writes it, and wherever possible with what it is about. So an entry that is altered,
taken out, put in or hashed anew does not fit its neighbours, and a tail that is cut off does not fit
the head. ``breaks`` finds each of them.

What it cannot find: somebody who may write the log, stops everything, and rewrites the entries from
some point on together with the head. Keep the heads that ``plantsync audit --trail`` prints elsewhere
where that matters; a chain whose hash at that number is another one has been rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import groupby
from typing import Final, Literal, Self

import orjson
from pydantic import ValidationError

from canonical.contracts import TrailAction, TrailEntry, trail_hash
from canonical.wire import encode_trail
from sinks.commit_log import CommitLogError, Record, Stored
from sinks.streams import TRAIL

PART: Final = "trail"
"""Part of a shard's state: the head of its chain."""
VERSION: Final = 1
_UNHASHED: Final = "0" * 64
"""Stands for the hash of an entry whose hash has not been taken; no content is known to give it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain; ``in_force`` is its ``after``: what the next change is from."""

    number: int
    hash: str
    in_force: str

    def encode(self) -> bytes:
        """Return the head as part of a state."""
        return orjson.dumps({"version": VERSION, "number": self.number, "hash": self.hash, "in_force": self.in_force})

    @classmethod
    def of(cls, state: Mapping[str, bytes]) -> Self | None:
        """Return the head that a state holds, None where the chain has not begun.

        Raises: CommitLogError where a newer plantsync wrote it.
        """
        if PART not in state:
            return None
        known = orjson.loads(state[PART])
        if known["version"] != VERSION:
            raise CommitLogError(
                f"the head of an audit trail has version {known['version']}, this plantsync knows {VERSION}; "
                "upgrade plantsync"
            )
        return cls(known["number"], known["hash"], known["in_force"])


@dataclass(frozen=True, slots=True)
class Deed:
    """What an entry says of an action: the fields of ``TrailEntry`` that whoever acts knows."""

    action: TrailAction
    actor: str
    subject: str
    reason: str
    after: str
    before: str = ""
    detail: str = ""


def append(chain: str, head: Head | None, deed: Deed, at_us: int) -> tuple[Head, Record]:
    """Return the head and the record of the next entry of a chain; the caller commits both together."""
    content = {
        "chain": chain,
        "number": 0 if head is None else head.number + 1,
        "at_us": at_us,
        "actor": deed.actor,
        "action": deed.action,
        "subject": deed.subject,
        "reason": deed.reason,
        "before": deed.before,
        "after": deed.after,
        "detail": deed.detail,
        "version": release(),
        "previous": "" if head is None else head.hash,
    }
    entry = TrailEntry.model_validate({**content, "hash": _UNHASHED})
    digest = trail_hash(entry)
    rows = {name: [value] for name, value in {**entry.model_dump(mode="json"), "hash": digest}.items()}
    (message,) = encode_trail(rows)
    return Head(entry.number, digest, entry.after), Record(TRAIL, *message)


@cache
def release() -> str:
    """Return the version of plantsync that runs."""
    return version("plantsync")


Kind = Literal["altered", "inserted", "missing", "truncated", "unlinked"]


@dataclass(frozen=True, slots=True)
class Break:
    """One place where a chain does not hold.

    ``altered``: the content is not what the hash says. ``missing``: entries are not there, with others
    after them. ``truncated``: the last ones are not there. ``inserted``: an entry that no shard wrote.
    ``unlinked``: an entry does not name the hash of the one before: that one was hashed anew.
    """

    kind: Kind
    chain: str
    number: int
    detail: str


def breaks(stored: Iterable[Stored], before: Mapping[str, Head], after: Mapping[str, Head]) -> list[Break]:
    """Return where the chains do not hold, by chain and number; none where all of them do.

    Args:
        stored: the whole stream, in order within each chain.
        before: the heads of all chains, taken before the stream was read: what they name must be in it.
        after: the heads taken after it was read: nothing may be in it that is beyond them.
    """
    found: list[Break] = []
    entries: list[TrailEntry] = []
    for record in stored:
        try:
            entry = TrailEntry.model_validate_json(record.value)
        except ValidationError as error:
            chain = (record.key or b"").decode("utf-8", "replace")
            found.append(Break("altered", chain, -1, f"record {record.offset} is no entry: {_first(error)}"))
            continue
        if record.key != entry.chain.encode():
            found.append(
                Break("altered", entry.chain, entry.number, f"record {record.offset} has the key {record.key!r}")
            )
        entries.append(entry)
    chains = {chain: list(own) for chain, own in groupby(sorted(entries, key=_chain), _chain)}
    for chain in sorted({*chains, *before, *after}):
        found += _chain_breaks(chain, chains.get(chain, []), before.get(chain), after.get(chain))
    return found


def _chain_breaks(chain: str, entries: Sequence[TrailEntry], before: Head | None, after: Head | None) -> list[Break]:
    found: list[Break] = []

    def broken(kind: Kind, number: int, detail: str) -> None:
        found.append(Break(kind, chain, number, detail))

    last = after.number if after is not None else -1
    expected, previous = 0, ""
    for entry in entries:
        if (taken := trail_hash(entry)) != entry.hash:
            broken("altered", entry.number, f"its content hashes to {taken}, the entry says {entry.hash}")
        if entry.number < expected or entry.number > last:
            known = f"the state's head is {last}" if entry.number > last else "the chain has that number already"
            broken("inserted", entry.number, known)
            continue
        if entry.number > expected:
            broken("missing", expected, f"{_entries(expected, entry.number - 1)} not there")
        elif entry.previous != previous:
            broken(
                "unlinked",
                entry.number,
                f"it follows {entry.previous or 'nothing'}, the hash of the entry before is {previous or 'none'}",
            )
        expected, previous = entry.number + 1, entry.hash
    if before is not None and expected <= before.number:
        broken("truncated", expected, f"{_entries(expected, before.number)} not there, the state's head says")
    hashes = {entry.number: entry.hash for entry in reversed(entries)}
    for head in dict.fromkeys(filter(None, (before, after))):
        if hashes.get(head.number, head.hash) != head.hash:
            broken("altered", head.number, f"its hash is {hashes[head.number]}, the state's head says {head.hash}")
    return found


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


def _chain(entry: TrailEntry) -> str:
    return entry.chain


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}"
