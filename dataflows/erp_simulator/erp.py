"""The ERP: checks what is asked of it and books documents. One core for every protocol.

Law: what is booked depends on the master data, on the requests in their order and on the instants
passed in, and on nothing else. A posting is booked whole or refused whole (``Refused``); only the
goods movements of a confirmation may follow it later or fail (two-level acceptance, DOMAIN 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator import validation as check
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import Document, DocumentKind, Line, OpenMovement, OpenState
from dataflows.erp_simulator.master_data import Order
from dataflows.erp_simulator.posting import Confirmation, GoodsMovement, Reversal
from dataflows.erp_simulator.proposal import proposal
from dataflows.erp_simulator.refusal import Code, Refused
from dataflows.erp_simulator.validation import Register


@dataclass(frozen=True, slots=True)
class Late:
    """Goods movements of a confirmation that fail ``after_us`` later; ``repair_after_us`` 0: until a person helps."""

    after_us: int
    repair_after_us: int = 0


class Erp:
    """One ERP: its book, and what it does with postings."""

    def __init__(self, book: Book, *, unique_external_ids: bool = True) -> None:
        """Work on ``book``; ``unique_external_ids``: a second document with an external key is refused."""
        self.book = book
        self._unique = unique_external_ids
        self._register = Register(book.data)

    @property
    def register(self) -> Register:
        """The master data as it is now, by key."""
        if self._register.data is not self.book.data:
            self._register = Register(self.book.data)
        return self._register

    def confirm(self, asked: Confirmation, now_us: int, late: Late | None = None) -> Document:
        """Book a confirmation, and its goods movements unless they are ``late``.

        Raises: Refused.
        """
        register, book = self.register, self.book
        if self._unique:
            check.external_id_new(book, asked.external_id)
        order = register.order(asked.order)
        check.order_open(order, book, now_us)
        check.levels_apart(book, order, asked.operation)
        material = register.material(order.material)
        work_center = asked.work_center
        if asked.operation:
            work_center = check.operation(order, asked.operation, register, asked, now_us).work_center
        elif asked.plant and asked.plant != order.plant:
            raise Refused(Code.PLANT_WRONG, order=order.order, plant=asked.plant)
        made = replace(
            asked,
            order=order.order,
            unit=order.unit,
            yield_quantity=check.in_unit(asked.yield_quantity, asked.unit, order.unit, material),
            scrap_quantity=check.in_unit(asked.scrap_quantity, asked.unit, order.unit, material),
            rework_quantity=check.in_unit(asked.rework_quantity, asked.unit, order.unit, material),
        )
        check.quantities(order, made, book)
        check.period_open(book.data, asked.posting_date)
        lines = self._lines_of(order, made, now_us)
        check.received_within(order, lines, register, book)
        with book.unit():
            document = Document(
                number=self._confirmation_number(order.order, asked.operation),
                kind=DocumentKind.CONFIRMATION,
                posting_date=asked.posting_date.isoformat(),
                accepted_us=now_us,
                order=order.order,
                operation=asked.operation,
                work_center=asked.work_center or work_center,
                plant=order.plant,
                material=order.material,
                lot=asked.lot or next((x.lot for x in lines if x.movement_type == types.RECEIPT), ""),
                unit=order.unit,
                yield_quantity=made.yield_quantity,
                scrap_quantity=made.scrap_quantity,
                rework_quantity=made.rework_quantity,
                reason=asked.reason,
                final=asked.final,
                external_id=asked.external_id,
                request_id=asked.request_id,
                details=asked.details,
            )
            book.record("document", document)
            if lines:
                self._follow(document, lines, now_us, late)
        return document

    def move(self, asked: GoodsMovement, now_us: int) -> Document:
        """Book goods movements as one document.

        Raises: Refused.
        """
        register, book = self.register, self.book
        check.period_open(book.data, asked.posting_date)
        if not asked.movements:
            raise Refused(Code.FIELD_WRONG, field="to_MaterialDocumentItem", reason="no item")
        for movement in asked.movements:
            kind = types.known(movement.movement_type)
            if asked.code and kind is not None and asked.code not in kind.codes:
                raise Refused(
                    Code.MOVEMENT_CODE_WRONG, movement_type=movement.movement_type, goods_movement_code=asked.code
                )
        lines = tuple(check.line(n, m, register, book, now_us) for n, m in enumerate(asked.movements, 1))
        for number in sorted({x.order for x in lines if x.order}):
            check.received_within(register.order(number), lines, register, book)
        check.stock_there(book.data, lines, book)
        return self.post(lines, now_us, asked)

    def reverse(self, asked: Reversal, now_us: int) -> Document:
        """Take a confirmation (with its goods movements) or a goods movement back.

        Raises: Refused.
        """
        book = self.book
        if self._unique:
            check.external_id_new(book, asked.external_id)
        if asked.document not in book.by_number:
            raise Refused(Code.DOCUMENT_UNKNOWN, document=asked.document)
        original = book.documents[book.by_number[asked.document]]
        if original.kind not in {DocumentKind.CONFIRMATION, DocumentKind.GOODS_MOVEMENT}:
            raise Refused(Code.DOCUMENT_UNKNOWN, document=asked.document)
        if asked.document in book.reversed_by or original.reverses:
            raise Refused(Code.REVERSED_ALREADY, document=asked.document)
        if original.order:
            check.order_open(self.register.order(original.order), book, now_us)
        day = asked.posting_date or date.fromisoformat(original.posting_date)
        check.period_open(book.data, day)
        with book.unit():
            if original.kind is DocumentKind.GOODS_MOVEMENT:
                return self._reverse_movement(original, asked, day, now_us)
            document = replace(
                original,
                number=self._confirmation_number(original.order, original.operation),
                posting_date=day.isoformat(),
                accepted_us=now_us,
                external_id=asked.external_id,
                request_id=asked.request_id,
                reverses=original.number,
                details={**original.details, "text": asked.text},
            )
            book.record("document", document)
            moved = [book.documents[n] for n in book.by_cause.get(original.number, ())]
            for movement in moved:
                if movement.number not in book.reversed_by and not movement.reverses:
                    self._reverse_movement(movement, Reversal(movement.number), day, now_us, document.number)
            still_open = book.open.get(original.number)
            if still_open is not None and still_open.state in {OpenState.PENDING, OpenState.FAILED}:
                book.record("open", replace(still_open, state=OpenState.DROPPED))
        return document

    def wake(self, now_us: int) -> None:
        """Let goods movements fail or be posted that are due; each at its own instant."""
        while (number := self.book.due(now_us)) is not None:
            self.settle(number, self.book.open[number].due_us)

    def settle(self, confirmation: str, at_us: int, *, by_person: bool = False) -> OpenMovement:
        """Try the open goods movements of a confirmation now; a person makes them possible first."""
        movement = self.book.open[confirmation]
        document = self.book.documents[self.book.by_number[confirmation]]
        with self.book.unit():
            if movement.fails and not by_person:
                failed = Refused(Code.MATERIAL_LOCKED, material=movement.lines[0].material, user="MRP_RUN")
                movement = self._failed(movement, failed, at_us)
            else:
                try:
                    check.period_open(self.book.data, date.fromisoformat(document.posting_date))
                    check.stock_there(self.book.data, movement.lines, self.book)
                    goods = self.post(movement.lines, at_us, _belonging(document))
                    movement = replace(movement, state=OpenState.POSTED, document=goods.number)
                except Refused as refused:
                    movement = replace(self._failed(movement, refused, at_us), repair_after_us=0)
            self.book.record("open", movement)
        return movement

    @staticmethod
    def _failed(movement: OpenMovement, refused: Refused, at_us: int) -> OpenMovement:
        return replace(
            movement,
            state=OpenState.FAILED,
            fails=False,
            due_us=at_us + movement.repair_after_us,
            message=refused.words.sap,
            text=str(refused),
        )

    def _follow(self, document: Document, lines: tuple[Line, ...], now_us: int, late: Late | None) -> None:
        """Post the goods movements of a confirmation, or put them among the open ones."""
        waiting = OpenMovement(document.number, OpenState.PENDING, now_us, fails=False, lines=lines)
        if late is not None:
            waiting = replace(waiting, due_us=now_us + late.after_us, fails=True, repair_after_us=late.repair_after_us)
            self.book.record("open", waiting)
            return
        try:
            check.stock_there(self.book.data, lines, self.book)
        except Refused as refused:
            self.book.record("open", self._failed(waiting, refused, now_us))
            return
        self.post(lines, now_us, _belonging(document))

    def _lines_of(self, order: Order, made: Confirmation, now_us: int) -> tuple[Line, ...]:
        if made.movements is not None:
            movements = [replace(m, order=m.order or order.order) for m in made.movements]
            automatic = False
        else:
            movements = proposal(order, made)
            automatic = True
        lines = (check.line(n, m, self.register, self.book, now_us) for n, m in enumerate(movements, 1))
        return tuple(replace(x, automatic=automatic) for x in lines)

    def post(self, lines: tuple[Line, ...], now_us: int, asked: GoodsMovement) -> Document:
        """Book lines that have been checked as one goods movement; receipts to quality stock open inspection lots."""
        opened = len(self.book.inspections)
        numbered = []
        for line in lines:
            if line.movement_type == types.RECEIPT and line.stock_type == types.QUALITY:
                opened += 1
                numbered.append(replace(line, inspection_lot=f"04{opened:010d}"))
            else:
                numbered.append(line)
        document = Document(
            number=self._movement_number(asked.posting_date),
            kind=DocumentKind.GOODS_MOVEMENT,
            posting_date=asked.posting_date.isoformat(),
            accepted_us=now_us,
            order=next((x.order for x in lines if x.order), ""),
            operation=asked.operation,
            plant=lines[0].plant,
            material=lines[0].material,
            lot=lines[0].lot,
            external_id=asked.external_id,
            request_id=asked.request_id,
            lines=tuple(numbered),
            cause=str(asked.details.get("cause", "")),
            details={name: value for name, value in asked.details.items() if name != "cause"},
        )
        self.book.record("document", document)
        return document

    def _reverse_movement(
        self, original: Document, asked: Reversal, day: date, now_us: int, cause: str = ""
    ) -> Document:
        lines = tuple(types.taken_back(x) for x in original.lines)
        check.stock_there(self.book.data, lines, self.book)
        document = replace(
            original,
            number=self._movement_number(day),
            posting_date=day.isoformat(),
            accepted_us=now_us,
            external_id=asked.external_id,
            request_id=asked.request_id,
            reverses=original.number,
            cause=cause,
            lines=lines,
            details={**original.details, "text": asked.text},
        )
        self.book.record("document", document)
        return document

    def _confirmation_number(self, order: str, operation: str) -> str:
        group = self.book.groups.get((order, operation)) or f"{len(self.book.groups) + 1:010d}"
        return f"{group}/{self.book.group_counts[group] + 1:08d}"

    def _movement_number(self, day: date) -> str:
        return f"{4_900_000_001 + self.book.year_counts[str(day.year)]}/{day.year}"


def _belonging(confirmation: Document) -> GoodsMovement:
    return GoodsMovement(
        (),
        date.fromisoformat(confirmation.posting_date),
        operation=confirmation.operation,
        details={"cause": confirmation.number},
    )


def day_of(now_us: int) -> date:
    """Return the day of an instant, in UTC."""
    return datetime.fromtimestamp(now_us / 1_000_000, UTC).date()
