"""An entry of the book: a posting that is not settled, and how far it has come.

Law: ``decode(entry.encode())`` is the entry as far as a restart may know it; bytes that a release wrote are decoded by
all later ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

import orjson

from canonical.contracts.command import Action
from canonical.contracts.posting import Posting

VERSION: Final = 1
PREFIX: Final = "posting."
_KEPT: Final = (
    *("rank", "enqueued_us", "due_us", "attempts", "strikes", "polls", "first_sent_us", "sent_us", "maybe_us"),
    *("locked_us", "accepted_us", "document", "notice", "notice_us", "message", "told"),
)


class Phase(StrEnum):
    """How far a posting has come; the order of the words is not that of time."""

    QUEUED = "queued"  # certainly not in the ERP
    ADMITTED = "admitted"  # may be sent, and for a restart: may have been
    DOUBT = "doubt"  # may be in the ERP, which is asked
    REJECTED = "rejected"  # the ERP refused it: a person must decide
    UNKNOWN = "unknown"  # may be in the ERP, which cannot tell: a person must decide
    MOVING = "moving"  # its document is there, and something is still to follow
    STUCK = "stuck"  # its document is there, and what was to follow failed: a person must repair it in the ERP


IN_LINE: Final = frozenset({Phase.QUEUED, Phase.ADMITTED, Phase.DOUBT, Phase.REJECTED, Phase.UNKNOWN})
"""Its order's next posting waits for it."""
FOLLOWED: Final = frozenset({Phase.MOVING, Phase.STUCK})
"""Accepted; where the ERP is to process postings in turn, its order's next posting waits for it, too."""
FOR_A_PERSON: Final = frozenset({Phase.REJECTED, Phase.UNKNOWN})
"""Nothing happens to it by itself."""
WAITING: Final = FOR_A_PERSON | {Phase.STUCK}
"""Goes on when a person has done something, here or in the ERP."""


@dataclass(slots=True, eq=False)
class Entry:
    """A posting, its phase, and what happened to it; instants in UTC microseconds, 0 where not yet.

    Args:
        rank: place in the order of arrival.
        due_us: when something is to be done next, where that is a matter of time.
        attempts: times it was sent. strikes: failures in a row. polls: questions for what follows.
        maybe_us: last instant at which it may have been sent. locked_us: since when it was locked.
        accepted_us: when it was accepted. notice, notice_us: its open exception, and since when.
        message: of the ERP. told: how many wait for it, as the exception said last.
        wish: a person wants it withdrawn, once it is known not to be in the ERP.
        token: the commit that admits it. calling: it is under way. Neither outlives the process.
        key: the posting's id as text. line: what it must be in order with: its order, or, where it has none, the
            goods that it moves.
    """

    posting: Posting
    rank: int
    enqueued_us: int
    phase: Phase = Phase.QUEUED
    due_us: int = 0
    attempts: int = 0
    strikes: int = 0
    polls: int = 0
    first_sent_us: int = 0
    sent_us: int = 0
    maybe_us: int = 0
    locked_us: int = 0
    accepted_us: int = 0
    document: str = ""
    notice: str = ""
    notice_us: int = 0
    message: str = ""
    told: int = 0
    wish: Action | None = None
    token: int = 0
    calling: bool = False
    key: str = field(init=False)
    line: str = field(init=False)

    def __post_init__(self) -> None:
        posting = self.posting
        self.key = str(posting.posting_id)
        moved = posting.movements[0] if posting.movements else posting
        self.line = f"{posting.plant}\0{posting.order}" + ("" if posting.order else f"\0{moved.material}\0{moved.lot}")

    def encode(self) -> bytes:
        """Return the entry as a part of the state."""
        kept = {name: getattr(self, name) for name in _KEPT}
        wish = None if self.wish is None else self.wish.model_dump(mode="json")
        posting = self.posting.model_dump(mode="json")
        return orjson.dumps({"version": VERSION, "phase": self.phase, "posting": posting, "wish": wish, **kept})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an entry; raises ValueError where a newer release wrote it."""
        known = orjson.loads(data)
        if known.pop("version") != VERSION:
            raise ValueError("a newer plantsync wrote the state of this delivery; upgrade plantsync")
        wish = known.pop("wish")
        return cls(
            Posting.model_validate(known.pop("posting")),
            phase=Phase(known.pop("phase")),
            wish=None if wish is None else Action.model_validate(wish),
            **known,
        )
