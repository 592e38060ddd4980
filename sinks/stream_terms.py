"""The registry of event types: what each stream of the commit log promises, declared once (M51).

Law: every stream of ``sinks.streams`` has terms, and what the log does with a stream is done by them. The contract
says what is in a record; which of its fields name a plant says whose residency it is under (M50).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sinks.streams import (
    ACTIONS,
    COMMANDS,
    CONFIRMATIONS,
    DEAD_LETTERS,
    EVENTS,
    EXCEPTIONS,
    GAPS,
    LEDGER,
    POSTINGS,
    RANGES,
    RECEIPTS,
    STATES,
    TELEMETRY,
    TRAIL,
    UNPOSTED,
    USAGE,
)


class Form(StrEnum):
    """What the value of a record is."""

    CLOUD_EVENT = "cloud-event"  # a JSON object, with CloudEvents attributes as headers
    DOCUMENT = "document"  # a JSON object
    LINES = "lines"  # JSON objects, one a line
    ORIGINAL = "original"  # a plant's own bytes, with what is wrong as headers


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """What a stream promises to whoever reads it.

    ``contract``: of its records. ``owner``: who answers for what is in them and agrees to changes. ``key``: fields
    of which the key is made; what has one key keeps its order. ``known_by``: what a record that is read twice is known
    by. ``newest_counts``: a record takes the place of those that are known by the same. ``writers``, ``readers``:
    flows, and ``people`` by their commands. ``timely``: when a record is there. ``objectives``: those of the shipped
    ones that its records are part of. ``for_ever``: topics that the log creates for it forget nothing.
    """

    meaning: str
    contract: str
    owner: str
    key: tuple[str, ...]
    known_by: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    timely: str
    form: Form = Form.CLOUD_EVENT
    objectives: tuple[str, ...] = ()
    newest_counts: bool = False
    for_ever: bool = False


PEOPLE: Final = "people"
"""Who acts by commands or the control tower."""

_PLACE: Final = tuple(f"__connect.errors.{name}" for name in ("topic", "partition", "offset"))
_ALL: Final = ("confirmation", "goods-issue", "goods-receipt", "quality-release", "inventory-movement", "reversal")
_PRODUCTION: Final = "production control"
_INTEGRATION: Final = "plant integration"
_ERP: Final = "ERP process owner"
_AUDIT: Final = "internal audit"
_COMMIT: Final = "with the commit of the shard: 0.5 s after its events, at most 10 s while there is always more to read"
_URGENT: Final = f"{_COMMIT}; holds and releases within 0.1 s"
_DECIDED: Final = "with the next commit of the flow, 0.5 s after what decided it"
_AT_ONCE: Final = "when the command returns"

TERMS: Final[Mapping[str, StreamTerms]] = {
    CONFIRMATIONS: StreamTerms(
        "What was made, accounted for once: runs of events of one order, operation, lot and shift.",
        "confirmation", _PRODUCTION, ("source",), ("posting_id",),
        ("confirmations",), ("postings", "analytics"), _COMMIT,
        objectives=("confirmation",),
    ),
    EVENTS: StreamTerms(
        "Events passed on one by one: starts and stops, consumption, moves, holds and releases.",
        "event", _PRODUCTION, ("source",), ("ce_id",),
        ("confirmations",), ("postings", "analytics"), _URGENT,
        objectives=("goods-issue", "quality-release", "inventory-movement"),
    ),
    DEAD_LETTERS: StreamTerms(
        "Records that cannot be used, byte for byte, with code, detail and place.",
        "dead_letter", _INTEGRATION, ("key of the record",), _PLACE,
        ("confirmations", "postings", "delivery"), ("analytics", PEOPLE), _COMMIT, Form.ORIGINAL,
    ),
    GAPS: StreamTerms(
        "Sequence numbers that have not come and are not waited for; who can send them again may.",
        "gap", _INTEGRATION, ("source",), ("ce_id",),
        ("confirmations",), ("analytics",), _COMMIT,
    ),
    LEDGER: StreamTerms(
        "Running totals of each session: what was read, and what became of it.",
        "ledger_entry", _AUDIT, ("shard",), ("shard", "plant", "source", "session"),
        ("confirmations",), ("analytics",), _COMMIT, Form.LINES, newest_counts=True,
    ),
    RANGES: StreamTerms(
        "Which numbers of a session came to which fate.",
        "ledger_range", _AUDIT, ("shard",), ("shard", "plant", "source", "session", "fate", "first_seq"),
        ("confirmations",), ("analytics",), _COMMIT, Form.LINES,
    ),
    STATES: StreamTerms(
        "Instants from which a machine is in a state.",
        "state_mark", _PRODUCTION, ("shard",), ("plant", "source", "session", "seq"),
        ("confirmations",), ("analytics",), _COMMIT, Form.LINES,
    ),
    TELEMETRY: StreamTerms(
        "What no confirmation accounts for, by the minute; parts of a minute are added up.",
        "telemetry_minute", _PRODUCTION, ("shard",), ("shard", "stream offset"),
        ("confirmations",), ("analytics",), _COMMIT, Form.LINES,
    ),
    TRAIL: StreamTerms(
        "What was decided, by whom and why, chained by hash.",
        "trail_entry", _AUDIT, ("chain",), ("chain", "number"),
        ("confirmations", PEOPLE), ("analytics", PEOPLE), "with what it is about, in one transaction", Form.DOCUMENT,
        for_ever=True,
    ),
    POSTINGS: StreamTerms(
        "Documents that an ERP is to make: its queue, in the order in which each order's are made.",
        "posting", _ERP, ("plant", "order"), ("posting_id",),
        ("postings",), ("delivery", "analytics"), _DECIDED,
        objectives=_ALL,
    ),
    RECEIPTS: StreamTerms(
        "What an ERP made of each posting, and when.",
        "receipt", _ERP, ("plant", "order"), ("posting_id", "status"),
        ("delivery",), ("postings", "analytics"), "with the next commit of the flow, 0.5 s after the answer",
        objectives=_ALL,
    ),
    EXCEPTIONS: StreamTerms(
        "What waits for a person, one record for each cause.",
        "business_exception", _PRODUCTION, ("exception_id",), ("exception_id",),
        ("postings", "delivery"), ("analytics", PEOPLE), _DECIDED, newest_counts=True,
    ),
    UNPOSTED: StreamTerms(
        "What is not posted, or not yet, and why.",
        "unposted", _ERP, ("cause",), ("cause", "kind"),
        ("postings",), ("analytics",), _DECIDED, newest_counts=True,
    ),
    USAGE: StreamTerms(
        "Of each component of an order, what was planned and issued.",
        "component_usage", _ERP, ("erp", "plant", "order", "item", "material", "unit"),
        ("erp", "plant", "order", "item", "material", "unit"),
        ("postings",), ("analytics",), _DECIDED, newest_counts=True,
    ),
    COMMANDS: StreamTerms(
        "What the quality and the warehouse system are asked to do.",
        "command", "quality management", ("lot or order",), ("command_id",),
        ("postings",), (), _DECIDED,
    ),
    ACTIONS: StreamTerms(
        "What people decide about exceptions and postings.",
        "action", _PRODUCTION, ("exception_id or posting_id",), ("action_id",),
        (PEOPLE,), ("postings", "delivery"), _AT_ONCE, Form.DOCUMENT,
    ),
}  # fmt: skip
"""By the stream's name; the posting queues by what their names begin with."""


FOR_EVER: Final = frozenset(stream for stream, terms in TERMS.items() if terms.for_ever)
"""Streams of which nothing is forgotten."""


def terms_of(stream: str) -> StreamTerms:
    """Return the terms of a stream."""
    return TERMS[POSTINGS if stream.startswith(POSTINGS) else stream]
