"""The context of a confirmation: what the reference data say of others like it, so that it is looked up once.

Law: a context is known again only where every lookup behind it would give the same: none has changed, and none depends
on the instant (``ReferenceBook.version``, ``ReferenceBook.timed``).
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from canonical.contracts import OrderOperation, OrderReference, RouteReference
from dataflows.processors.posting.draft import Draft, counted_by
from dataflows.processors.posting.reference_book import ReferenceBook, Subject

CONTEXTS_MAX: Final = 50_000
"""Then they are looked up anew."""

Key = tuple[str, str, str, str, str, str, str, date, str]


class Context(NamedTuple):
    """Where it goes, what it confirms at which work centres, as which material, on which day; what was looked at."""

    route: RouteReference
    order: OrderReference | None
    posted: tuple[tuple[OrderOperation, str], ...]
    material: str
    day: date
    looked: frozenset[Subject]


class Contexts:
    """Contexts by what they depend on. Memory: O(``CONTEXTS_MAX``); no state."""

    def __init__(self, book: ReferenceBook) -> None:
        self._book = book
        self._version = -1
        self._known: dict[Key, Context] = {}

    def get(self, key: Key) -> Context | None:
        """Return the context that is known; who takes it has looked at what it depends on."""
        if self._version != self._book.version:
            self._known.clear()
            self._version = self._book.version
        found = self._known.get(key)
        if found is not None:
            self._book.looked |= found.looked
        return found

    def keep(self, key: Key, context: Context) -> None:
        """Keep a context, where it does not depend on the instant."""
        if not self._book.timed:
            if len(self._known) >= CONTEXTS_MAX:
                self._known.clear()
            self._known[key] = context


def key_of(draft: Draft) -> Key:
    """Return all of a draft that its context depends on, beside the instant."""
    return (
        draft.plant,
        draft.order,
        draft.operation,
        draft.work_center,
        draft.material,
        draft.lot,
        draft.unit,
        draft.document_date,
        counted_by(draft),
    )
