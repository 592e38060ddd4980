"""``$batch`` of OData V2: multipart/mixed of retrieve requests and changesets, and the answer to it.

A changeset is all or nothing: when one of its requests fails, nothing of it is booked and one
error answers the whole changeset. The outer status is 202, whatever happened inside.
Source: odata.org batch processing 2.0; RFC 2046.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.chance import token
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.refusal import Code, Refused

PARTS_MAX: Final = 1000
_BOUNDARY: Final = re.compile(r"""boundary="?([^";,\s]{1,70})"?""", re.IGNORECASE)
_REASONS: Final = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 404: "Not Found", 423: "Locked"}

Work = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart body."""

    headers: Mapping[str, str]
    body: bytes


class _Failed(Exception):
    """Carries an answer out of a unit, so that nothing of it is booked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def answer(call: Call, book: Book, work: Work, broken: Answer) -> Answer:
    """Work on a batch; ``broken`` answers the changeset that the request's trouble picks, unbooked."""
    parts = parse(call.body, boundary(call.headers))
    changesets = [n for n, part in enumerate(parts) if _is_multipart(part)]
    unlucky = None
    if call.trouble.partial is not None and changesets:
        unlucky = changesets[int(call.trouble.partial * len(changesets))]
    mark = token(0, "batch", len(call.body), call.now_us)
    chunks = []
    for number, part in enumerate(parts):
        if number == unlucky:
            chunks.append(_single(broken, part.headers))
        elif _is_multipart(part):
            chunks.append(_changeset(call, part, book, work, f"{mark}_{number}"))
        else:
            inner = request(call, part)
            if inner.method != "GET":
                raise Refused(Code.FIELD_WRONG, field="$batch", reason="changes belong into a changeset")
            chunks.append(_single(work(inner), part.headers))
    outer = f"batch_{mark}"
    return Answer(202, _joined(chunks, outer), f"multipart/mixed; boundary={outer}", {"DataServiceVersion": "2.0"})


def boundary(headers: Mapping[str, str]) -> bytes:
    """Return the boundary that a multipart content type names."""
    found = _BOUNDARY.search(headers.get("content-type", ""))
    if not found:
        raise Refused(Code.FIELD_WRONG, field="Content-Type", reason="multipart/mixed without a boundary")
    return found[1].encode("latin-1")


def parse(body: bytes, mark: bytes) -> list[Part]:
    """Return the parts of a multipart body; line ends may be CRLF or LF."""
    chunks = re.split(rb"(?:^|\r?\n)--" + re.escape(mark) + rb"(--)?[ \t]*(?:\r?\n|$)", body)
    # Text before the first boundary, then for each boundary its closing dashes (or None) and what follows.
    closed = len(chunks) > 4 and chunks[-2] == b"--"
    parts = [_split(chunk) for chunk in chunks[2:-2:2]] if closed else []
    if not parts or len(parts) > PARTS_MAX:
        raise Refused(Code.FIELD_WRONG, field="$batch", reason=f"between 1 and {PARTS_MAX} parts are needed")
    return parts


def request(call: Call, part: Part) -> Call:
    """Return the request that an application/http part holds; its path is relative to the service."""
    line, _, rest = part.body.lstrip(b"\r\n").partition(b"\n")
    words = line.decode("latin-1").split()
    if len(words) < 2 or words[0] not in {"GET", "POST", "PUT", "PATCH", "MERGE", "DELETE"}:
        raise Refused(Code.FIELD_WRONG, field="$batch", reason="a part holds no HTTP request")
    inner = _split(rest)
    service = call.path.rpartition("/")[0]
    target = words[1].rpartition(f"{service}/")[2].lstrip("/") if service in words[1] else words[1].lstrip("/")
    return call.within(words[0], f"{service}/{target}", inner.headers, inner.body.strip(b"\r\n"))


def _changeset(call: Call, part: Part, book: Book, work: Work, mark: str) -> bytes:
    parts = parse(part.body, boundary(part.headers))
    requests = [request(call, inner) for inner in parts]
    try:
        with book.unit():
            chunks = []
            for inner, one in zip(parts, requests, strict=True):
                chunks.append(_single(_fine(work(one)), inner.headers))
    except _Failed as failed:
        return _single(failed.answer, {})
    name = f"changeset_{mark}"
    body = _joined(chunks, name)
    head = f"Content-Type: multipart/mixed; boundary={name}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _fine(said: Answer) -> Answer:
    if said.status >= 400:
        raise _Failed(said)
    return said


def _single(said: Answer, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {said.status} {_REASONS.get(said.status, 'Error')}",
        f"Content-Type: {said.type}",
        f"Content-Length: {len(said.body)}",
        *(f"{name}: {value}" for name, value in said.headers.items()),
    ]
    inner = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + said.body
    head = f"Content-Type: application/http\r\nContent-Length: {len(inner)}\r\nContent-Transfer-Encoding: binary\r\n"
    if content_id := headers.get("content-id"):
        head += f"Content-ID: {content_id}\r\n"
    return head.encode() + b"\r\n" + inner


def _joined(chunks: list[bytes], mark: str) -> bytes:
    line = f"--{mark}".encode()
    return b"".join(line + b"\r\n" + chunk + b"\r\n" for chunk in chunks) + line + b"--\r\n"


def _split(chunk: bytes) -> Part:
    """Return headers and body of a part; a part may have no headers, and then begins with an empty line."""
    head, separator, body = re.sub(rb"\r?\n", b"\n", chunk[:8192]).partition(b"\n\n")
    if chunk.startswith((b"\n", b"\r\n")):
        return Part({}, chunk)
    headers = {}
    for line in head.split(b"\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    if separator:
        rest = re.search(rb"\r?\n\r?\n", chunk)
        assert rest is not None
        body = chunk[rest.end() :]
    return Part(headers, body)


def _is_multipart(part: Part) -> bool:
    return part.headers.get("content-type", "").lower().startswith("multipart/mixed")
