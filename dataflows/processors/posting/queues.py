"""The queues: cases that wait, each behind those of its line, and what would let them go on.

Law: a case is in exactly one line, in the order of arrival; a line is asked again when something it awaits has
changed or its head's time has come, and only then.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from canonical.contracts import ExceptionCode
from dataflows.processors.posting.case import CASE, Case, Line
from dataflows.processors.posting.reference_book import Subject

PART: Final = "case:"


class Queues:
    """Waiting cases by line. State: O(cases), one part each, written once."""

    def __init__(self) -> None:
        self.size = 0
        self._lines: dict[Line, deque[Case]] = {}
        self._awaits: dict[Line, frozenset[Subject]] = {}
        self._awaiting: dict[Subject, set[Line]] = {}
        self._bases: dict[str, list[Case]] = {}
        self._due: list[tuple[int, Line]] = []
        self._due_of: dict[Line, int] = {}
        self._ready: list[tuple[int, Line]] = []  # lines to be asked, by the number of their head
        self._asked: set[Line] = set()
        self._changed: dict[int, Case | None] = {}
        self._stored: set[int] = set()

    def __contains__(self, line: Line) -> bool:
        return line in self._lines

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines))

    def length(self, line: Line) -> int:
        """Return how many cases wait in a line."""
        return len(self._lines.get(line, ()))

    def head(self, line: Line) -> Case:
        """Return the first case of a line."""
        return self._lines[line][0]

    def cases(self, line: Line) -> list[Case]:
        """Return the cases of a line, in order."""
        return list(self._lines.get(line, ()))

    def of(self, base: str) -> list[Case]:
        """Return the waiting cases with this base, in the order of arrival."""
        return list(self._bases.get(base, ()))

    # -- changes -------------------------------------------------------------------------------

    def append(self, case: Case) -> None:
        """Let a case wait at the end of its line."""
        self._lines.setdefault(case.line, deque()).append(case)
        self._bases.setdefault(case.base, []).append(case)
        self._changed[case.number] = case
        self.size += 1

    def pop(self, line: Line) -> Case:
        """Take the first case out of its line."""
        case = self._lines[line].popleft()
        self._left(case)
        return case

    def remove(self, case: Case) -> None:
        """Take a case out of its line, wherever it stands."""
        self._lines[case.line].remove(case)
        self._left(case)

    def waive(self, case: Case, waived: Case) -> None:
        """Put a case in the place of one with the same number."""
        for held in (self._lines[case.line], self._bases[case.base]):
            held[held.index(case)] = waived
        self._changed[case.number] = waived

    def rest(self, line: Line, awaits: frozenset[Subject], due_us: int | None) -> None:
        """Let a line wait until one of these subjects changes, or until ``due_us``."""
        if self._awaits.get(line) != awaits:
            self._stir(line)
            self._awaits[line] = awaits
            for subject in awaits:
                self._awaiting.setdefault(subject, set()).add(line)
        if due_us is not None and self._due_of.get(line) != due_us:
            self._due_of[line] = due_us
            heapq.heappush(self._due, (due_us, line))

    def ask(self, line: Line) -> None:
        """Have a line asked again."""
        if line in self._lines and line not in self._asked:
            self._asked.add(line)
            heapq.heappush(self._ready, (self._lines[line][0].number, line))

    def stirred(self, subject: Subject, from_us: int = 0) -> None:
        """Have the lines asked again that wait for a subject, and whose head ended at this instant or later."""
        for line in self._awaiting.get(subject, ()):
            if not from_us or self._lines[line][0].draft.end_us >= from_us:
                self.ask(line)

    def next(self) -> Line | None:
        """Return the line to be asked next, the one whose head came first."""
        while self._ready:
            line = heapq.heappop(self._ready)[1]
            self._asked.discard(line)
            if line in self._lines:
                return line
        return None

    def wake(self, now_us: int) -> None:
        """Have the lines asked again whose time has come."""
        while self._due and self._due[0][0] <= now_us:
            line = heapq.heappop(self._due)[1]
            self._due_of.pop(line, None)
            self.ask(line)

    def due_us(self) -> int | None:
        """Return when the next line's time comes."""
        while self._due and self._due[0][1] not in self._lines:
            self._due_of.pop(heapq.heappop(self._due)[1], None)
        return self._due[0][0] if self._due else None

    # -- state ---------------------------------------------------------------------------------

    def encode(self) -> Mapping[str, bytes]:
        """Return a part for each case that came or changed, empty for each that went."""
        parts = {
            f"{PART}{number:016d}": b"" if case is None else CASE.dump_json(case)
            for number, case in self._changed.items()
        }
        self._stored |= self._changed.keys()
        self._stored.difference_update(number for number, case in self._changed.items() if case is None)
        self._changed = {}
        return parts

    def decode(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``encode`` returned over time; every line is to be asked."""
        for name in sorted(name for name in parts if name.startswith(PART)):
            self.append(CASE.validate_json(parts[name]))
        self._stored, self._changed = set(self._changed), {}
        for line in self._lines:
            self.ask(line)

    def _left(self, case: Case) -> None:
        self.size -= 1
        if case.number in self._stored:
            self._changed[case.number] = None
        else:  # It came and went between two commits.
            del self._changed[case.number]
        held = self._bases[case.base]
        held.remove(case)
        if not held:
            del self._bases[case.base]
        if not self._lines[case.line]:
            self._stir(case.line)
            del self._lines[case.line]

    def _stir(self, line: Line) -> None:
        """Forget what a line waited for."""
        for subject in self._awaits.pop(line, ()):
            waiting = self._awaiting[subject]
            waiting.discard(line)
            if not waiting:
                del self._awaiting[subject]


def waived(case: Case, code: ExceptionCode) -> Case:
    """Return the case with one more code that does not count."""
    return replace(case, waived=case.waived | {code})


def stored_cases(parts: Mapping[str, bytes]) -> int:
    """Return how many cases wait in a state, without reading them."""
    return sum(name.startswith(PART) for name in parts)
