"""The desk: decides what is posted, where, when and as what; the heart of the flow ``postings``.

Laws:

- indifference: what is posted depends on what arrived and not on the order across inputs, as long as nothing timed
  out and no record replaced another in force;
- once: each case is posted, waiting, discarded by a person, superseded, or not to be posted by rule;
- order: a line's cases are posted in the order of arrival; numbers of an order in an ERP have no holes;
- isolation: what fails waits with what follows it in its line, all else goes on.

State: parts by key, of which ``encode`` returns those that changed. Limits: ``PostingPolicy``; what is beyond one is
refused, and an exception ``BOUND_REACHED`` counts it.

Source: M10-M13, M16, M19, M30, M33, M43, A15; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Self

import orjson

from canonical.contracts import (
    Action,
    ActionKind,
    AnyReference,
    Command,
    CommandKind,
    Confirmation,
    Event,
    EventType,
    ExceptionCode,
    OrderReference,
    Resolution,
    UnpostedState,
)
from canonical.identity import document_name, posting_id
from dataflows.processors.posting.activities import TOLD
from dataflows.processors.posting.attribution import awaited
from dataflows.processors.posting.case import Line
from dataflows.processors.posting.casework import Casework
from dataflows.processors.posting.draft import Draft, confirmed
from dataflows.processors.posting.examination import BINDING
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.finals import without_final
from dataflows.processors.posting.limits import Refused
from dataflows.processors.posting.outcome import Outcome
from dataflows.processors.posting.owners import not_owned
from dataflows.processors.posting.policy import PostingPolicy, Sort, sort_of
from dataflows.processors.posting.queues import waived
from dataflows.processors.posting.reference_book import BookFull
from dataflows.processors.posting.scrap_watch import Breach
from dataflows.processors.posting.timeline import Mark
from dataflows.processors.state import StateVersionUnknown


class Desk(Casework):
    """Takes what arrives, hands out what is decided."""

    def __init__(self, policy: PostingPolicy) -> None:
        super().__init__(policy)
        self._actions: dict[str, None] = {}
        self._commands: dict[str, None] = {}
        self._known = b""
        self._restored = False

    # -- what arrives --------------------------------------------------------------------------

    def reference(self, record: AnyReference, system: str, now_us: int) -> None:
        """Take a record of reference data from a system; what waits for it is asked again (A15).

        Raises: Refused.
        """
        self._own(record.kind, system, now_us)
        try:
            subject = self.book.tell(record, now_us)
        except BookFull:
            raise self._limits.refused("references_max", now_us) from None
        if subject is not None:
            if isinstance(record, OrderReference) and self.orders.look(record.plant, record.order).issued:
                self._used[record.erp, record.plant, record.order] = None
            self.queues.stirred(subject)
            self._run(now_us)

    def confirmation(self, confirmation: Confirmation, now_us: int) -> None:
        """Take a confirmation. Raises: Refused."""
        c = confirmation
        orderless = not c.order and c.plant in self.policy.attribution.plants
        if orderless:  # Who knows no order cannot say that its operation is complete.
            c = c.model_copy(update={"final": False})
        sort, draft = sort_of(c), confirmed(c)
        if orderless:
            draft = replace(draft, unattributed=True)
        elif self.gathering.finals is not None and not c.revision:
            draft = without_final(draft)
        base = draft.cause
        if c.revision:
            base = str(posting_id(c.plant, c.source, c.session, c.first_seq, c.kind, 0))
        try:
            news = self._take(draft, sort, base, c.revision, now_us)
        except Refused as refused:
            self.accounting.ended(draft, UnpostedState.REFUSED, refused.detail)
            raise
        if news:
            if c.final and not c.revision:
                self._present(c, EventType.COMPLETE, c.last_occurred_us, str(c.posting_id), now_us)
            drafts, breaches = self.gathering.confirmation(c, now_us)
            self._gathered(drafts, now_us)
            for breach in breaches:
                self._breached(breach, draft.cause, now_us)

    def offer(self, draft: Draft, now_us: int) -> None:
        """Take what another processor has gathered. Raises: Refused."""
        base = document_name(draft.plant, draft.cause, draft.kind, draft.operation)
        self._take(draft, Sort(draft.kind), base, 0, now_us)

    def event(self, event: Event, event_id: str, now_us: int) -> None:
        """Take an operational event: a word of the quality system, or what is gathered. Raises: Refused."""
        self._own(event.type, event.source, now_us)
        if event.correlation_id in self._commands:
            self.counts["echoes"] += 1  # What we asked for ourselves is no news (M43).
            return
        self.counts["events"] += 1
        if event.type in {EventType.CONSUME, EventType.MOVE} and not event.quantity:
            self.counts["without quantity"] += 1  # There is nothing to post.
        if event.type in {EventType.HOLD, EventType.RELEASE} and event.lot:
            released = event.type is EventType.RELEASE and event.quality not in _NOT_RELEASED
            self._said(event.material, event.lot, event.occurred_us, now_us, released=released)
        if event.type in TOLD:
            self._present(event, event.type, event.occurred_us, event_id, now_us)
        self._gathered(self.gathering.event(event, event_id, now_us), now_us)

    def withdrawn(self, posting_id: str, now_us: int) -> None:
        """Learn that a person has withdrawn a posting before it was sent: what it made is not made (M12, M30)."""
        self.counts["withdrawn"] += 1
        self._undone(posting_id, now_us)
        self._run(now_us)

    def command(self, command: Command) -> None:
        """Send a command, once; what it asks for holds from now on, so its echo is no news."""
        name = str(command.command_id)
        if name in self._commands:
            return
        self._commands[name] = None
        while len(self._commands) > self.policy.commands_max:
            del self._commands[next(iter(self._commands))]
        if command.kind is CommandKind.QUALITY_HOLD and command.lot:
            self.lots.said(command.material, command.lot, command.occurred_us, released=False)
        self._outcome.commands.append(command)
        self._urgent = True

    def action(self, action: Action, now_us: int) -> None:
        """Do what a person decided, once; an exception that is not of the desk is left to others."""
        name = str(action.action_id)
        if name in self._actions:
            return
        self._actions[name] = None
        while len(self._actions) > self.policy.actions_max:
            del self._actions[next(iter(self._actions))]
        if action.kind is ActionKind.REVERSE:
            self._reverse(action.posting_id, now_us)
        elif (code := self.causes.told_of(action.exception_id)) is not None:
            self._ending = (_ENDS[action.kind], action)
            self._decided(action, code, now_us)
        self._run(now_us)
        self._ending = (Resolution.REVALIDATED, None)

    @property
    def crowded(self) -> bool:
        """Whether nothing more should be gathered either: as much again was put back for want of room."""
        return self.full and self.gathering.put_back_count >= self.policy.waiting_max

    # -- time ----------------------------------------------------------------------------------

    def wake(self, now_us: int) -> None:
        """Let time pass: what came into force, ended or waited too long is asked again; first after ``decode``."""
        for subject in self.book.wake(now_us):
            self.queues.stirred(subject)
        self.queues.wake(now_us)
        self._run(now_us)
        self._gathered(self.gathering.wake(now_us), now_us)
        if self._restored:
            self._restored = False
            self.causes.sweep(now_us)

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do; None where only what arrives changes anything."""
        if self._restored:
            return 0
        dues = (self.book.due_us(), self.queues.due_us(), self.gathering.due_us())
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def take(self, now_us: int) -> Outcome:
        """Return what was decided since the last call."""
        self._limits.tell_full(now_us)
        self._tell_usage(now_us)
        outcome, self._outcome = self._outcome, Outcome()
        self._urgent = False
        outcome.exceptions = self.causes.take(now_us)
        outcome.unposted = self.accounting.take(now_us)
        return outcome

    # -- state ---------------------------------------------------------------------------------

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts of the state that changed, empty those that went. Call it after ``take``."""
        parts: dict[str, bytes] = {}
        for owner in (self.book, self.lots, self.orders, self.history, self.queues, self.causes, self.gathering):
            parts.update(owner.encode())
        parts.update(self.presence.encode())
        known = {"next": self._next, "counts": self.counts, "actions": [*self._actions], "commands": [*self._commands]}
        value = orjson.dumps({"version": VERSION, **known})
        if value != self._known:
            parts[PART] = self._known = value
        return parts

    @classmethod
    def decode(cls, policy: PostingPolicy, parts: Mapping[str, bytes], now_us: int) -> Self:
        """Return the desk whose ``encode`` returned these parts over time. Raises: StateVersionUnknown."""
        desk = cls(policy)
        if PART not in parts:
            return desk
        known = orjson.loads(parts[PART])
        if known["version"] != VERSION:
            raise StateVersionUnknown(
                f"expected state {PART} of version {VERSION}, found {known['version']}. Run the release that wrote it, "
                "or a newer one."
            )
        desk._next = known["next"]
        desk.counts.update(known["counts"])
        desk._actions, desk._commands = dict.fromkeys(known["actions"]), dict.fromkeys(known["commands"])
        desk.book.decode(parts, now_us)
        for owner in (desk.lots, desk.orders, desk.history, desk.queues, desk.causes, desk.gathering, desk.presence):
            owner.decode(parts)
        desk._restored = True
        return desk

    # -- attribution ---------------------------------------------------------------------------

    def _present(self, told: Event | Confirmation, type_: EventType, at_us: int, name: str, now_us: int) -> None:
        """Learn of an order at a work centre; what waits to be attributed there is asked again."""
        if told.order and told.plant in self.policy.attribution.plants:
            mark = Mark(at_us, name, type_, told.order, told.operation, is_setup=False)
            if self.presence.tell(told.plant, told.work_center, mark):
                self.queues.stirred(awaited(told.plant, told.work_center), at_us)
                self._run(now_us)

    # -- gathering -----------------------------------------------------------------------------

    def _gathered(self, drafts: list[Draft], now_us: int) -> None:
        """Take drafts that are due; those there is no room for come again."""
        for draft in drafts:
            if self.full:
                self.gathering.put_back(draft, now_us)
                continue
            try:
                self.offer(draft, now_us)
            except Refused:
                self.gathering.put_back(draft, now_us)

    def _breached(self, breach: Breach, first: str, now_us: int) -> None:
        """Hold a lot of which too much is scrap, or let its exception end (M20)."""
        for command in breach.commands:
            self.command(command)
        self.causes.count(breach.failure, "scrap", int(breach.begins), first, now_us)

    # -- people --------------------------------------------------------------------------------

    def _decided(self, action: Action, code: ExceptionCode, now_us: int) -> None:
        """Do what a person decided about an exception, to what waits for it now."""
        cause_id = action.exception_id
        for line in self.causes.lines(cause_id):
            match action.kind:
                case ActionKind.RELEASE if code not in BINDING:
                    for case in self.queues.cases(line):
                        self.queues.waive(case, waived(case, code))
                case ActionKind.DISCARD:
                    self._discard(line, cause_id, action, now_us)
                case _:
                    pass
            self.queues.ask(line)
        if action.kind is ActionKind.DISCARD:
            self.causes.drop_others(cause_id, action, now_us)

    def _discard(self, line: Line, cause_id: str, by: Action, now_us: int) -> None:
        """Take the cases out of a line that fail for this cause, up to the first that does not."""
        while line in self.queues:
            case = self.queues.head(line)
            verdict = self._examined(case, now_us)
            if not (isinstance(verdict, Failure) and str(verdict.cause) == cause_id):
                return
            self._leave(line)
            self.accounting.ended(case.draft, UnpostedState.DISCARDED, "", by)
            if not case.derived:
                self.counts["discarded"] += 1

    # -- owners --------------------------------------------------------------------------------

    def _own(self, kind: str, system: str, now_us: int) -> None:
        """See that a system may tell of this kind of thing. Raises: Refused (M43)."""
        failure = not_owned(self.policy.owners, kind, system)
        if failure is not None:
            self.counts["not owned"] += 1
            self.causes.count(failure, system, self.causes.counted(failure, system) + 1, "", now_us)
            raise Refused(failure.code, failure.message)


PART: Final = "desk"
VERSION: Final = 1
_NOT_RELEASED: Final = ("hold", "reject")
_ENDS: Final = {
    ActionKind.RELEASE: Resolution.RELEASED,
    ActionKind.REPROCESS: Resolution.REPROCESSED,
    ActionKind.DISCARD: Resolution.DISCARDED,
}
