"""The hops of a posting as spans of OpenTelemetry, from the instants that its receipt carries (M34, M38).

Law: the spans of a receipt are a function of it. A posting's trace is that of its correlation id, or its own where it
has none; the last receipt that settles it has the names that the ERP was told (``parent_of``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from canonical.contracts import ReceiptStatus
from canonical.contracts.posting import Posting
from canonical.trace import span_id, trace_id, traceparent

ENQUEUED: Final = "occurred-enqueued"
SENT: Final = "enqueued-sent"
ANSWERED: Final = "sent-answered"
MOVED: Final = "answered-moved"
TOLD: Final = ("posting_id", "kind", "erp", "lane", "plant", "order", "document", "status", "code", "correlation_id")
FAILED: Final = frozenset({ReceiptStatus.REJECTED.value, ReceiptStatus.MOVEMENT_FAILED.value})
AFTER: Final = frozenset({ReceiptStatus.MOVED.value, ReceiptStatus.MOVEMENT_FAILED.value})


def parent_of(posting: Posting) -> str:
    """Return what an ERP is told of the trace that a call is part of: a ``traceparent``."""
    name = str(posting.posting_id)
    return traceparent(trace_id(posting.correlation_id or name), span_id(name, ANSWERED))


def spans_of(receipt: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the spans of a receipt: of the posting as a whole, and of each hop."""
    name, status = receipt["posting_id"], receipt["status"]
    trace = trace_id(receipt["correlation_id"] or name)
    subject = name if status == ReceiptStatus.ACCEPTED.value else f"{name}/{status}/{receipt['answered_us']}"
    if status in AFTER:
        root, hops = span_id(name, ""), [(MOVED, receipt["sent_us"], receipt["answered_us"])]
    else:
        root = span_id(subject, "")
        yield _span(trace, root, b"", f"posting {receipt['kind']}", receipt, receipt["occurred_us"])
        sent_us = receipt["first_sent_us"]
        hops = [(ENQUEUED, receipt["occurred_us"], receipt["enqueued_us"])]
        if sent_us:  # What is withdrawn may never have been sent.
            hops += [(SENT, receipt["enqueued_us"], sent_us), (ANSWERED, sent_us, receipt["answered_us"])]
    for hop, began_us, ended_us in hops:
        span = _span(trace, span_id(subject, hop), root, hop, receipt, began_us, ended_us)
        span.kind = Span.SPAN_KIND_CLIENT if hop == ANSWERED else Span.SPAN_KIND_INTERNAL
        if hop == ANSWERED and receipt["sent_us"] != began_us:
            span.events.add(name="sent again", time_unix_nano=receipt["sent_us"] * 1000)
        if hop == ANSWERED and receipt["committed_us"] is not None:
            span.events.add(name="committed, by the ERP's clock", time_unix_nano=max(receipt["committed_us"], 0) * 1000)
        yield span


def _span(
    trace: bytes,
    name: bytes,
    parent: bytes,
    title: str,
    receipt: Mapping[str, Any],
    began_us: int,
    ended_us: int | None = None,
) -> Span:
    ended_us = receipt["answered_us"] if ended_us is None else ended_us
    # A machine's clock may be ahead of ours, and none lies before 1970 here.
    began_us = max(min(began_us, ended_us), 0)
    failed = receipt["status"] in FAILED
    status = Status(code=Status.STATUS_CODE_ERROR, message=receipt["message"]) if failed else Status()
    told = [(f"plantsync.{key}", AnyValue(string_value=receipt[key])) for key in TOLD if receipt[key]]
    told.append(("plantsync.attempts", AnyValue(int_value=receipt["attempts"])))
    told.append(("plantsync.found", AnyValue(bool_value=receipt["found"])))
    return Span(
        trace_id=trace,
        span_id=name,
        parent_span_id=parent,
        name=title,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=began_us * 1000,
        end_time_unix_nano=max(ended_us, 0) * 1000,
        attributes=[KeyValue(key=key, value=value) for key, value in told],
        status=status,
    )
