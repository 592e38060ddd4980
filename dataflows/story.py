"""The story of an order, a posting or a document, from the streams of the log (M26, M34, M38).

Law: what is told is what the log holds: each posting with the confirmations and events it accounts for, each hop with
its instant, each receipt and each exception; what of each component was planned and issued; and the confirmations of
the order that no posting accounts for, each with how it stands and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from canonical.contracts import PostingKind, UnpostedState
from canonical.receipt_wire import recorded_us
from dataflows.settings import Settings
from dataflows.stored_records import stored_records
from sinks.commit_log import PlantsyncError
from sinks.streams import ACTIONS, CONFIRMATIONS, EVENTS, EXCEPTIONS, RECEIPTS, UNPOSTED, USAGE, postings

EVENT_ID: Final = "ce_id"
HOPS: Final = ("occurred", "recorded", "enqueued", "first_sent", "sent", "committed", "answered")
"""Instants of a posting: last event; confirmation in the log; in the queue; at the ERP; in the ERP; known here."""
Row = dict[str, Any]


class NothingKnown(PlantsyncError):
    """The log holds nothing of that name."""


@dataclass(slots=True)
class Story:
    """What the log holds; ``unposted`` are confirmations that no posting accounts for, ``usage`` is of components.

    Those that the flow ``postings`` has told of have ``state`` and, where there are, ``why`` and ``actor``.
    """

    subject: str
    postings: list[Row] = field(default_factory=list)
    unposted: list[Row] = field(default_factory=list)
    exceptions: list[Row] = field(default_factory=list)
    actions: list[Row] = field(default_factory=list)
    usage: list[Row] = field(default_factory=list)

    def told(self) -> Row:
        """Return it for scripts."""
        return {
            "subject": self.subject,
            "postings": self.postings,
            "unposted": self.unposted,
            "exceptions": self.exceptions,
            "actions": self.actions,
            "usage": self.usage,
        }


def story(settings: Settings, subject: str, plant: str = "") -> Story:
    """Read the streams and put together what concerns a posting, a confirmation, a document or an order.

    Args: subject: an id, a document as receipts name it or its first part, or an order. plant: only this one.
    Raises: NothingKnown; CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    receipts = [row for row in _rows(settings, RECEIPTS) if _of(row, plant)]
    asked = {row["posting_id"] for row in receipts if subject in _names(row)} | {subject}
    own = [
        row
        for erp in sorted(settings.erps)
        for row in _rows(settings, postings(erp))
        if _of(row, plant) and (row["posting_id"] in asked or row["order"] == subject or subject in row["causes"])
    ]
    ids = {row["posting_id"] for row in own}
    causes = {cause for row in own for cause in row["causes"]}
    confirmations = {
        row["posting_id"]: row
        for row in _rows(settings, CONFIRMATIONS)
        if _of(row, plant) and (row["posting_id"] in causes or subject in (row["posting_id"], row["order"]))
    }
    events = {row["event_id"]: row for row in _rows(settings, EVENTS) if row["event_id"] in causes}
    orders = {(row["plant"], row["order"]) for row in [*own, *confirmations.values()] if row["order"]}
    concerned = ids | causes | confirmations.keys() | {subject}
    exceptions = {
        row["exception_id"]: row
        for row in _rows(settings, EXCEPTIONS)
        if _of(row, plant)
        and (row["posting_id"] in concerned or (row["plant"], row["order"]) in orders or row["order"] == subject)
    }
    actions = [
        row for row in _rows(settings, ACTIONS) if row["exception_id"] in exceptions or row["posting_id"] in concerned
    ]
    usage = {
        tuple(row[name] for name in ("erp", "plant", "order", "item", "material", "unit")): row
        for row in _rows(settings, USAGE)
        if (row["plant"], row["order"]) in orders
    }
    found = Story(subject, exceptions=list(exceptions.values()), actions=actions, usage=list(usage.values()))
    for row in own:
        heard = [each for each in receipts if each["posting_id"] == row["posting_id"]]
        of = [confirmations[cause] for cause in row["causes"] if cause in confirmations]
        seen = [events[cause] for cause in row["causes"] if cause in events]
        found.postings.append(_told(row, heard, of, seen))
    words = {
        row["cause"]: {name: row[name] for name in ("state", "why", "actor") if row[name]}
        for row in _rows(settings, UNPOSTED)
        if row["kind"] == PostingKind.CONFIRMATION and row["cause"] in confirmations
    }
    # What ends the operation of a completion that does not count cites it, too.
    not_counted = {key for key, word in words.items() if word["state"] == UnpostedState.NOT_COUNTED}
    found.unposted = [
        _cut(row) | words.get(key, {}) for key, row in confirmations.items() if key not in causes or key in not_counted
    ]
    if not (found.postings or found.unposted or found.exceptions):
        raise NothingKnown(
            f"the log holds no posting, confirmation, document or order {subject}"
            f"{f' of plant {plant}' if plant else ''}; name it as receipts or the plant do"
        )
    return found


def _rows(settings: Settings, stream: str) -> Iterator[Row]:
    """Yield the records of a stream as they are, with the instant at which each was written, and an event's id."""
    for _, stored in stored_records(settings, stream):
        row: Row = orjson.loads(stored.value)
        row["recorded_us"] = recorded_us(stored.headers, 0)
        if stream == EVENTS:
            names = [value for name, value in stored.headers if name == EVENT_ID]
            row["event_id"] = names[0].decode() if names else ""
        yield row


def _of(row: Row, plant: str) -> bool:
    return not plant or row["plant"] == plant


def _names(receipt: Row) -> set[str]:
    """Return what a receipt may be asked for by."""
    document: str = receipt["document"]
    return {document, document.partition("/")[0], receipt["posting_id"]} - {""}


def _told(row: Row, receipts: list[Row], confirmations: list[Row], events: list[Row]) -> Row:
    last = receipts[-1] if receipts else {}
    hops = {
        "occurred": row["end_us"],
        "recorded": max((each["recorded_us"] for each in [*confirmations, *events]), default=0),
        "enqueued": last.get("enqueued_us") or row["recorded_us"],
        "first_sent": last.get("first_sent_us"),
        "sent": last.get("sent_us"),
        "committed": next((r["committed_us"] for r in receipts if r["committed_us"] is not None), None),
        "answered": last.get("answered_us"),
    }
    whole = {name: value for name, value in row.items() if name not in ("causes", "recorded_us")}
    return {
        **whole,
        "status": last.get("status", "pending"),
        "document": next((r["document"] for r in receipts if r["document"]), ""),
        "attempts": last.get("attempts", 0),
        "hops_us": {name: hops[name] or None for name in HOPS},
        "receipts": receipts,
        "confirmations": [_cut(each) for each in confirmations],
        "events": events,
        "causes": row["causes"],
    }


def _cut(row: Row) -> Row:
    """Return a confirmation without what says nothing."""
    return {name: value for name, value in row.items() if value not in ("", 0, None, False)} | {
        "first_seq": row["first_seq"],
        "last_seq": row["last_seq"],
    }
