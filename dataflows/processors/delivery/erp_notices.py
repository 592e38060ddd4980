"""What is amiss with an ERP as a whole: it is away, or too much waits for persons. Each is an exception while it lasts.

Law: an exception is told once when it begins, and once when it is over.
"""

from __future__ import annotations

from collections.abc import Iterable

from canonical.contracts.business_exception import ExceptionCode, Resolution
from dataflows.processors.delivery.book import Book
from dataflows.processors.delivery.notices import Notice, of_erp


class ErpNotices:
    """The open exceptions about an ERP, by code; what they say goes out through its book."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._open: dict[ExceptionCode, Notice] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened_us(self, code: ExceptionCode) -> int | None:
        """Return since when an exception is open, None where it is not."""
        notice = self._open.get(code)
        return None if notice is None else notice.opened_us

    def open(self, code: ExceptionCode, text: str, now_us: int) -> None:
        """Open an exception, once."""
        if code not in self._open:
            self._open[code] = Notice(code, text, now_us)
            self._tell(self._open[code], now_us)

    def end(self, code: ExceptionCode, now_us: int) -> None:
        """End an exception, if it is open: what it told of is over."""
        if (notice := self._open.pop(code, None)) is not None:
            self._tell(notice, now_us, Resolution.REVALIDATED)

    def encode(self) -> list[tuple[str, str, int]]:
        """Return what a commit stores: code, text and when it was opened."""
        return [(code, notice.message, notice.opened_us) for code, notice in self._open.items()]

    def restore(self, stored: Iterable[tuple[str, str, int]]) -> None:
        """Take up what ``encode`` returned."""
        self._open = {ExceptionCode(code): Notice(ExceptionCode(code), text, us) for code, text, us in stored}

    def _tell(self, notice: Notice, now_us: int, how: Resolution = Resolution.OPEN) -> None:
        book = self._book
        book.out.append(of_erp(book.erp, notice, len(book.entries), now_us, how))
