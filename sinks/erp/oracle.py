"""Oracle Fusion Cloud SCM over REST: transactions of work orders, and transfers of stock.

They are two interfaces with nothing in common but the connection: ``oracle_work`` and ``oracle_stock``.

Source: DOMAIN 3.8; M17, M26, M30, M32; docs/delivery.md (what is known of Oracle).
"""

from __future__ import annotations

from canonical.contracts.posting import Posting
from sinks.erp.connection import Connection
from sinks.erp.one_by_one import OneByOne
from sinks.erp.oracle_stock import StockTransactions
from sinks.erp.oracle_work import WorkTransactions
from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import OracleSettings
from sinks.erp.transfers import transfer
from sinks.erp.unmappable import Unmappable


class OracleAdapter(OneByOne):
    """One Oracle Fusion instance."""

    def __init__(self, settings: OracleSettings, pace: Pace | None = None) -> None:
        """Open nothing yet."""
        self._connection = Connection(settings, pace)
        self._work = WorkTransactions(settings, self._connection)
        self._stock = StockTransactions(settings, self._connection)

    def send(self, posting: Posting) -> Answer:
        """Send a posting; what was booked of one that is refused in part is taken back."""
        try:
            move = transfer(posting)
            return self._work.send(posting) if move is None else self._stock.send(posting, move)
        except Unmappable as unmappable:
            return unmappable.answer()

    def find(self, posting: Posting) -> Answer | None:
        """Ask what became of a posting."""
        try:
            move = transfer(posting)
            return self._work.find(posting) if move is None else self._stock.find(posting)
        except Unmappable:
            return None

    def movements(self, posting: Posting, document: str) -> Answer | None:
        """Ask whether a staged transfer was processed; a work order's transaction moves its goods itself."""
        if transfer(posting) is None:
            return Answer(Outcome.ACCEPTED, document)
        return self._stock.processed(posting)

    def look(self) -> Answer:
        """Read one work order, whichever."""
        return self._work.look()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()
