"""The ``postings`` flow: confirmations, events, decisions and reference data to what the ERPs are to do, once.

The mechanism: what was decided, the changed parts of the state and the places in all inputs are stored by the commit
log in one transaction, and a restart goes on from the last one (docs/decisions/0015). It is one shard, so that what
meets by order or lot meets here; it runs apart from the others, and stopping it stops none of them (M23).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Event as Flag
from typing import Final

import bytewax.operators as op
import orjson
from bytewax.dataflow import Dataflow
from pydantic import ValidationError

from canonical.b2mml import Terms, read_references
from canonical.contracts import (
    REFERENCE,
    Action,
    Confirmation,
    ExceptionCode,
    FaultCode,
    Receipt,
    ReceiptStatus,
    fault_code,
    read_event,
)
from canonical.identity import event_id
from canonical.posting_wire import encode_command, encode_exception, encode_posting, encode_unposted, encode_usage
from canonical.records import RawRecords, RowFault
from dataflows.commit_sink import CommitSink
from dataflows.confirmations import writing
from dataflows.flow_names import POSTINGS as NAME
from dataflows.in_flight import Begin, at_once
from dataflows.intake import Room
from dataflows.items import Commit, Shard, Work
from dataflows.processors.posting.desk import Desk
from dataflows.processors.posting.documents import Made
from dataflows.processors.posting.limits import Refused
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.sources.merged import input_of
from dataflows.sources.shard_source import Clock, Pace, ShardInput, ShardSource
from dataflows.stage import stage
from dataflows.watch import UNWATCHED, Watch
from sinks.commit_log import CommitLog, Record
from sinks.dead_letters import REFUSE, dead_letter_records
from sinks.records import Records
from sinks.streams import ACTIONS, COMMANDS, CONFIRMATIONS, EVENTS, EXCEPTIONS, RECEIPTS, UNPOSTED, USAGE
from sinks.streams import postings as queue_of

SHARD: Final = "postings"
REFERENCE_INPUT: Final = "reference"
"""Inputs are named after their stream, and ``reference/<system>``; what follows another slash is the partition."""


class Decide:
    """The desk as a stage: records of all inputs in, postings, commands, exceptions and dead letters out."""

    def __init__(
        self,
        shard: Shard,
        state: Mapping[str, bytes],
        policy: PostingPolicy,
        room: Room,
        terms: Mapping[str, Terms],
        watch: Watch = UNWATCHED,
    ) -> None:
        self.shard, self.policy, self.state, self.room, self.terms = shard, policy, state, room, terms
        self.watch = watch
        self.desk: Desk | None = None
        self.records: list[Record] = []

    def work(self, work: Work) -> Iterable[Work]:
        """Take a batch of one input; what cannot be used becomes dead letters, and stops nothing."""
        desk = self._desk(work.now_us)
        due_us = desk.due_us()
        if due_us is not None and due_us <= work.now_us:
            desk.wake(work.now_us)
        if len(work.raw):
            name, raw = input_of(work.raw)
            faults = list(self._taken(desk, name, raw, work.now_us))
            self.records += dead_letter_records(raw, faults, work.now_us, flow=NAME, shard=self.shard.name)
            self.room.seen += 1
        self.room.resting = desk.full + desk.crowded
        self.shard.pending = bool(self.records) or desk.pending
        self.shard.urgent |= desk.urgent
        self.watch.posting(self.shard.name, desk, self.room, work.now_us)
        return ()

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Hand over what was decided since the last commit."""
        desk = self._desk(commit.now_us)
        outcome = desk.take(commit.now_us)
        now_us = commit.now_us
        self.records += [_posting(made, now_us) for made in outcome.postings]
        self.records += [Record(COMMANDS, *encode_command(command, now_us)) for command in outcome.commands]
        self.records += [Record(EXCEPTIONS, *encode_exception(each, now_us)) for each in outcome.exceptions]
        self.records += [Record(USAGE, *encode_usage(usage, now_us)) for usage in outcome.usages]
        self.records += [Record(UNPOSTED, *encode_unposted(each, now_us)) for each in outcome.unposted]
        commit.records, self.records = Records(self.records), []
        self.shard.pending = self.shard.urgent = False
        return desk.encode()

    def _desk(self, now_us: int) -> Desk:
        if self.desk is None:
            self.desk, self.state = Desk.decode(self.policy, self.state, now_us), {}
        return self.desk

    def _taken(self, desk: Desk, name: str, raw: RawRecords, now_us: int) -> Iterable[tuple[str, RowFault]]:
        """Give each record of an input to the desk; yield those that cannot be used."""
        if raw.refusals is not None:
            yield from ((REFUSE, fault) for fault in raw.refused())
            return
        kind, _, rest = name.partition("/")
        take = self._taking_reference(rest.partition("/")[0]) if kind == REFERENCE_INPUT else _TAKING[kind]
        for row, (start, end) in enumerate(zip(raw.starts.tolist(), raw.ends.tolist(), strict=True)):
            try:
                take(desk, raw.prefix + raw.data[start:end], now_us)
            except ValidationError as error:
                yield "desk", RowFault(row, fault_code(error), str(error))
            except Refused as refused:
                yield "desk", RowFault(row, _REFUSALS[refused.code], refused.detail)
            except Unusable as unusable:
                yield "desk", RowFault(row, unusable.code, str(unusable))

    def _taking_reference(self, system: str) -> Callable[[Desk, bytes, int], None]:
        terms = self.terms.get(system)
        if terms is None:
            return partial(_reference, system=system)
        return partial(_document, system=system, terms=terms)


