"""``$batch`` of OData V2: one changeset for each request, so that each is made or refused by itself.

Law: ``parsed`` gives exactly one reply for each request, in their order, or none at all.
Source: OData 2.0 batch processing; RFC 2046.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Final

from sinks.erp.connection import Reply, escaped

BOUNDARY: Final = "batch_plantsync"


@dataclass(frozen=True, slots=True)
class Part:
    """A request to make something; ``resource`` is below the service."""

    resource: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


def encoded(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Return (content type, body). Bodies are JSON on one line, so no boundary can stand in them."""
    chunks = []
    for number, part in enumerate(parts):
        changeset = f"changeset_{number}"
        headers = {**part.headers, "Content-Length": str(len(part.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        query = f"?{escaped(part.query)}" if part.query else ""
        inner = f"POST {part.resource}{query} HTTP/1.1\r\n{head}\r\n".encode() + part.body
        chunks.append(
            (
                f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n"
                f"--{changeset}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
                f"Content-ID: {number + 1}\r\n\r\n"
            ).encode()
            + inner
            + f"\r\n--{changeset}--\r\n".encode()
        )
    return f"multipart/mixed; boundary={BOUNDARY}", b"".join(chunks) + f"--{BOUNDARY}--\r\n".encode()


def parsed(reply: Reply, count: int) -> list[Reply] | None:
    """Return the replies inside the reply to a batch of ``count``; None where they cannot be told apart."""
    head = f"Content-Type: {reply.headers.get('content-type', '')}\r\n\r\n"
    outer = _parts(BytesParser().parsebytes(head.encode("latin-1", "replace") + reply.body))
    if len(outer) != count:
        return None
    found = []
    for part in outer:
        # A changeset that went well is a multipart of its one reply; one that failed is the reply.
        inner = _parts(part) or [part]
        single = _reply(inner[0]) if len(inner) == 1 else None
        if single is None:
            return None
        found.append(single)
    return found


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _reply(part: Message) -> Reply | None:
    """Return the HTTP reply that a part of type application/http holds."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return None
    line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or len(words[1]) != 3 or not words[1].isdigit():
        return None
    inner = BytesParser().parsebytes(rest, headersonly=False)
    body = inner.get_payload(decode=True)
    headers = {name.lower(): str(value) for name, value in inner.items()}
    return Reply(int(words[1]), headers, body if isinstance(body, bytes) else b"", {})
