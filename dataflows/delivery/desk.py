"""The desk of one ERP: what its source, its stage and its commits have in common while the flow runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Final

from canonical.records import RawRecords
from dataflows.delivery.courier import Courier
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.sources.merged import Merged, input_of
from dataflows.sources.shard_source import Clock
from sinks.commit_log import CommitLog, Record, Snapshot
from sinks.erp.pace import Pace

QUEUE: Final = "queue"
"""Inputs whose names begin so hold postings."""


class DurableCommits:
    """A commit log that counts, by shard, the commits that are durable since it was restored. A ``CommitLog``."""

    def __init__(self, log: CommitLog) -> None:
        self._log = log
        self.count: dict[str, int] = {}

    def restore(self, shard: str) -> Snapshot | None:
        """As the log's, and begin to count."""
        self.count[shard] = 0
        return self._log.restore(shard)

    def commit(self, shard: str, position: str, state: Mapping[str, bytes], records: Collection[Record]) -> None:
        """As the log's."""
        self._log.commit(shard, position, state, records)
        self.count[shard] += 1

    def close(self) -> None:
        """As the log's."""
        self._log.close()


@dataclass(slots=True)
class Desk:
    """What one ERP's shard works with; its source and its stage share it.

    ``pace`` is that of the requests of the courier's adapter. ``given`` and ``taken`` count the postings that came out
    of the source, and those of them that the stage has seen.
    """

    erp: str
    policy: DeliveryPolicy
    courier: Courier
    pace: Pace
    clock: Clock
    chance: Callable[[], float]
    durable: DurableCommits
    ended: Event
    end_wait_s: float
    delivery: Delivery | None = None
    given: int = 0
    taken: int = 0

    def room(self) -> int:
        """Return how many postings may be read now."""
        held = self.policy.held_max if self.delivery is None else self.delivery.held
        return self.policy.held_max - held - (self.given - self.taken)

    def idle(self) -> bool:
        """Return whether nothing that was read goes on by itself."""
        return self.delivery is not None and self.given == self.taken and self.delivery.idle


class DeskReader:
    """An ERP's inputs, and at their end only when nothing that was read goes on by itself. A ``Reader``."""

    def __init__(self, inputs: Merged, desk: Desk) -> None:
        self._inputs, self._desk = inputs, desk

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on where each input stood."""
        self._inputs.seek(position, state)

    def poll(self) -> RawRecords:
        """Return the next records, and count the postings among them."""
        raw = self._inputs.poll()
        if len(raw) and input_of(raw)[0].startswith(QUEUE):
            self._desk.given += len(raw)
        return raw

    def position(self) -> str:
        """Return where each input goes on."""
        return self._inputs.position()

    def state(self) -> Mapping[str, bytes]:
        """Return what the positions need beyond themselves."""
        return self._inputs.state()

    def at_end(self) -> bool:
        """Return whether all has been read, and what was read is settled or waits for a person or the ERP."""
        return self._inputs.at_end() and self._desk.idle()

    def behind(self) -> int:
        """Return how many records have not been read."""
        return self._inputs.behind()

    def close(self) -> None:
        """Release what the readers hold."""
        self._inputs.close()
