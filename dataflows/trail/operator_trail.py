"""What people do by hand: a chain of the audit trail of its own, and the state that goes with it (M29, M35).

The chain ``operator`` is written like a shard of the confirmations flow: ``open`` fences whoever else
is about to act, and an entry is committed with its head in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import orjson

from dataflows.flow_names import CONFIRMATIONS
from dataflows.opened_log import open_log
from dataflows.settings import Settings
from sinks.commit_log import CommitLog, Record
from sinks.kafka import Delivery, KafkaLog
from sinks.trail import PART, Deed, Head, append

OPERATOR: Final = "operator"
ACTOR_MAX: Final = 256
REASON_MAX: Final = 1_000
"""Characters of who acts, and of why, that an entry holds."""


class OperatorTrail:
    """The writer of the chain; ``state`` is what earlier acts left beside its head."""

    def __init__(self, log: CommitLog) -> None:
        """Fence whoever else is about to act. Raises: CommitLogUnavailable, CommitLogError."""
        self._log = log
        snapshot = log.restore(OPERATOR)
        self.state: Mapping[str, bytes] = snapshot.state if snapshot is not None else {}

    def append(
        self,
        deed: Deed,
        at_us: int,
        state: Mapping[str, bytes],
        deliveries: Sequence[Delivery] = (),
        records: Sequence[Record] = (),
    ) -> Head:
        """Commit an entry, and with it parts of the state, other records and, on Kafka, messages to any topic.

        Raises: WriterFenced where somebody else has acted meanwhile; as ``CommitLog.commit`` otherwise.
        """
        head, record = append(OPERATOR, Head.of(self.state), deed, at_us)
        position = orjson.dumps({"number": head.number}).decode()
        state = {**state, PART: head.encode()}
        if deliveries:
            assert isinstance(self._log, KafkaLog), "what comes from a topic was read where Kafka is the log"
            self._log.commit(OPERATOR, position, state, [record, *records], deliveries)
        else:
            self._log.commit(OPERATOR, position, state, [record, *records])
        self.state = {**self.state, **state}
        return head


@contextmanager
def operator_trail(settings: Settings) -> Iterator[OperatorTrail]:
    """Open the chain of the log that the settings name."""
    log = open_log(settings, CONFIRMATIONS)
    try:
        yield OperatorTrail(log)
    finally:
        log.close()
