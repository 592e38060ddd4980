"""Traces: the spans of a receipt, and a collector that is away, slow, or does not want them (M34, M38)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from canonical.contracts import Receipt
from dataflows import settings
from dataflows.spans import parent_of, spans_of
from sinks import otlp_export
from sinks.otlp_collector import Collector
from sinks.otlp_export import SpanExport
from tests.collector import collecting
from tests.conformance.erp_places import posting

FILE = 'landing = "l"\nplants = ["shipped:plant_a"]\n[traces]\n'
MADE = posting("WO-1", correlation_id="dispatch-7")
SECOND = 1_000_000


def receipt(status: str = "accepted", **others: object) -> dict:
    values = {
        "posting_id": MADE.posting_id, "status": status, "kind": "confirmation", "erp": "s4", "lane": "standard",
        "plant": "north", "order": "WO-1", "document": "0001/1", "attempts": 2, "occurred_us": 1 * SECOND,
        "enqueued_us": 3 * SECOND, "first_sent_us": 4 * SECOND, "sent_us": 6 * SECOND, "answered_us": 7 * SECOND,
        "committed_us": 6 * SECOND, "correlation_id": "dispatch-7", **others,
    }  # fmt: skip
    return Receipt.model_validate(values).model_dump(mode="json")


def test_the_hops_of_an_accepted_posting_are_children_of_one_span_and_tile_it():
    root, *hops = spans_of(receipt())

    assert (root.name, root.parent_span_id) == ("posting confirmation", b"")
    assert [hop.name for hop in hops] == ["occurred-enqueued", "enqueued-sent", "sent-answered"]
    assert {hop.parent_span_id for hop in hops} == {root.span_id}
    assert {span.trace_id for span in (root, *hops)} == {root.trace_id}
    assert len({span.span_id for span in (root, *hops)}) == 4
    ends = [root.start_time_unix_nano, *(hop.end_time_unix_nano for hop in hops)]
    assert [hop.start_time_unix_nano for hop in hops] == ends[:-1]
    assert ends == [s * 10**9 for s in (1, 3, 4, 7)]
    assert root.end_time_unix_nano == 7 * 10**9
    assert [(e.name, e.time_unix_nano) for e in hops[2].events] == [
        ("sent again", 6 * 10**9),
        ("committed, by the ERP's clock", 6 * 10**9),
    ]
    told = {each.key: each.value for each in root.attributes}
    assert told["plantsync.document"].string_value == "0001/1"
    assert told["plantsync.attempts"].int_value == 2
    # The ERP is told the very span that its answer ends, before there is a receipt.
    assert parent_of(MADE) == f"00-{root.trace_id.hex()}-{hops[2].span_id.hex()}-01"
    assert list(spans_of(receipt())) == [root, *hops]


def test_a_trace_is_a_business_transaction_and_without_one_a_posting():
    other = posting("WO-1", correlation_id="dispatch-7")
    alone = posting("WO-1")

    assert parent_of(other)[3:35] == parent_of(MADE)[3:35]
    assert parent_of(other) != parent_of(MADE)
    assert parent_of(alone)[3:35] != parent_of(MADE)[3:35]


def test_what_is_refused_is_an_error_of_its_own_and_what_was_never_sent_has_no_hops_there():
    refused = list(spans_of(receipt("rejected", message="closed", code="M7/021")))
    withdrawn = list(spans_of(receipt("withdrawn", first_sent_us=0, sent_us=0, committed_us=None)))
    (moved,) = spans_of(receipt("movement-failed", message="no stock"))
    accepted = list(spans_of(receipt()))

    assert refused[0].status == Status(code=Status.STATUS_CODE_ERROR, message="closed")
    assert not {span.span_id for span in refused} & {span.span_id for span in accepted}
    assert [span.name for span in withdrawn] == ["posting confirmation", "occurred-enqueued"]
    assert (moved.name, moved.parent_span_id, moved.status.message) == (
        "answered-moved",
        accepted[0].span_id,
        "no stock",
    )


def test_a_clock_that_is_ahead_makes_no_span_that_ends_before_it_begins():
    for span in spans_of(receipt(occurred_us=90 * SECOND)):
        assert 0 <= span.start_time_unix_nano <= span.end_time_unix_nano


def spans(count: int) -> list[Span]:
    return [Span(name=str(i), trace_id=b"t" * 16, span_id=i.to_bytes(8, "big")) for i in range(count)]


class Told(Counter):
    def __call__(self, fate: str, count: int) -> None:
        self[str(fate)] += count


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_spans_arrive_in_batches_with_what_they_are_of(caplog):
    told = Told()
    with collecting() as received:
        headers = {"Authorization": "Bearer geheim"}
        export = SpanExport(Collector(received.url, headers, batch_max=4), {"service.name": "plantsync"}, told)
        export.put(spans(10))
        export.close()
        assert [span.name for span in received.spans] == [str(i) for i in range(10)]
        assert len(received.requests) == 3
        resource = received.requests[0].resource_spans[0].resource
        assert [(a.key, a.value.string_value) for a in resource.attributes] == [("service.name", "plantsync")]
        assert received.headers[0]["authorization"] == "Bearer geheim"
        assert received.headers[0]["content-type"] == "application/x-protobuf"
    assert told == {"sent": 10}
    assert "geheim" not in repr(export._to) + caplog.text


def test_what_the_collector_cannot_take_now_is_sent_again_and_what_it_refuses_is_not(monkeypatch):
    monkeypatch.setattr(otlp_export, "BACKOFF_MAX_S", 0.02)
    told = Told()
    with collecting() as received:
        received.statuses = [503, 429, 400]
        export = SpanExport(Collector(received.url, batch_max=2, interval_s=0.02), {}, told)
        export.put(spans(2))
        until(lambda: told["refused"] == 2)
        partial = ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
        received.body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
        export.put(spans(3))
        export.close()
    assert told == {"refused": 2 + 1 + 1, "sent": 1 + 0}


def test_a_collector_that_is_away_holds_nobody_up_and_what_has_no_room_is_counted(caplog):
    told = Told()
    export = SpanExport(
        Collector("http://127.0.0.1:1/v1/traces", queue_max=100, interval_s=0.01, timeout_s=1), {}, told
    )
    began = time.monotonic()
    for _ in range(30):
        export.put(spans(10))
    assert time.monotonic() - began < 1
    assert told == {"dropped": 200}
    until(lambda: "is away" in caplog.text)
    export.close()
    assert told == {"dropped": 300}
    assert caplog.text.count("is away") == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('endpoint = "collector:4318"', "is no URL"),
        ('endpoint = "http://collector:4318/v1/traces"', "would go to collector without TLS"),
        ('endpoint = "https://c/v1/traces"\nheaders = { k = { env = "NOT_SET" } }', "NOT_SET is not set"),
    ],
)
def test_a_problem_of_the_settings_is_told(tmp_path, text, problem):
    path = tmp_path / "plantsync.toml"
    path.write_text(FILE + text)

    assert problem in "\n".join(map(str, settings.problems(path)))


def test_headers_are_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACES_KEY", "geheim")
    path = tmp_path / "plantsync.toml"
    path.write_text(FILE + 'endpoint = "https://c/v1/traces"\nheaders = { k = { env = "TRACES_KEY" }, l = "geheim" }')
    loaded = settings.load(path)

    assert loaded.traces.collector().headers == {"k": "geheim", "l": "geheim"}
    assert "geheim" not in repr(loaded) + loaded.model_dump_json() + repr(loaded.traces.collector())
