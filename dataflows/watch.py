"""Being told what a running flow does: batch by batch and commit by commit, never event by event.

Law: whoever watches changes nothing of what a flow does, takes time that does not grow with its events, and raises
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from canonical.columns import EventBatch
from canonical.records import RawRecords
from dataflows.intake import Room
from dataflows.items import Commit, Shard
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.reply import Call, Reply
from dataflows.processors.posting.desk import Desk
from sinks.commit_log import Record
from sinks.erp.pace import Pace


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is durable: what it stored, and the instants at which storing began and ended.

    ``state`` holds the parts that changed; ``rows`` counts those of each table, of flows that end in the store.
    """

    shard: str
    position: str
    began_us: int
    ended_us: int
    state: Mapping[str, bytes] = field(default_factory=dict)
    records: Collection[Record] = ()
    rows: Mapping[str, int] = field(default_factory=dict)


OnCommit = Callable[[Committed], None]
"""Is told of each commit that is durable, in the thread that stored it."""


class Watch:
    """Is told what a flow does; this one takes note of nothing.

    Commits may be told by another thread than the rest, and answers of ERPs by several.
    """

    def polled(self, shard: str, raw: RawRecords) -> None:
        """A shard has read a batch that is not empty."""

    def behind(self, shard: str, unread: int, now_us: int) -> None:
        """So much a shard has still to read, in records or, of a folder, in bytes."""

    def source(self, shard: str, *, away: bool) -> None:
        """The source of a shard has failed, and is left alone for a while; or it is back."""

    def restarting(self) -> None:
        """An error has ended the flow's run, and another one will begin."""

    def decoded(self, shard: Shard, events: EventBatch, now_us: int) -> None:
        """A batch of plant records has become events."""

    def counted(self, shard: Shard, commit: Commit) -> None:
        """A commit with these totals is about to be stored."""

    def committed(self, done: Committed) -> None:
        """A commit is durable."""

    def posting(self, shard: str, desk: Desk, room: Room, now_us: int) -> None:
        """The desk of the postings flow as it is now."""

    def delivering(self, shard: str, delivery: Delivery, room: int, pace: Pace, now_us: int) -> None:
        """The delivery to an ERP as it is now: so many postings more may be read, at that pace requests leave."""

    def answered(self, erp: str, call: Call, replies: Sequence[Reply], took_us: int) -> None:
        """A call of an ERP has been answered."""

    def group_told(self, succeeded: bool) -> None:  # noqa: FBT001 - it is all there is to tell
        """The consumer group has been told the offsets, or could not be."""

    def spans(self, fate: str, count: int) -> None:
        """So many spans were sent to the collector, dropped, or refused by it."""


UNWATCHED: Final = Watch()
"""Nobody looks."""
