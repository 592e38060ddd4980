"""What can go wrong, and where: the places of a run at which it asks whether something does.

A place lies before or after each call that leaves the process, and between the steps inside a restore
and a commit. A fault is planned for the n-th time that a run comes by its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Place(StrEnum):
    """Where a run can be hit, in the order in which it comes by."""

    RESTORE = "restore"  # before the log is asked
    FENCED = "fenced"  # older writers are out; nothing has been read
    RESTORED = "restored"  # the last commit has been read, not yet handed over
    OPEN = "open"  # before the source is opened
    SEEK = "seek"
    POLL = "poll"
    POLLED = "polled"  # the reader has moved on, the records are not yet handed over
    STEP = "step"  # between reading and what the stages make of it
    POSITION = "position"
    STATE = "state"
    BEGUN = "begun"  # a commit is on its way and nothing of it has been done; the flow is about to go on
    COMMIT = "commit"  # before anything
    CHECKED = "checked"  # no newer writer so far
    STAGED_RECORDS = "staged records"
    STAGED_STATE = "staged state"
    STAGED_POSITION = "staged position"
    PUBLISHED = "published"  # stored for all to see, not yet answered


class Kind(StrEnum):
    """What happens there."""

    CRASH = "crash"  # the process is gone, and everything in its memory
    PAUSE = "pause"  # it stands still; others take over its shards; then it goes on, not knowing
    UNAVAILABLE = "unavailable"  # an error now, and for a while whenever the same part is asked
    DOUBT = "in doubt"  # the answer to the commit is lost
    SLOW = "slow"  # it takes long
    RESCALE = "rescale"  # all processes end, some in order and some not, and another number of them starts


SOURCE: Final = frozenset({Place.OPEN, Place.SEEK, Place.POLL, Place.POLLED})
RESTORING: Final = frozenset({Place.RESTORE, Place.FENCED, Place.RESTORED})
COMMITTING: Final = frozenset(
    {Place.COMMIT, Place.CHECKED, Place.STAGED_RECORDS, Place.STAGED_STATE, Place.STAGED_POSITION}
)
"""Inside a commit, and nothing of it can be seen yet."""
LOG: Final = RESTORING | COMMITTING | {Place.PUBLISHED}


def kinds_at(place: Place) -> tuple[Kind, ...]:
    """Return what can happen at a place."""
    anywhere = (Kind.CRASH, Kind.CRASH, Kind.PAUSE, Kind.SLOW, Kind.RESCALE)
    if place in {Place.STAGED_POSITION, Place.PUBLISHED}:
        return (*anywhere, Kind.DOUBT, Kind.DOUBT)
    if place in SOURCE | RESTORING | COMMITTING:
        return (*anywhere, Kind.UNAVAILABLE)
    return anywhere


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: ``size``, from 0 to 1, says how long or how much."""

    kind: Kind
    size: float


Plan = dict[tuple[Place, int], Fault]
"""What goes wrong, by place and by how often a run has come by it."""


class Crash(BaseException):
    """The process is gone. No error of the program: nothing in it may catch this."""
