"""What the state machine is told of a call, and what it asks to be called: words without a wire (M26, M27)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from canonical.contracts.posting import Posting


class CallKind(StrEnum):
    """What is asked of an ERP."""

    SEND = "send"
    FIND = "find"
    MOVEMENTS = "movements"


class ReplyKind(StrEnum):
    """What came of it: the outcomes of an adapter, and the two that it says by saying nothing."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    LOCKED = "locked"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    IN_DOUBT = "in-doubt"
    UNAUTHORISED = "unauthorised"
    CANNOT_TELL = "cannot-tell"
    NONE = "none"
    """Asked whether a document was made: it was not. Asked for what follows it: that is still open."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call for one posting; instants and waits in microseconds."""

    kind: ReplyKind
    document: str = ""
    committed_us: int | None = None
    code: str = ""
    message: str = ""
    retry_after_us: int = 0
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be made: several postings only where they are sent, each of another order.

    ``documents`` are, for ``MOVEMENTS``, those the questions are about. ``began_us`` is when it was handed out.
    """

    kind: CallKind
    postings: tuple[Posting, ...]
    documents: tuple[str, ...]
    began_us: int
    until_us: int
