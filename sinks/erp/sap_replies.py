"""What SAP Gateway answers: documents, errors and messages, and what they come to.

Law: a reply that is not understood never counts as success or refusal: a write is then in doubt.
Source: SAP Gateway's error bodies and ``sap-message`` header; OData 2.0 JSON verbose format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from sinks.erp.connection import Reply, json_object, refused, retry_after
from sinks.erp.port import Answer, Outcome
from sinks.erp.sap_payload import CONFIRMATION_ITEMS
from sinks.erp.settings import SapSettings

FRAMEWORK: Final = ("/IWBEP/", "/IWFND/", "SY/530")
"""Codes that only say that something is wrong; the details say what."""
UNKNOWN_SERVICE: Final = "/IWFND/"
_DATE: Final = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{1,4})?\)/")
_TIME: Final = re.compile(r"PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})(?:\.\d+)?S)?")
_XML_CODE: Final = re.compile(rb"<code>([^<]{1,200})</code>")
_XML_MESSAGE: Final = re.compile(rb"<message[^>]{0,200}>([^<]{0,2000})</message>")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SapError:
    """An error in SAP's own form."""

    code: str
    message: str

    @property
    def executed_before(self) -> bool:
        """Return whether it says that this very posting has been made already."""
        return self.code == "RU/363" or "requestid is outdated" in self.message.lower()


def answer_of_write(reply: Reply, settings: SapSettings) -> Answer | SapError:
    """Return what a request to make a document came to; the error itself where it was executed before."""
    if 200 <= reply.status < 300:
        row = entity(reply.body)
        made = accepted(row, settings, reply.headers) if row is not None else None
        if made is None:
            return Answer(Outcome.IN_DOUBT, code="PLANTSYNC/unreadable", message="a success without a document")
        return made
    error = error_of(reply.body) if reply.status >= 400 else None
    if error is None:
        return refused(reply, writes=True)
    if error.executed_before:
        return error
    if reply.status == 423 or (error.code in settings.locked_codes and reply.status < 500):
        retry_after_s = retry_after(reply.headers)
        return Answer(Outcome.LOCKED, code=error.code, message=error.message, retry_after_s=retry_after_s)
    if reply.status in {401, 403, 408, 429} or reply.status >= 500 or error.code.startswith(UNKNOWN_SERVICE):
        return refused(reply, writes=True, code=error.code, message=error.message)
    return Answer(Outcome.REJECTED, code=error.code, message=error.message)


def answer_of_read(reply: Reply) -> Answer:
    """Return why a query has no result."""
    error = error_of(reply.body) if reply.status >= 400 else None
    if error is not None:
        return refused(reply, writes=False, code=error.code, message=error.message)
    if 200 <= reply.status < 300:
        return Answer(Outcome.UNAVAILABLE, code="PLANTSYNC/unreadable", message="a success that cannot be read")
    return refused(reply, writes=False)


def entity(body: bytes) -> Row | None:
    """Return the entity of a reply; None where there is none."""
    inner = json_object(body).get("d")
    if isinstance(inner, dict) and len(inner) == 1:
        # A function import may be wrapped in its own name.
        (only,) = inner.values()
        return only if isinstance(only, dict) else inner
    return inner if isinstance(inner, dict) else None


def rows(body: bytes) -> list[Row] | None:
    """Return the entities of a reply; None where it is not a collection."""
    inner = json_object(body).get("d")
    found = inner.get("results") if isinstance(inner, dict) else inner
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else None


def rows_of(reply: Reply | Answer) -> list[Row] | Answer:
    """Return the entities that a query has found, or why it has no result."""
    if isinstance(reply, Answer):
        return reply
    found = rows(reply.body) if 200 <= reply.status < 300 else None
    return answer_of_read(reply) if found is None else found


def accepted(row: Row, settings: SapSettings, headers: Mapping[str, str] | None = None) -> Answer | None:
    """Return the acceptance that a document stands for; None where it has no number."""
    if row.get("ConfirmationGroup"):
        document = f"{row['ConfirmationGroup']}/{row.get('ConfirmationCount', '')}"
        entered = ("ConfirmationEntryDate", "ConfirmationEntryTime")
    elif row.get("MaterialDocument"):
        document = f"{row['MaterialDocument']}/{row.get('MaterialDocumentYear', '')}"
        entered = ("CreationDate", "CreationTime")
    else:
        return None
    warning = _warning(headers or {})
    follows = bool(warning) or any(not item.get("MaterialDocument") for item in children(row, CONFIRMATION_ITEMS))
    committed_us = instant_us(row.get(entered[0]), row.get(entered[1]), settings.time_zone)
    return Answer(Outcome.ACCEPTED, document, committed_us, message=warning, follows=follows)


def children(row: Row, name: str) -> Iterator[Row]:
    """Yield the entities of an expanded navigation property; none where it was not expanded."""
    inner = row.get(name)
    found = inner.get("results") if isinstance(inner, dict) else inner
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def error_of(body: bytes) -> SapError | None:
    """Return the error of a body, JSON or XML; None where it is not SAP's.

    The code is that of the first error among the details where the outer one is the framework's.
    """
    error = json_object(body).get("error")
    if not isinstance(error, dict):
        return _xml_error(body)
    code, message = str(error.get("code", "")), error.get("message")
    words = message.get("value", "") if isinstance(message, dict) else message
    inner = error.get("innererror")
    details = inner.get("errordetails") if isinstance(inner, dict) else None
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or not code.startswith(FRAMEWORK):
            continue
        own = str(detail.get("code", ""))
        if detail.get("severity") == "error" and own and not own.startswith(FRAMEWORK):
            return SapError(own, str(detail.get("message", "")))
    return SapError(code, str(words or "")) if code else None


def instant_us(day: object, time: object, zone: str) -> int | None:
    """Return the instant of ``/Date(ms)/`` and ``PT..`` in a zone, UTC microseconds; None where one is missing."""
    date_found = _DATE.fullmatch(day) if isinstance(day, str) else None
    time_found = _TIME.fullmatch(time) if isinstance(time, str) else None
    if date_found is None or time_found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in time_found.groups())
    try:
        midnight = datetime.fromtimestamp(int(date_found[1]) // 1000, UTC).replace(tzinfo=ZoneInfo(zone))
        instant = midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return int(instant.timestamp()) * 1_000_000
    except (OverflowError, ValueError, OSError):
        return None


def _warning(headers: Mapping[str, str]) -> str:
    """Return the words of a ``sap-message`` that warns; that all is well is no message."""
    try:
        said = orjson.loads(headers.get("sap-message", ""))
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(said, dict) or said.get("severity") not in {"warning", "error"}:
        return ""
    return f"{said.get('code', '')} {said.get('message', '')}".strip()


def _xml_error(body: bytes) -> SapError | None:
    code, message = _XML_CODE.search(body), _XML_MESSAGE.search(body)
    if code is None or message is None:
        return None
    return SapError(code[1].decode("utf-8", "replace"), message[1].decode("utf-8", "replace"))
