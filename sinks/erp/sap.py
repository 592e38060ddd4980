"""SAP S/4HANA: confirmations and material documents through OData V2.

A posting is one request with ``RequestID`` = posting id, which SAP Gateway remembers: the same again gives the first
answer again, until it is outdated; then, and where the external key exists already, the document is looked for.

Source: API_PROD_ORDER_CONFIRMATION_2_SRV, API_MATERIAL_DOCUMENT_SRV, SAP Gateway (DOMAIN 3.7); M17, M24-M26, M30;
``sap_inspection`` for API_INSPECTIONLOT_SRV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from canonical.contracts.posting import Posting, PostingKind
from canonical.identity import request_id
from sinks.erp import sap_batch, sap_payload, sap_replies
from sinks.erp.amounts import iso_utc
from sinks.erp.connection import Connection, Reply, refused
from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.sap_batch import Part
from sinks.erp.sap_inspection import InspectionLots, is_inspected
from sinks.erp.sap_payload import literal
from sinks.erp.sap_session import JSON, SapSession
from sinks.erp.settings import SapSettings
from sinks.erp.unmappable import Unmappable


class SapAdapter:
    """One SAP system (and client)."""

    def __init__(self, settings: SapSettings, pace: Pace | None = None) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._connection = Connection(settings, pace)
        self._confirmations = SapSession(self._connection, settings.confirmation_path, settings.client)
        self._materials = SapSession(self._connection, settings.material_path, settings.client)
        self._inspections: InspectionLots | None = None
        if settings.inspection_path is not None:
            session = SapSession(self._connection, settings.inspection_path, settings.client)
            self._inspections = InspectionLots(settings, session)

    @property
    def many_max(self) -> int:
        """The most postings in one $batch."""
        return self._settings.batch_max

    def send(self, posting: Posting) -> Answer:
        """Send a posting; what was made before is found and accepted."""
        if self._inspections is not None and is_inspected(posting):
            try:
                return self._inspections.send(posting)
            except Unmappable as unmappable:
                return unmappable.answer()
        part = self._part(posting)
        if isinstance(part, Answer):
            return part
        reply = self._session(posting).write(part.resource, part.query, part.headers, part.body)
        return self._answer(posting, reply)

    def send_many(self, postings: Sequence[Posting]) -> list[Answer]:
        """Send a $batch to each service, a changeset for each posting; those of several requests go by themselves."""
        answers: dict[int, Answer] = {}
        for session in (self._confirmations, self._materials):
            batch: list[tuple[int, Part]] = []
            for number, posting in enumerate(postings):
                if self._session(posting) is not session:
                    continue
                if posting.kind is PostingKind.REVERSAL or (self._inspections and is_inspected(posting)):
                    answers[number] = self.send(posting)
                    continue
                part = self._part(posting)
                if isinstance(part, Answer):
                    answers[number] = part
                else:
                    batch.append((number, part))
            for (number, _), reply in zip(batch, self._batch(session, [part for _, part in batch]), strict=True):
                answers[number] = self._answer(postings[number], reply)
        return [answers[number] for number in range(len(postings))]

    def find(self, posting: Posting) -> Answer | None:
        """Ask for the document that carries the posting's id."""
        if posting.kind is PostingKind.REVERSAL and posting.movements:
            original = self._material_document(posting.reverses)
            if original is None or original.outcome is not Outcome.ACCEPTED:
                return original
            return self._cancellation(original.document)
        key = str(posting.posting_id)
        return self._confirmation(key) if sap_payload.confirms(posting) else self._material_document(key)

    def movements(self, posting: Posting, document: str) -> Answer | None:
        """Ask how the goods movements of a confirmation ended; every other document is its own movement."""
        if posting.kind is not PostingKind.CONFIRMATION:
            return Answer(Outcome.ACCEPTED, document)
        group, _, count = document.partition("/")
        key = f"ConfirmationGroup={literal(group)},ConfirmationCount={literal(count)}"
        if self._settings.failed_movements:
            condition = key.replace("=", " eq ").replace(",", " and ")
            failed = self._rows(self._confirmations, self._settings.failed_movements, {"$filter": condition})
            if isinstance(failed, Answer):
                return failed
            if failed:
                return _failure(failed[0])
        resource = f"{sap_payload.CONFIRMATIONS}({key})/{sap_payload.CONFIRMATION_ITEMS}"
        items = self._rows(self._confirmations, resource, {})
        if isinstance(items, Answer):
            return items
        if not all(item.get("MaterialDocument") for item in items):
            return None
        first = items[0] if items else {}
        made = f"{first['MaterialDocument']}/{first.get('MaterialDocumentYear', '')}" if first else ""
        return Answer(Outcome.ACCEPTED, made)

    def look(self) -> Answer:
        """Open a session of both services."""
        answer = self._confirmations.look()
        return self._materials.look() if answer.outcome is Outcome.ACCEPTED else answer

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _session(self, posting: Posting) -> SapSession:
        return self._confirmations if sap_payload.confirms(posting) else self._materials

    def _part(self, posting: Posting) -> Part | Answer:
        """Return the request of a posting, or why it cannot be sent; a reversal's original is looked up first."""
        headers = {
            "Accept": JSON,
            "Content-Type": JSON,
            "RequestID": request_id(posting.posting_id),
            # Both must be the same each time; when the posting came to be is as good a time as any.
            "RepeatabilityCreation": iso_utc(posting.end_us),
        }
        try:
            if posting.kind is PostingKind.REVERSAL:
                return self._reversal(posting, headers)
            if sap_payload.confirms(posting):
                resource, body = sap_payload.CONFIRMATIONS, sap_payload.confirmation(posting, self._settings)
            else:
                resource, body = sap_payload.MATERIAL_DOCUMENTS, sap_payload.material_document(posting, self._settings)
        except Unmappable as unmappable:
            return unmappable.answer()
        return Part(resource, {}, headers, orjson.dumps(body))

    def _reversal(self, posting: Posting, headers: Mapping[str, str]) -> Part | Answer:
        if sap_payload.confirms(posting):
            original = self._confirmation(posting.reverses)
        else:
            original = self._material_document(posting.reverses)
        if original is None:
            raise Unmappable("original", f"there is no document of posting {posting.reverses} to be reversed")
        if original.outcome is not Outcome.ACCEPTED:
            return original
        if sap_payload.confirms(posting):
            name, query = sap_payload.CANCEL_CONFIRMATION, sap_payload.cancel_confirmation(posting, original.document)
        else:
            name = sap_payload.CANCEL_MATERIAL_DOCUMENT
            query = sap_payload.cancel_material_document(posting, original.document)
        return Part(name, query, headers, b"")

    def _batch(self, session: SapSession, parts: Sequence[Part]) -> list[Reply | Answer]:
        if not parts:
            return []
        content_type, body = sap_batch.encoded(parts)
        reply = session.write("$batch", {}, {"Content-Type": content_type, "Accept": "multipart/mixed"}, body)
        if isinstance(reply, Answer):
            return [reply] * len(parts)
        if not 200 <= reply.status < 300:
            # The batch as a whole was not taken, which says nothing about what is in it.
            error = sap_replies.error_of(reply.body)
            code, message = (error.code, error.message) if error else ("", "")
            return [refused(reply, writes=True, code=code, message=message)] * len(parts)
        replies = sap_batch.parsed(reply, len(parts))
        if replies is None:
            unreadable = Answer(Outcome.IN_DOUBT, code="PLANTSYNC/unreadable", message="the batch's reply is broken")
            return [unreadable] * len(parts)
        return list(replies)

    def _answer(self, posting: Posting, reply: Reply | Answer) -> Answer:
        """Return what a reply to a posting comes to; what was or may have been made already is looked for."""
        if isinstance(reply, Answer):
            return reply
        answer = sap_replies.answer_of_write(reply, self._settings)
        if isinstance(answer, Answer):
            if posting.kind is not PostingKind.REVERSAL or answer.outcome is not Outcome.REJECTED:
                return answer
            # It may be refused because it is there: reversed before, and the request outdated since.
            found = self.find(posting)
            return found if found is not None and found.outcome is Outcome.ACCEPTED else answer
        found = self.find(posting)
        if found is not None and found.outcome is Outcome.ACCEPTED:
            return found
        why = found.message if found is not None else "it is not found"
        return Answer(Outcome.IN_DOUBT, code=answer.code, message=f"{answer.message}; {why}")

    def _confirmation(self, key: str) -> Answer | None:
        """Return the acceptance of the confirmation or cancellation with this external key."""
        query = {
            "$filter": f"ExternalSystemConfirmation eq guid'{key}'",
            "$expand": sap_payload.CONFIRMATION_ITEMS,
            "$top": "1",
        }
        found = self._rows(self._confirmations, sap_payload.CONFIRMATIONS, query)
        return found if isinstance(found, Answer) else self._first(found)

    def _material_document(self, key: str) -> Answer | None:
        """Return the acceptance of the material document that carries this posting id, and is no cancellation."""
        digits = key.replace("-", "").upper()
        condition = f"ReferenceDocument eq '{digits[:16]}' and MaterialDocumentHeaderText eq '{digits[16:]}'"
        query = {"$filter": condition, "$expand": sap_payload.MATERIAL_ITEMS}
        found = self._rows(self._materials, sap_payload.MATERIAL_DOCUMENTS, query)
        if isinstance(found, Answer):
            return found
        made = self._first([row for row in found if not _cancels(row)])
        return self._inspections.document(key) if made is None and self._inspections is not None else made

    def _cancellation(self, original: str) -> Answer | None:
        """Return the acceptance of the material document that takes ``number/year`` back."""
        number, _, year = original.partition("/")
        condition = f"ReversedMaterialDocument eq {literal(number)} and ReversedMaterialDocumentYear eq {literal(year)}"
        query = {"$filter": condition, "$top": "1"}
        found = self._rows(self._materials, sap_payload.MATERIAL_DOCUMENT_ITEMS, query)
        return found if isinstance(found, Answer) else self._first(found)

    def _first(self, rows: Sequence[sap_replies.Row]) -> Answer | None:
        return sap_replies.accepted(rows[0], self._settings) if rows else None

    def _rows(self, session: SapSession, resource: str, query: Mapping[str, str]) -> list[sap_replies.Row] | Answer:
        return sap_replies.rows_of(session.read(resource, query))


def _cancels(document: sap_replies.Row) -> bool:
    """Return whether a material document takes another back: it may carry that one's references."""
    items = sap_replies.children(document, sap_payload.MATERIAL_ITEMS)
    return any(item.get("ReversedMaterialDocument") for item in items)


def _failure(row: sap_replies.Row) -> Answer:
    code = f"{row.get('MessageClass', '')}/{row.get('MessageNumber', '')}"
    return Answer(Outcome.REJECTED, code=code, message=str(row.get("MessageText", "")))
