"""Postings, commands, exceptions, usage, what is not posted: JSON in a CloudEvents 1.0 envelope, in binary mode.

Law: the value is a function of what it says; the instant at which it was recorded shows in a header only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import pyarrow as pa

from canonical.contracts import BusinessException, Command, ComponentUsage, Posting, Unposted
from canonical.envelope import instant
from canonical.json_tables import table
from canonical.messages import Message
from canonical.records import Headers

_COMMON: Final[Headers] = (
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"/plantsync/postings"),
)

RECORDED: Final = "ce_recordedtime"
KNOWN: Final = "ce_knowntime"
"""Extension of our own: when the flow ``postings`` knew all that a posting accounts for (M38)."""


def order_key(plant: str, order: str) -> bytes:
    """Return the key of everything about an order: what has one key keeps its order."""
    return f"{plant}/{order}".encode()


class Posted(Protocol):
    """What the envelope of a posting says: a ``Posting``, or whatever has the same of it."""

    @property
    def posting_id(self) -> UUID | str: ...  # noqa: D102 - as in the contract, like those that follow
    @property
    def plant(self) -> str: ...  # noqa: D102
    @property
    def order(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def end_us(self) -> int: ...  # noqa: D102
    @property
    def correlation_id(self) -> str: ...  # noqa: D102


def encode_posting(posting: Posted, value: bytes, recorded_us: int, known_us: int | None = None) -> Message:
    """Return the message of a posting, whose JSON is ``value``; ``known_us`` is when all it accounts for was known."""
    key = order_key(posting.plant, posting.order)
    headers = (
        *_envelope(b"plantsync.posting.v1", str(posting.posting_id), posting.end_us, recorded_us, key),
        ("ce_subject", posting.order.encode()),
        ("ce_sequence", b"%020d" % posting.number),
        ("ce_correlationid", posting.correlation_id.encode()),
    )
    if known_us is not None and (text := instant(known_us)):
        headers += ((KNOWN, text),)
    return key, value, headers


def encode_command(command: Command, recorded_us: int) -> Message:
    """Return the message of a command, keyed by its lot, or its order where it names none."""
    key = (command.lot or command.order).encode()
    headers = _envelope(b"plantsync.command.v1", str(command.command_id), command.occurred_us, recorded_us, key)
    return key, command.model_dump_json().encode(), (*headers, ("ce_correlationid", command.correlation_id.encode()))


def encode_exception(exception: BusinessException, recorded_us: int) -> Message:
    """Return the message of an exception, keyed by its id: the newest counts."""
    name = str(exception.exception_id)
    key = name.encode()
    at_us = exception.changed_us
    # The same exception is told again whenever it changes: each telling is an event of its own.
    headers = _envelope(b"plantsync.exception.v1", f"{name}/{at_us}", at_us, recorded_us, key)
    return key, exception.model_dump_json().encode(), headers


def encode_usage(usage: ComponentUsage, recorded_us: int) -> Message:
    """Return the message of a component's usage, keyed by all that it is of: the newest counts."""
    u = usage
    key = f"{u.erp}/{u.plant}/{u.order}/{u.item}/{u.material}/{u.unit}".encode()
    headers = _envelope(b"plantsync.usage.v1", f"{key.decode()}/{u.changed_us}", u.changed_us, recorded_us, key)
    return key, u.model_dump_json().encode(), (*headers, ("ce_subject", u.order.encode()))


def encode_unposted(unposted: Unposted, recorded_us: int) -> Message:
    """Return the message of what is not posted, keyed by its cause: the newest counts."""
    key = unposted.cause.encode()
    at_us = unposted.at_us
    name = f"{unposted.cause}/{unposted.kind.value}/{at_us}"
    headers = _envelope(b"plantsync.unposted.v2", name, at_us, recorded_us, key)
    return key, unposted.model_dump_json().encode(), (*headers, ("ce_subject", unposted.order.encode()))


def decode_postings(values: Sequence[bytes]) -> pa.Table:
    """Return POSTING[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(Posting, values)


def decode_exceptions(values: Sequence[bytes]) -> pa.Table:
    """Return BUSINESS_EXCEPTION[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(BusinessException, values)


def decode_unposted(values: Sequence[bytes]) -> pa.Table:
    """Return UNPOSTED[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(Unposted, values)


def _envelope(kind: bytes, name: str, at_us: int, recorded_us: int, key: bytes) -> Headers:
    headers: Headers = (*_COMMON, ("ce_type", kind), ("ce_id", name.encode()), ("ce_partitionkey", key))
    if text := instant(at_us):
        headers += (("ce_time", text),)
    if text := instant(recorded_us):
        headers += ((RECORDED, text),)
    return headers
