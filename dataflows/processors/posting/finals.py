"""Finals: an operation is told to be done only when nothing more has come for it for a while.

A machine says that an order is complete, and records of before arrive after it: a gap is filled, a burst is forwarded.
An ERP that has the final confirmation refuses them. So a completion is posted like any confirmation, and the operation
is ended by a confirmation of its own, without quantities, once nothing has been confirmed for it for ``wait_us``.

Law: each completed operation is ended by one draft, which is a function of its last completion; it is due ``wait_us``
after the last confirmation of the operation, whatever the order in which they came.

Source: M17, M41.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter

from canonical.contracts import Confirmation
from dataflows.processors.posting.draft import Draft, confirmed
from dataflows.processors.posting.shelf import Shelf

PREFIX: Final = "final:"
_DRAFT: Final[TypeAdapter[Draft]] = TypeAdapter(Draft)

_Kept = tuple[int, Draft]
"""When it is due, and what is to be offered then."""


class Finals:
    """Operations that are complete and not ended yet. State: O(those).

    Args: wait_us: nothing must have come for so long. count_max: operations kept; one more ends the oldest.
    """

    def __init__(self, wait_us: int, count_max: int) -> None:
        self.wait_us, self.count_max = wait_us, count_max
        self._kept: Shelf[_Kept] = Shelf(PREFIX, 1, _encoded, _decoded, lambda kept: kept[0])

    def take(self, confirmation: Confirmation, now_us: int) -> list[Draft]:
        """Take a confirmation that is posted; return what has to make room."""
        c = confirmation
        key = (c.plant, c.order, c.operation)
        known = self._kept.get(key)
        if c.final and (known is None or known[1].end_us <= c.last_occurred_us):
            self._kept.put(key, (now_us + self.wait_us, ending(confirmed(c))))
        else:
            self.heard(*key, now_us)
        first = self._kept.first()
        if len(self._kept) > self.count_max and first is not None:
            return [self._kept.remove(first[1])[1]]
        return []

    def heard(self, plant: str, order: str, operation: str, now_us: int) -> None:
        """Learn that something of an operation has come to be known as its own."""
        key = (plant, order, operation)
        if (known := self._kept.get(key)) is not None:
            self._kept.put(key, (now_us + self.wait_us, known[1]))

    def wake(self, now_us: int) -> list[Draft]:
        """Return the drafts that are due."""
        drafts = []
        while (due := self._kept.first()) is not None and due[0] <= now_us:
            drafts.append(self._kept.remove(due[1])[1])
        return drafts

    def due_us(self) -> int | None:
        """Return when ``wake`` has something to do."""
        due = self._kept.first()
        return None if due is None else due[0]

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the state that changed since the last call; an empty one is gone."""
        return self._kept.parts()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take up what ``parts`` returned over time. Raises: StateVersionUnknown."""
        self._kept.load(parts)


def ending(completion: Draft) -> Draft:
    """Return the draft that ends the operation of a completion, without what that has counted and taken."""
    return replace(
        completion,
        cause=f"final:{completion.cause}",
        start_us=completion.end_us,
        reason="",
        good=0,
        scrap=0,
        rework=0,
        setup_us=0,
        machine_us=0,
        labour_us=0,
        final=True,
    )


def without_final(draft: Draft) -> Draft:
    """Return the draft of a confirmation as one after which more may come."""
    return replace(draft, final=False) if draft.final else draft


def _encoded(kept: _Kept) -> Any:
    return [kept[0], _DRAFT.dump_python(kept[1], mode="json")]


def _decoded(_version: int, value: Any) -> _Kept:
    due_us, draft = value
    return due_us, _DRAFT.validate_python(draft)
