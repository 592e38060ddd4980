"""Events of a web service that is asked again and again: by cursor, by a value that grows, page by page, or as a whole.

Law: every record of every answer becomes one record, once, in the order of the answers: those that come again are
known by their content, as far as ``remembered_max`` reaches. The question that brought the last answer is a part of the
position, so after a crash it is asked again. What the service forgets before it is asked is lost.

A page with a link ``rel="next"`` (RFC 8288) is followed by that one, if it lies at the same place; the last page is
asked for again, with its ETag. 429 and 503 say when to come back (``Retry-After``). Numbers stay as they are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import numpy as np
import orjson
import requests

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.bounded_body import bounded_body
from dataflows.collectors.http_poll_settings import HttpPollCollector
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.web_session import web_session
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable
from sinks.commit_log import PlantsyncError

PART: Final = "source.known"
RETRY_AFTER_MAX_S: Final = 3_600
_SHOWN: Final = 100
_HASH_BYTES: Final = 16
_COME_BACK: Final = frozenset({429, 503})
_OK: Final = 200
_UNCHANGED: Final = 304
_SERVER_ERROR: Final = 500


class HttpPoll:
    """Asks one service; a ``Collector``. Args: clock: now in UTC microseconds; refusals: takes what is refused."""

    def __init__(self, section: HttpPollCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        self._session: requests.Session | None = None
        self._number = 0
        self._url, self._etag = section.url, ""
        self._named = ""  # the cursor, or the value that grows, of the next question
        self._known: dict[str, None] = {}
        self._changed = False
        self._due_us = 0
        self._more = False

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position."""
        if position is not None:
            place = orjson.loads(position)
            self._number, self._named, self._etag = place["number"], place["named"], place["etag"]
            if place["of"] == self._section.url:  # another service begins at its beginning
                self._url = place["url"]
        if PART in state:
            self._known = dict.fromkeys(orjson.loads(state[PART]))

    def poll(self) -> RawRecords:
        """Return the records of the next answer that were not told. Raises: SourceUnavailable, AnswerUnusable."""
        if self._clock() < self._due_us:
            return NO_RECORDS
        answer = self._asked()
        if answer is None:
            return NO_RECORDS
        content = self._content(answer)
        listed = _at(content, self._section.records)
        if not isinstance(listed, list):
            reason = f"there is no list at {self._section.records or 'its top'!r}"
            raise self._unusable(FaultCode.MALFORMED, reason, answer.content)
        records = self._told(listed)
        self._go_on(answer, content, listed)
        return records

    def position(self) -> str:
        """Return what is asked next, and how many records there were."""
        place = {
            "number": self._number,
            "of": self._section.url,
            "url": self._url,
            "named": self._named,
            "etag": self._etag,
        }
        return orjson.dumps(place).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what was told last, when that has changed."""
        if not self._changed:
            return {}
        self._changed = False
        return {PART: orjson.dumps(list(self._known))}

    def at_end(self) -> bool:
        """Return whether the last answer had nothing more behind it."""
        return self._due_us > 0 and not self._more

    def behind(self) -> int:
        """Return 0: the service does not say."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: the service waits for no answer."""

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _asked(self) -> requests.Response | None:
        """Return the answer, with its body; None where it is unchanged, or the service wants to be left alone."""
        section = self._section
        if self._session is None:
            self._session = web_session(
                "application/json", section.ca_file, section.token, section.user, section.password
            )
        named = section.cursor_parameter if section.cursor else section.since_parameter
        try:
            with self._session.get(
                self._url,
                params={named: self._named} if self._named else None,
                headers={"If-None-Match": self._etag} if self._etag else None,
                timeout=section.timeout_s,
                stream=True,
                allow_redirects=False,
            ) as answer:
                if answer.status_code == _UNCHANGED:
                    self._wait(section.every_s)
                    return None
                if answer.status_code in _COME_BACK:
                    self._wait(_retry_after(answer, section.every_s))
                    return None
                if answer.status_code != _OK:
                    raise self._refused(answer.status_code)
                answer._content = self._body(answer)  # noqa: SLF001 - as much of it as may be
                return answer
        except requests.RequestException as error:
            raise SourceUnavailable(
                f"collect.{self._name}: {section.url} does not answer: {type(error).__name__}. "
                "Check the address, the network and, with https, ca_file."
            ) from error

    def _body(self, answer: requests.Response) -> bytes:
        """Return the body, unpacked, as long as it is within its bound."""
        bytes_max = self._section.answer_bytes_max
        body = bounded_body(answer, bytes_max)
        if len(body) > bytes_max:
            raise self._unusable(FaultCode.OVERSIZE, f"it is longer than {bytes_max:,} bytes", body)
        return body

    def _content(self, answer: requests.Response) -> Any:
        try:
            return json.loads(answer.content, parse_float=_Number, parse_int=_Number, parse_constant=_constant)
        except ValueError as error:
            raise self._unusable(FaultCode.MALFORMED, "it is no JSON", answer.content) from error
        except RecursionError as error:
            raise self._unusable(FaultCode.DEEP_NESTING, "it is nested too deep", answer.content) from error

    def _told(self, listed: Sequence[Any]) -> RawRecords:
        """Return the records that were not told before."""
        values: list[bytes] = []
        for each in listed:
            value = _record(each)
            name = hashlib.blake2b(value, digest_size=_HASH_BYTES).hexdigest()
            if name not in self._known:
                values.append(value)
                self._known[name] = None
        if not values:
            return NO_RECORDS
        self._changed = True
        excess = len(self._known) - self._section.remembered_max
        for name in list(islice(self._known, max(excess, 0))):
            del self._known[name]
        offsets = np.arange(self._number + 1, self._number + len(values) + 1)
        self._number += len(values)
        return RawRecords.from_values(values, offsets, self._name)

    def _go_on(self, answer: requests.Response, content: Any, listed: Sequence[Any]) -> None:
        """Decide what is asked next, and when."""
        section = self._section
        self._etag = answer.headers.get("ETag", "")
        self._more = False
        if next_url := self._next(answer):
            self._more, self._url, self._etag = True, next_url, ""
        elif section.cursor and (named := _at(content, section.cursor)) is not None:
            self._more = str(named) != self._named and bool(listed)
            self._named = str(named)
        elif section.since and listed:
            named = _at(listed[-1], section.since)
            self._more = named is not None and str(named) != self._named
            self._named = self._named if named is None else str(named)
        self._wait(0 if self._more else section.every_s)

    def _next(self, answer: requests.Response) -> str:
        """Return the address of the next page; none where there is none. Raises: AnswerUnusable."""
        link = answer.links.get("next", {}).get("url", "")
        if not link:
            return ""
        url = urljoin(self._url, link)
        if urlsplit(url)[:2] != urlsplit(self._section.url)[:2]:
            reason = f"its next page lies elsewhere, at {urlsplit(url).netloc[:_SHOWN]!r}"
            raise self._unusable(FaultCode.UNSAFE_NAME, reason, link.encode("utf-8", "backslashreplace"))
        return url

    def _wait(self, seconds: float) -> None:
        self._due_us = self._clock() + round(seconds * 1e6)

    def _refused(self, status: int) -> PlantsyncError:
        if status >= _SERVER_ERROR:
            return SourceUnavailable(f"collect.{self._name}: {self._section.url} answers {status}. Ask who runs it.")
        return self._told_unusable(f"it is {status}; check address, token and rights")

    def _unusable(self, code: FaultCode, reason: str, body: bytes) -> AnswerUnusable:
        """Note that an answer is refused, and return the error that says so."""
        self._refusals.refuse(code, f"{self._section.url}: {reason}", body)
        return self._told_unusable(reason)

    def _told_unusable(self, reason: str) -> AnswerUnusable:
        return AnswerUnusable(f"collect.{self._name}: the answer of {self._section.url} cannot be used: {reason}.")


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


def _constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _record(each: Any) -> bytes:
    """Return a record as JSON; of one that is nested too deep its numbers are texts: it is to be refused."""
    try:
        return orjson.dumps(each, default=_written, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError:
        return json.dumps(each, default=str).encode()


def _written(value: object) -> object:
    assert isinstance(value, _Number)
    return orjson.Fragment(value.text.encode())


def _at(content: Any, path: str) -> Any:
    """Return what lies at a dotted path; None where nothing does."""
    for step in path.split(".") if path else ():
        if not isinstance(content, dict) or step not in content:
            return None
        content = content[step]
    return content


def _retry_after(answer: requests.Response, otherwise_s: float) -> float:
    """Return the seconds to wait that an answer asks for, within reason; dates are not understood."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), RETRY_AFTER_MAX_S) if asked.isascii() and asked.isdigit() else otherwise_s