class Unusable(Exception):
    """Something in a document that cannot be used; the rest of it was."""

    def __init__(self, code: FaultCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def postings(
    shards: Mapping[str, ShardInput],
    policy: PostingPolicy,
    log: CommitLog,
    pace: Pace,
    clock: Clock,
    stop: Flag,
    room: Room,
    terms: Mapping[str, Terms],
    begin: Begin = at_once,
    watch: Watch = UNWATCHED,
) -> Dataflow:
    """Return the flow; its one shard reads all inputs into this room.

    Args: terms: of the systems that write B2MML. Others as for ``confirmations``.
    """
    flow = Dataflow(NAME)
    items = op.input("inputs", flow, ShardSource(shards, log.restore, pace, clock, stop))
    decided = stage("desk", items, partial(Decide, policy=policy, room=room, terms=terms, watch=watch), clock)
    op.output("commit", decided, CommitSink(writing(log), clock=clock, begin=begin))
    return flow


def _posting(made: Made, now_us: int) -> Record:
    return Record(queue_of(made.erp), *encode_posting(made, made.value, now_us, made.known_us))


def _confirmation(desk: Desk, value: bytes, now_us: int) -> None:
    desk.confirmation(Confirmation.model_validate_json(value), now_us)


def _event(desk: Desk, value: bytes, now_us: int) -> None:
    event = read_event(value)
    name = event_id(event.source, event.session, value.decode() if event.seq is None else event.seq)
    desk.event(event, str(name), now_us)


def _action(desk: Desk, value: bytes, now_us: int) -> None:
    desk.action(Action.model_validate_json(value), now_us)


def _receipt(desk: Desk, value: bytes, now_us: int) -> None:
    if WITHDRAWN not in value:  # Nearly all are of what was accepted, which changes nothing here.
        return
    receipt = Receipt.model_validate_json(value)
    if receipt.status is ReceiptStatus.WITHDRAWN:
        desk.withdrawn(str(receipt.posting_id), now_us)


def _reference(desk: Desk, value: bytes, now_us: int, system: str) -> None:
    desk.reference(REFERENCE.validate_json(value), system, now_us)


def _document(desk: Desk, value: bytes, now_us: int, system: str, terms: Terms) -> None:
    """Take what a B2MML document says; what of it cannot be used keeps nothing else back. Raises: Unusable."""
    found = read_references(value, terms)
    faults = [(fault.code, f"line {fault.line}: {fault.detail}") for fault in found.faults]
    for record in found.records:
        try:
            desk.reference(record, system, now_us)
        except Refused as refused:
            faults.append((_REFUSALS[refused.code], refused.detail))
    if faults:
        raise Unusable(faults[0][0], "; ".join(dict.fromkeys(detail for _, detail in faults)))


WITHDRAWN: Final = orjson.dumps(ReceiptStatus.WITHDRAWN)
_TAKING: Final = {CONFIRMATIONS: _confirmation, EVENTS: _event, ACTIONS: _action, RECEIPTS: _receipt}
_REFUSALS: Final = {
    ExceptionCode.BOUND_REACHED: FaultCode.BOUND_REACHED,
    ExceptionCode.NOT_OWNER: FaultCode.NOT_OWNER,
}
