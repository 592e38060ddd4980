"""The ``delivery`` flow: postings to documents of the ERPs, a shard for each ERP, its own failure domain.

The mechanism against loss and duplicates: a posting is sent only after a commit has admitted it, and what may have been
sent when a process ended is asked for in the ERP before it is sent again (``processors.delivery``). The flow itself
never waits for an ERP: threads of the ERP's courier call, the stage hands out calls and collects answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from threading import Event
from typing import Final

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from pydantic import ValidationError

from canonical.contracts import Action, FaultCode, Posting, Receipt, fault_code
from canonical.posting_wire import encode_exception
from canonical.receipt_wire import encode_receipt, recorded_us
from canonical.records import RawRecords, RowFault
from dataflows.commit_sink import CommitSink
from dataflows.confirmations import writing
from dataflows.delivery.desk import Desk
from dataflows.flow_names import DELIVERY as NAME
from dataflows.items import Commit, Shard, Work
from dataflows.processors.delivery.delivery import Delivery
from dataflows.sources.merged import input_of
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.stage import stage
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import CommitLog, Record
from sinks.dead_letters import dead_letter_records
from sinks.records import Records
from sinks.streams import ACTIONS, EXCEPTIONS, RECEIPTS

LOGGER: Final = logging.getLogger(__name__)


class Deliver:
    """One ERP's stage: records and answers in, calls and receipts out."""

    def __init__(
        self, shard: Shard, state: Mapping[str, bytes], desks: Mapping[str, Desk], watch: Watch = UNWATCHED
    ) -> None:
        self.shard, self.desk, self.watch = shard, desks[shard.name], watch
        desk = self.desk
        self.delivery = desk.delivery = Delivery(desk.erp, desk.policy, desk.chance, state, desk.clock())
        self.records: list[Record] = []

    def work(self, work: Work) -> Iterable[Work]:
        """Read, collect answers, and hand out what is due."""
        delivery, desk, now_us = self.delivery, self.desk, work.now_us
        delivery.committed(desk.durable.count.get(self.shard.name, 0))
        if len(work.raw):
            self._read(work)
        self._collect(now_us)
        for call in delivery.calls(now_us):
            desk.courier.hand_out(call)
        self.shard.pending = delivery.pending or bool(self.records)
        self.shard.urgent = delivery.urgent
        self.watch.delivering(self.shard.name, delivery, desk.room(), desk.pace, now_us)
        yield Work(now_us)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Return the state as of now; at the end of the flow after the calls under way have been answered."""
        delivery, now_us = self.delivery, commit.now_us
        if self.desk.ended.is_set():
            if not self.desk.courier.drain(self.desk.end_wait_s):
                LOGGER.warning("%s: %d calls are in doubt and will be asked for", self.desk.erp, delivery.in_flight)
            now_us = self.desk.clock()
            self._collect(now_us)
            delivery.close(now_us)
        _, parts = delivery.commit(now_us)
        self._write(now_us)
        commit.records, self.records = Records(self.records), []
        self.shard.pending = self.shard.urgent = False
        return parts

    def _read(self, work: Work) -> None:
        """Take the records of an input; those that cannot be used become dead letters, and stop nothing."""
        name, raw = input_of(work.raw)
        take = self._action if name.startswith(ACTIONS) else self._posting
        faults = [("deliver", fault) for row in range(len(raw)) if (fault := take(raw, row, work.now_us)) is not None]
        self.records += dead_letter_records(raw, faults, work.now_us, flow=NAME, shard=self.shard.name)

    def _action(self, raw: RawRecords, row: int, now_us: int) -> RowFault | None:
        try:
            action = Action.model_validate_json(raw.value(row))
        except ValidationError as error:
            return RowFault(row, fault_code(error), str(error))
        self.delivery.decide(action, now_us)
        return None

    def _posting(self, raw: RawRecords, row: int, now_us: int) -> RowFault | None:
        self.desk.taken += 1
        try:
            posting = Posting.model_validate_json(raw.value(row))
        except ValidationError as error:
            return RowFault(row, fault_code(error), str(error))
        if posting.erp != self.desk.erp:
            words = f"posting {posting.posting_id} is for {posting.erp or 'no ERP'}: see who else writes to this queue"
            return RowFault(row, FaultCode.NOT_OWNER, words, plant=posting.plant)
        headers = () if raw.headers is None else raw.headers[row]
        self.delivery.enqueue(posting, recorded_us(headers, now_us), now_us)
        return None

    def _collect(self, now_us: int) -> None:
        for answered in self.desk.courier.collect():
            self.delivery.replied(answered.call, answered.replies, max(now_us, answered.at_us))
        self._write(now_us)

    def _write(self, now_us: int) -> None:
        for told in self.delivery.take():
            if isinstance(told, Receipt):
                self.records.append(Record(RECEIPTS, *encode_receipt(told)))
            else:
                self.records.append(Record(EXCEPTIONS, *encode_exception(told, now_us)))


def delivery(
    shards: Mapping[str, ShardInput],
    log: CommitLog,
    desks: Mapping[str, Desk],
    pace: Pace,
    clock: Clock,
    stop: Event,
    watch: Watch = UNWATCHED,
) -> Dataflow:
    """Return the flow; a shard and a desk for each ERP. Other arguments as for ``confirmations``."""
    flow = Dataflow(NAME)
    items = op.input("queue", flow, ShardSource(shards, log.restore, pace, clock, stop))
    items = stage("deliver", items, partial(Deliver, desks=desks, watch=watch))
    op.output("commit", items, CommitSink(writing(log)))
    return flow
