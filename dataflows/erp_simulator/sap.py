"""SAP S/4HANA: the OData services, with CSRF tokens, ``$batch`` and idempotent requests around them.

``RequestID`` with ``RepeatabilityCreation`` makes a request repeatable: the answer of the first
success is kept and given again, until it is outdated. A refused request has changed nothing and may
be repeated with the same id.
Source: SAP Gateway help, "Defining Settings for Idempotent Services"; "How does CSRF token work?".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dataflows.erp_simulator import batch, odata
from dataflows.erp_simulator.access import COOKIE, Access
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.refusal import Code, Refused
from dataflows.erp_simulator.sap_confirmations import Confirmations
from dataflows.erp_simulator.sap_inspection import Inspections
from dataflows.erp_simulator.sap_materials import MaterialDocuments
from dataflows.erp_simulator.sap_orders import ProductionOrders

ROOT: Final = "/sap/opu/odata/sap/"
_REQUEST_ID: Final = re.compile(r"[0-9a-fA-F]{32}")
_FETCH: Final = "fetch"
_METADATA: Final = (
    b'<?xml version="1.0"?><edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"/>'
)


class Sap:
    """The dialect of SAP S/4HANA."""

    def __init__(self, erp: Erp, access: Access, *, request_memory_s: int = 21_600) -> None:
        """Translate for ``erp``; answers of repeatable requests are kept for ``request_memory_s``."""
        self._erp, self._access = erp, access
        self._memory_us = request_memory_s * 1_000_000
        self._services: dict[str, Callable[[Call, str], Answer]] = {
            service.NAME: service(erp).answer
            for service in (Confirmations, MaterialDocuments, Inspections, ProductionOrders)
        }

    def answer(self, call: Call) -> Answer:
        """Work on a request; refusals are answered as SAP Gateway does."""
        service, path = _service(call)
        if not call.path.startswith(ROOT) or service not in self._services:
            return odata.error("/IWFND/MED/170", f"No service found for {service[:40]}", 403, service[:40])
        wanted = call.headers.get("x-csrf-token", "").lower() == _FETCH
        if call.method in {"GET", "HEAD"}:
            said = self._read(call, service, path)
            if not wanted:
                return said
            cookie, value = self._access.open_session(call.headers, call.now_us)
            return replace(
                said,
                headers={**said.headers, "x-csrf-token": value, "set-cookie": f"{COOKIE}={cookie}; path=/; HttpOnly"},
            )
        if not self._access.in_session(call.headers, call.now_us):
            return Answer(403, b"CSRF token validation failed", "text/plain", {"x-csrf-token": "Required"})
        if path == "$batch":
            broken = odata.error("SY/530", "An exception was raised; the changeset was rolled back", 500, service)
            try:
                return batch.answer(call, self._erp.book, self._one, broken)
            except Refused as refused:
                return self.refusal(refused)
        return self._one(call)

    def refusal(self, refused: Refused, status: int | None = None) -> Answer:
        """Return a refusal as SAP Gateway writes it."""
        words = refused.words
        return odata.error(words.sap, str(refused), status or words.status, "")

    def failure(self, status: int, text: str) -> Answer:
        """Return a failure of the server as SAP Gateway writes it."""
        return odata.error("SY/530", text, status, "")

    def _read(self, call: Call, service: str, path: str) -> Answer:
        if path == "":
            return odata.answer({"EntitySets": []})
        if path == "$metadata":
            return Answer(200, _METADATA, "application/xml")
        try:
            return self._services[service](call, path)
        except Refused as refused:
            return self.refusal(refused)

    def _one(self, call: Call) -> Answer:
        """Work on a single request, which may be part of a batch."""
        service, path = _service(call)
        if call.method == "GET":
            return self._read(call, service, path)
        book = self._erp.book
        try:
            number = self._repeatable(call)
            if number in book.answers:
                return self._again(call, number)
            with book.unit():
                said = self._services[service](call, path)
                if number:
                    said = replace(said, headers={**said.headers, "RepeatabilityResult": "accepted"})
                    kept = {"status": said.status, "body": said.body.decode(), "headers": dict(said.headers)}
                    book.record("answer", {"request_id": number, "at_us": call.now_us, **kept})
        except Refused as refused:
            return self.refusal(refused)
        return said

    @staticmethod
    def _repeatable(call: Call) -> str:
        """Return the id of a repeatable request; empty where it is not one."""
        number = call.headers.get("requestid", "").replace("-", "")
        if not number or not call.headers.get("repeatabilitycreation"):
            return ""
        if not _REQUEST_ID.fullmatch(number):
            raise Refused(Code.FIELD_WRONG, field="RequestID", reason="not a GUID of 32 characters")
        return number.lower()

    def _again(self, call: Call, number: str) -> Answer:
        kept = self._erp.book.answers[number]
        if call.now_us - kept["at_us"] > self._memory_us:
            raise Refused(Code.REQUEST_OUTDATED)
        return Answer(kept["status"], kept["body"].encode(), headers=kept["headers"])


def _service(call: Call) -> tuple[str, str]:
    """Return service and resource path; a version, as in ``;v=0002``, counts for nothing."""
    service, _, path = call.path.removeprefix(ROOT).partition("/")
    return service.partition(";")[0], path
