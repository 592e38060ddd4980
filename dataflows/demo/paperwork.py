"""The paperwork: which confirmations have become documents, and what waits for whom, as the commit log says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from canonical.contracts import PostingKind, ReceiptStatus, Resolution
from dataflows.demo.erps import ERP_OF
from dataflows.demo.log_follower import LogFollower
from dataflows.simulator.booked import MEASURES
from sinks.streams import CONFIRMATIONS, EXCEPTIONS, RECEIPTS, postings

DOCUMENTED: Final = frozenset({ReceiptStatus.ACCEPTED, ReceiptStatus.MOVED, ReceiptStatus.MOVEMENT_FAILED})


class Paperwork:
    """Confirmations by id, as long as the ERP has no document of them.

    ``unconfirmed`` wait for their confirmation, ``unreceived`` for the receipt of what was made; ``exceptions`` are
    the newest records by id; ``found`` are receipts of documents that were found by asking, after an answer was lost.
    """

    def __init__(self, log: Path) -> None:
        self._log = LogFollower(log)
        self._causes: dict[str, tuple[str, list[str]]] = {}
        self._documented: set[str] = set()
        self.unconfirmed: dict[str, dict[str, Any]] = {}
        self.unreceived: dict[str, dict[str, Any]] = {}
        self.exceptions: dict[str, dict[str, Any]] = {}
        self.found: list[dict[str, Any]] = []

    @property
    def documents(self) -> int:
        """How many postings have become documents."""
        return len(self._documented)

    @property
    def pending(self) -> int:
        """How many postings have not."""
        return len(self._causes) - len(self._documented)

    def update(self) -> None:
        """Read what was committed since the last time: effects before their causes, so that no cause is missing."""
        receipts = list(map(orjson.loads, self._log.new(RECEIPTS)))
        made = [orjson.loads(value) for erp in ERP_OF.values() for value in self._log.new(postings(erp))]
        for row in map(orjson.loads, self._log.new(CONFIRMATIONS)):
            if row["plant"] in ERP_OF and any(row[measure] for measure in MEASURES):
                self.unconfirmed[row["posting_id"]] = row
                if row["good"]:
                    self.unreceived[row["posting_id"]] = row
        for row in made:
            self._causes[row["posting_id"]] = (row["kind"], row["causes"])
        for row in receipts:
            if row["status"] in DOCUMENTED and row["posting_id"] not in self._documented:
                self._document(row)
        for row in map(orjson.loads, self._log.new(EXCEPTIONS)):
            self.exceptions[row["exception_id"]] = row

    def open_exceptions(self) -> list[dict[str, Any]]:
        """Return the exceptions that are open."""
        return [row for row in self.exceptions.values() if row["resolution"] == Resolution.OPEN]

    def settled(self, closed: str) -> bool:
        """Return whether all that was confirmed is in an ERP, but what was made for an order that is closed."""
        waiting = [*self.unconfirmed.values(), *self.unreceived.values()]
        return not self.pending and all(row["order"] == closed for row in waiting)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _document(self, receipt: dict[str, Any]) -> None:
        self._documented.add(receipt["posting_id"])
        if receipt["found"]:
            self.found.append(receipt)
        kind, causes = self._causes[receipt["posting_id"]]
        if kind in _WAITING:
            waiting = getattr(self, _WAITING[kind])
            for cause in causes:
                waiting.pop(cause, None)


_WAITING: Final[dict[str, str]] = {PostingKind.CONFIRMATION: "unconfirmed", PostingKind.GOODS_RECEIPT: "unreceived"}
