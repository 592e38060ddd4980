"""Causes: why something waits, one exception each, told when it has waited too long and again whenever that changes.

Law: a cause that was told is open as long as anything waits for it; its record carries the count of all that waits,
and in a commit it is written once, however much of it came.

Source: M11, M12, M39, M40; docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from canonical.contracts import OWNERS, SEVERITIES, Action, BusinessException, ExceptionCode, Resolution
from dataflows.processors.posting.case import Line
from dataflows.processors.posting.failure import Failure

PART: Final = "exception:"


@dataclass(slots=True)
class Cause:
    """One cause: the lines that wait for it, the counts of what else does by name, and its record once it was told."""

    lines: set[Line] = field(default_factory=set)
    others: dict[str, int] = field(default_factory=dict)
    record: BusinessException | None = None


class Causes:
    """The causes, by the id of their exception. State: O(causes), of which ``open_max`` are told.

    Args: waiting: how many cases wait in a line.
    """

    def __init__(self, open_max: int, waiting: Callable[[Line], int]) -> None:
        self.open_max = open_max
        self.told = 0
        self._waiting = waiting
        self._causes: dict[str, Cause] = {}
        self._of: dict[Line, str] = {}
        self._changed: set[str] = set()
        self._ended: list[BusinessException] = []
        self._parts: set[str] = set()

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._changed or self._ended)

    def hold(self, line: Line, failure: Failure, now_us: int, how: Resolution, by: Action | None) -> None:
        """Note why a line waits; what it waited for before may end."""
        cause_id = str(failure.cause)
        if self._of.get(line) != cause_id:
            self.let_go(line, now_us, how, by)
            self._causes.setdefault(cause_id, Cause()).lines.add(line)
            self._of[line] = cause_id
        self._changed.add(cause_id)

    def grown(self, line: Line) -> None:
        """Note that more, or less, waits in a line."""
        if line in self._of:
            self._changed.add(self._of[line])

    def let_go(self, line: Line, now_us: int, how: Resolution, by: Action | None) -> None:
        """Note that a line does not wait any more, or not for what it did."""
        cause_id = self._of.pop(line, None)
        if cause_id is not None:
            self._causes[cause_id].lines.discard(line)
            self._end(cause_id, now_us, how, by)

    def tell(self, failure: Failure, first: str, now_us: int) -> bool:
        """Tell of a cause from now on; ``first`` names what waits for it. False where no more may be open."""
        cause = self._causes[str(failure.cause)]
        if cause.record is None:
            if self.told >= self.open_max:
                return False
            self.told += 1
            cause.record = _record(failure, first, now_us)
            self._changed.add(str(failure.cause))
        return True

    def count(self, failure: Failure, name: str, waiting: int, first: str, now_us: int) -> None:
        """Tell that so much waits under a name that is no line; 0 ends it."""
        cause_id = str(failure.cause)
        if not waiting and cause_id not in self._causes:
            return
        cause = self._causes.setdefault(cause_id, Cause())
        self._changed.add(cause_id)
        if waiting:
            cause.others[name] = waiting
            self.tell(failure, first, now_us)
        else:
            cause.others.pop(name, None)
            self._end(cause_id, now_us, Resolution.REVALIDATED, None)

    def counted(self, failure: Failure, name: str) -> int:
        """Return how much waits under a name that is no line."""
        cause = self._causes.get(str(failure.cause))
        return cause.others.get(name, 0) if cause is not None else 0

    def told_of(self, cause_id: str) -> ExceptionCode | None:
        """Return the code of a cause that is open; None where there is none."""
        cause = self._causes.get(cause_id)
        return cause.record.code if cause is not None and cause.record is not None else None

    def is_told(self, line: Line) -> bool:
        """Return whether a line waits for a cause that is an open exception."""
        cause_id = self._of.get(line)
        return cause_id is not None and self._causes[cause_id].record is not None

    def lines(self, cause_id: str) -> Iterable[Line]:
        """Return the lines that wait for a cause, in the order of their names."""
        return sorted(self._causes[cause_id].lines)

    def drop_others(self, cause_id: str, by: Action, now_us: int) -> None:
        """End what waits under names that are no lines: a person has seen it."""
        cause = self._causes.get(cause_id)
        if cause is not None and cause.others:
            cause.others.clear()
            self._changed.add(cause_id)
            self._end(cause_id, now_us, Resolution.DISCARDED, by)

    def take(self, now_us: int) -> list[BusinessException]:
        """Return the record of each open cause that changed since the last call, and of each that ended."""
        records, self._ended = self._ended, []
        for cause_id in sorted(self._changed):
            cause = self._causes.get(cause_id)
            if cause is not None and cause.record is not None:
                waiting = sum(map(self._waiting, cause.lines)) + sum(cause.others.values())
                if cause.record.waiting != waiting:
                    cause.record = cause.record.model_copy(update={"waiting": waiting, "changed_us": now_us})
                    records.append(cause.record)
                self._parts.add(cause_id)
        self._changed = set()
        return records

    # -- state ---------------------------------------------------------------------------------

    def encode(self) -> Mapping[str, bytes]:
        """Return the parts that changed; empty those of causes that ended. Call it after ``take``."""
        parts = {PART + cause_id: self._value(cause_id) for cause_id in self._parts}
        self._parts = set()
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time; lines come back as they are examined."""
        for name, value in parts.items():
            if name.startswith(PART):
                others, record = value.split(b"\t", 1)
                told = BusinessException.model_validate_json(record)
                self._causes[name.removeprefix(PART)] = Cause(others=orjson.loads(others), record=told)
                self.told += 1

    def sweep(self, now_us: int) -> None:
        """End the causes that nothing waits for, once every line that was restored has been examined."""
        for cause_id in list(self._causes):
            self._end(cause_id, now_us, Resolution.REVALIDATED, None)

    def _value(self, cause_id: str) -> bytes:
        cause = self._causes.get(cause_id)
        if cause is None or cause.record is None:
            return b""
        return orjson.dumps(cause.others) + b"\t" + cause.record.model_dump_json().encode()

    def _end(self, cause_id: str, now_us: int, how: Resolution, by: Action | None) -> None:
        """End a cause that nothing waits for any more."""
        cause = self._causes[cause_id]
        self._changed.add(cause_id)
        if cause.lines or cause.others:
            return
        del self._causes[cause_id]
        if cause.record is not None:
            self.told -= 1
            self._parts.add(cause_id)
            ended = {"resolution": how, "waiting": 0, "changed_us": now_us, "resolved_us": now_us}
            person = {"actor": by.actor, "reason": by.reason} if by is not None else {}
            self._ended.append(cause.record.model_copy(update={**ended, **person}))


def _record(failure: Failure, first: str, now_us: int) -> BusinessException:
    code = failure.code
    return BusinessException(
        exception_id=failure.cause,
        code=code,
        owner=OWNERS[code],
        severity=SEVERITIES[code],
        posting_id=first,
        message=failure.message[:1024],
        remedy=failure.remedy[:1024],
        waiting=0,
        opened_us=now_us,
        changed_us=now_us,
        reason="",
    ).model_copy(update={name: value[:256] for name, value in failure.concerns})
