"""The port of the ERPs: what delivery asks of one, whatever it speaks (M32).

Laws: an adapter translates and sends, and decides nothing. Each call is at most one attempt; only an expired
session or token is renewed, once, since what it answered was certainly not executed. What an ERP or a network does
is an ``Answer``, never an exception; an exception is a defect. ``UNAVAILABLE``, ``THROTTLED``, ``LOCKED`` and
``UNAUTHORISED`` mean that nothing was executed, ``IN_DOUBT`` that it may have been: then ``find`` says more.
Adapters may be called from several threads at once.

Source: M24-M27, M32; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from canonical.contracts.posting import Posting

CODE_CHARACTERS_MAX: Final = 256
MESSAGE_CHARACTERS_MAX: Final = 1024


class Outcome(StrEnum):
    """What came of a call, and with it what may be done next."""

    ACCEPTED = "accepted"
    """The ERP has made ``document``."""
    REJECTED = "rejected"
    """The ERP refuses for good (``code``, ``message``): the same posting would be refused again."""
    LOCKED = "locked"
    """Somebody works on the order or material: the same again, in its place."""
    THROTTLED = "throttled"
    """Too many requests: nothing at all for ``retry_after_s``."""
    UNAVAILABLE = "unavailable"
    """Not reached, or closed; certainly not executed. ``retry_after_s`` where the ERP says how long."""
    IN_DOUBT = "in-doubt"
    """It was sent and no answer can be trusted: it may have been executed. Ask ``find`` before sending again."""
    UNAUTHORISED = "unauthorised"
    """Credentials or permissions do not hold: nothing can be posted until a person has changed them."""
    CANNOT_TELL = "cannot-tell"
    """``find`` and ``movements`` only: this ERP has no answer to that, now or later. A person must look."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an ERP said to one call, or what came in place of an answer.

    Args:
        outcome: what came of it.
        document: the ERP's document, its parts joined by a slash; where it was accepted. Empty where the ERP needs
            none for this posting, since another says it already.
        committed_us: instant at which the ERP says it made the document, UTC microseconds; None where it does not.
        code: the ERP's message class and number, ``HTTP/<status>``, or ``PLANTSYNC/<what>`` where the adapter
            itself found that the posting cannot be written in the ERP's terms.
        message: the words that go with it, for people.
        retry_after_s: seconds to wait, where the ERP says so.
        follows: accepted, and something is still to come that may fail: ask ``movements`` later.
    """

    outcome: Outcome
    document: str = ""
    committed_us: int | None = None
    code: str = ""
    message: str = ""
    retry_after_s: float | None = None
    follows: bool = False

    def __post_init__(self) -> None:
        # What an ERP sends has any length; receipts have bounds.
        object.__setattr__(self, "code", self.code[:CODE_CHARACTERS_MAX])
        object.__setattr__(self, "message", self.message[:MESSAGE_CHARACTERS_MAX])


class ErpAdapter(Protocol):
    """One ERP instance. One suite (tests/conformance/test_erp.py) holds for every adapter."""

    @property
    def many_max(self) -> int:
        """The most postings ``send_many`` takes at once; 1 where the ERP has no bulk interface."""
        ...

    def send(self, posting: Posting) -> Answer:
        """Send a posting once; a posting that the ERP knows already makes no second document where it can tell."""
        ...

    def send_many(self, postings: Sequence[Posting]) -> list[Answer]:
        """Send up to ``many_max`` postings in one request; one answer each, in their order.

        Each is accepted or refused by itself, so no two of them may depend on each other: one of an order.
        """
        ...

    def find(self, posting: Posting) -> Answer | None:
        """Ask whether the document of a posting was made.

        Returns: ACCEPTED with the document; REJECTED where the ERP processed it and refused; None where it was not
            made, so that it may be sent; CANNOT_TELL; otherwise why asking failed.
        """
        ...

    def movements(self, posting: Posting, document: str) -> Answer | None:
        """Ask how the second level of an accepted posting ended: its goods movements, or its processing.

        Returns: ACCEPTED when everything has been posted (``document``: of the movements, where there is one);
            REJECTED when it failed, which a person may repair, so that a later call may say ACCEPTED; None while it
            is open; CANNOT_TELL; otherwise why asking failed.
        """
        ...

    def look(self) -> Answer:
        """Read something, and change nothing: ACCEPTED where the ERP is there and lets us in, otherwise why not."""
        ...

    def close(self) -> None:
        """Release connections; no call may follow."""
        ...
