"""SAP's inspection lots: stock leaves quality inspection by a usage decision and a stock posting.

Where a receipt has opened an inspection lot, SAP lets quality management alone move its stock, and refuses transfers.
A posting takes its quantity from the oldest inspection lot of its batch that has so much left. The decision comes
first, where there is none; one whose answer was lost is seen in the lot when the posting is sent again. The stock
posting carries the posting's id as its text, by which it is found.

Source: API_INSPECTIONLOT_SRV (DOMAIN 3.7); M19, M25, M26.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import uuid5

import orjson

from canonical.contracts.posting import Posting, PostingKind
from canonical.identity import request_id
from canonical.units import QuantityError, thousandths
from sinks.erp import sap_payload, sap_replies
from sinks.erp.amounts import iso_utc
from sinks.erp.connection import Reply
from sinks.erp.port import Answer, Outcome
from sinks.erp.sap_payload import literal
from sinks.erp.sap_session import JSON, SapSession
from sinks.erp.settings import SapSettings, UsageDecision
from sinks.erp.unmappable import Unmappable

LOTS: Final = "A_InspectionLot"
DECISIONS: Final = "A_InspLotUsageDecision"
STOCK_POSTINGS: Final = "A_InspLotMatlDocItem"
CATALOG: Final = "3"
DECIDED_ALREADY: Final = "QV/104"
OUT_OF_QUALITY: Final = frozenset({"321", "350"})


def is_inspected(posting: Posting) -> bool:
    """Return whether a posting takes a batch out of quality inspection."""
    if posting.kind is not PostingKind.STOCK_TRANSFER or len(posting.movements) != 1:
        return False
    (line,) = posting.movements
    return line.movement_type in OUT_OF_QUALITY and bool(line.lot)


class InspectionLots:
    """The inspection lots of one SAP system."""

    def __init__(self, settings: SapSettings, session: SapSession) -> None:
        """Keep nothing."""
        self._settings, self._session = settings, session

    def send(self, posting: Posting) -> Answer:
        """Decide on the inspection lot of a posting where nobody has, and post its stock.

        Raises: Unmappable.
        """
        (line,) = posting.movements
        decision = self._settings.usage_decisions.get(line.to_stock_type)
        if decision is None:
            words = f"which usage decision makes stock {line.to_stock_type} is not known"
            raise Unmappable("usage-decision", f"{words}; set usage_decisions.{line.to_stock_type}")
        lot = self._lot(posting)
        if isinstance(lot, Answer):
            return lot
        if not lot.get("InspectionLotHasUsageDecision"):
            failure = self._decide(posting, str(lot["InspectionLot"]), decision)
            if failure is not None:
                return failure
        body = {
            "InspectionLot": lot["InspectionLot"],
            "InspLotQtyPosted": sap_payload.quantity(line.quantity),
            "UsageDecisionStockType": decision.stock_type,
            "StorageLocation": line.to_storage_location or line.storage_location,
            "MaterialDocumentItemText": str(posting.posting_id),
        }
        reply = self._written(STOCK_POSTINGS, body, request_id(posting.posting_id), posting)
        if isinstance(reply, Answer):
            return reply
        answer = sap_replies.answer_of_write(reply, self._settings)
        if isinstance(answer, Answer):
            return answer
        before = self.document(str(posting.posting_id))
        return before or Answer(Outcome.IN_DOUBT, code=answer.code, message=answer.message)

    def document(self, key: str) -> Answer | None:
        """Return the acceptance of the stock posting that carries this posting id."""
        rows = self._rows(STOCK_POSTINGS, f"MaterialDocumentItemText eq {literal(key)}")
        if isinstance(rows, Answer):
            return rows
        return sap_replies.accepted(rows[0], self._settings) if rows else None

    def _lot(self, posting: Posting) -> sap_replies.Row | Answer:
        (line,) = posting.movements
        wanted = {"Material": line.material, "Plant": posting.erp_plant, "Batch": line.lot}
        rows = self._rows(LOTS, " and ".join(f"{name} eq {literal(value)}" for name, value in wanted.items()))
        if isinstance(rows, Answer):
            return rows
        unit = sap_payload.sap_unit(line.unit, self._settings)
        fitting = [row for row in rows if _left(row) >= line.quantity and row.get("InspectionLotQuantityUnit") == unit]
        if fitting:
            return min(fitting, key=lambda row: str(row.get("InspectionLot", "")))
        words = f"no inspection lot of batch {line.lot} has {sap_payload.quantity(line.quantity)} {unit} left"
        return Answer(Outcome.REJECTED, code="PLANTSYNC/inspection-lot", message=words)

    def _decide(self, posting: Posting, lot: str, decision: UsageDecision) -> Answer | None:
        """Make the usage decision; return why it is not made."""
        body = {
            "InspectionLot": lot,
            "InspLotUsageDecisionLevel": "L",
            "InspLotUsageDecisionCatalog": CATALOG,
            "SelectedCodeSetPlant": posting.erp_plant,
            "InspLotUsgeDcsnSelectedSet": decision.selected_set,
            "InspLotUsageDecisionCodeGroup": decision.code_group,
            "InspectionLotUsageDecisionCode": decision.code,
        }
        number = request_id(uuid5(posting.posting_id, DECISIONS))
        reply = self._written(DECISIONS, body, number, posting)
        if isinstance(reply, Answer):
            return reply
        if 200 <= reply.status < 300:
            return None
        answer = sap_replies.answer_of_write(reply, self._settings)
        # Somebody else has decided, or this very request was executed before.
        return None if not isinstance(answer, Answer) or answer.code == DECIDED_ALREADY else answer

    def _written(self, resource: str, body: Mapping[str, str], number: str, posting: Posting) -> Reply | Answer:
        headers = {
            "Accept": JSON,
            "Content-Type": JSON,
            "RequestID": number,
            "RepeatabilityCreation": iso_utc(posting.end_us),
        }
        return self._session.write(resource, {}, headers, orjson.dumps(body))

    def _rows(self, resource: str, condition: str) -> list[sap_replies.Row] | Answer:
        return sap_replies.rows_of(self._session.read(resource, {"$filter": condition}))


def _left(lot: sap_replies.Row) -> int:
    """Return what of a lot is not posted, in thousandths; -1 where it does not say."""
    try:
        return thousandths(str(lot.get("InspLotQtyToBePosted", "")))
    except QuantityError:
        return -1
