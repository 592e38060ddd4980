"""The state of an ERP, as the fold of its entries, with units of work that can be undone.

Law: after ``unit()`` has failed the book is as it was before; after it has succeeded its entries are
in the ledger. ``restore`` of the entries gives the same book.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.document import Document, DocumentKind, Line, Message, OpenMovement, OpenState
from dataflows.erp_simulator.ledger import Entry
from dataflows.erp_simulator.master_data import MasterData

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
Append = Callable[[Sequence[Entry]], None]


class Book:
    """Documents in order of acceptance and everything that follows from them."""

    def __init__(self, data: MasterData, append: Append) -> None:
        """Begin with the opening stocks of ``data``; ``append`` makes entries durable."""
        self.data = data
        self.documents: list[Document] = []
        self.by_number: dict[str, int] = {}
        self.by_external: defaultdict[str, list[int]] = defaultdict(list)
        self.by_request: defaultdict[str, list[int]] = defaultdict(list)
        self.by_order: defaultdict[str, list[int]] = defaultdict(list)
        self.by_cause: defaultdict[str, list[int]] = defaultdict(list)
        self.reversed_by: dict[str, str] = {}
        self.groups: dict[tuple[str, str], str] = {}
        self.group_counts: Counter[str] = Counter()
        self.year_counts: Counter[str] = Counter()
        self.confirmed: Counter[tuple[str, str, str]] = Counter()
        self.finals: Counter[tuple[str, str]] = Counter()
        self.received: Counter[str] = Counter()
        self.withdrawn: Counter[tuple[str, str]] = Counter()
        self.stocks: Counter[types.StockKey] = Counter()
        self.lots: Counter[tuple[str, str]] = Counter()
        self.inspections: dict[str, tuple[str, int]] = {}
        self.decisions: dict[str, str] = {}
        self.inspected: Counter[str] = Counter()
        self.open: dict[str, OpenMovement] = {}
        self.messages: dict[int, Message] = {}
        self.answers: dict[str, Mapping[str, Any]] = {}
        self.locks: dict[str, tuple[str, int]] = {}
        self.faults: list[Mapping[str, Any]] = []
        self.fault_counts: Counter[str] = Counter()
        self.violations: list[Mapping[str, Any]] = []
        self.clock_us: int | None = None
        self._append = append
        self._undo: list[Callable[[], None]] = []
        self._pending: list[Entry] = []
        self._depth = 0
        self._due: list[tuple[int, str]] = []
        for stock in data.stocks:
            key = (stock.material, stock.plant, stock.storage_location, stock.lot, stock.stock_type)
            self.stocks[key] += stock.quantity_thousandths
            self.lots[stock.material, stock.lot] += 1
        for lot in data.lots:
            self.lots[lot.material, lot.lot] += 1

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Everything recorded inside is booked, or nothing of it; units may be nested."""
        undo, pending = len(self._undo), len(self._pending)
        self._depth += 1
        try:
            yield
            if self._depth == 1 and self._pending:
                self._append(self._pending)
        except BaseException:
            while len(self._undo) > undo:
                self._undo.pop()()
            del self._pending[pending:]
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._undo.clear()
                self._pending.clear()

    def record(self, kind: str, body: Any) -> None:
        """Book one entry; outside a unit it is one by itself."""
        with self.unit():
            self._pending.append(Entry(kind, body))
            self._apply(kind, body)

    def restore(self, entries: Iterable[Entry]) -> None:
        """Take up the entries that a former life of this ERP has written."""
        for entry in entries:
            decode = _DECODERS.get(entry.kind)
            self._apply(entry.kind, decode(entry.body) if decode else entry.body)
            self._undo.clear()

    def due(self, now_us: int) -> str | None:
        """Return the confirmation whose open movement is due first, if one is."""
        due_us = self.due_us()
        return self._due[0][1] if due_us is not None and due_us <= now_us else None

    def due_us(self) -> int | None:
        """Return when something is due next."""
        while self._due and not self._is_due(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _is_due(self, due_us: int, number: str) -> bool:
        """Return whether a movement still waits for this instant."""
        movement = self.open.get(number)
        return movement is not None and movement.due_us == due_us and _waits(movement)

    def _apply(self, kind: str, body: Any) -> None:
        match kind:
            case "document":
                self._add(body)
            case "open":
                self._put(self.open, body.confirmation, body)
                if _waits(body):
                    heapq.heappush(self._due, (body.due_us, body.confirmation))
            case "message":
                self._put(self.messages, body.number, body)
            case "answer":
                self._put(self.answers, body["request_id"], body)
            case "lock":
                self._put(self.locks, body["order"], (body["user"], body["until_us"]))
            case "fault":
                self.faults.append(body)
                self.fault_counts[body["subject"]] += 1
            case "violation":
                self.violations.append(body)
            case "clock":
                self.clock_us = body["now_us"]
            case _:
                assert kind == "master data", kind
                before = self.data
                self.data = before.merged(MasterData.model_validate(body))
                self._undo.append(lambda: setattr(self, "data", before))

    def _put(self, table: dict[_K, _V], key: _K, value: _V) -> None:
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def _add(self, document: Document) -> None:
        number = len(self.documents)
        self.documents.append(document)
        self.by_number[document.number] = number
        for index, key in self._indexes(document):
            index[key].append(number)
        self._count(document, 1)
        self._undo.append(lambda: self._remove(document))

    def _remove(self, document: Document) -> None:
        self.documents.pop()
        del self.by_number[document.number]
        for index, key in self._indexes(document):
            index[key].pop()
        self._count(document, -1)

    def _indexes(self, document: Document) -> Iterator[tuple[defaultdict[str, list[int]], str]]:
        for index, key in (
            (self.by_external, document.external_id),
            (self.by_request, document.request_id),
            (self.by_cause, document.cause),
        ):
            if key:
                yield index, key
        for order in {document.order, *(line.order for line in document.lines)} - {""}:
            yield self.by_order, order

    def _count(self, document: Document, sign: int) -> None:
        """Add what follows from a document, or take it away again."""
        if document.reverses:
            if sign > 0:
                self.reversed_by[document.reverses] = document.number
            else:
                del self.reversed_by[document.reverses]
        if document.kind is DocumentKind.CONFIRMATION:
            operation = (document.order, document.operation)
            booked = -sign if document.reverses else sign
            self.confirmed[*operation, "yield"] += booked * document.yield_quantity
            self.confirmed[*operation, "scrap"] += booked * document.scrap_quantity
            self.confirmed[*operation, "rework"] += booked * document.rework_quantity
            self.finals[operation] += booked * document.final
            group, _, _ = document.number.partition("/")
            self.groups[operation] = group
            self.group_counts[group] += sign
        elif document.kind is DocumentKind.GOODS_MOVEMENT:
            self.year_counts[document.number.partition("/")[2]] += sign
        elif document.kind is DocumentKind.USAGE_DECISION:
            if sign > 0:
                self.decisions[document.lot] = document.number
            else:
                self.decisions.pop(document.lot, None)
        for line in document.lines:
            self._count_line(document, line, sign)

    def _count_line(self, document: Document, line: Line, sign: int) -> None:
        for key, change in types.effects(line):
            self.stocks[key] += sign * change
            if change > 0:
                self.lots[key[0], key[3]] += sign
            if line.inspection_lot and key[4] == types.QUALITY and line.movement_type not in {"101", "102"}:
                self.inspected[line.inspection_lot] -= sign * change
        if line.order:
            if line.movement_type in {"101", "102"}:
                self.received[line.order] += sign * types.order_effect(line)
            elif line.movement_type in {"261", "262"}:
                self.withdrawn[line.order, line.material] += sign * types.order_effect(line)
        if line.inspection_lot and line.movement_type == types.RECEIPT:
            if sign > 0:
                self.inspections[line.inspection_lot] = (document.number, line.item)
            else:
                self.inspections.pop(line.inspection_lot, None)


def _waits(movement: OpenMovement) -> bool:
    return movement.state is OpenState.PENDING or (movement.state is OpenState.FAILED and movement.repair_after_us > 0)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "document": Document.decode,
    "open": OpenMovement.decode,
    "message": Message.decode,
}
