"""Spans to a collector of OpenTelemetry: OTLP over HTTP, in the background.

Laws: who hands over spans never waits, whatever the collector does. At most ``queue_max`` spans wait; what is more is
dropped and counted. A batch that the collector cannot take now is sent again, one that it refuses is not.

Source: OTLP 1.9 (opentelemetry.io), sections OTLP/HTTP request, response and throttling.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from threading import Condition, Thread
from typing import Any, Final

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from sinks.otlp_collector import Collector

LOGGER: Final = logging.getLogger(__name__)
AGAIN: Final = frozenset({429, 502, 503, 504})
BACKOFF_MAX_S: Final = 30.0


class Fate(StrEnum):
    """What became of a span."""

    SENT = "sent"
    DROPPED = "dropped"
    """There was no room, or no time at the end."""
    REFUSED = "refused"
    """The collector would not take it."""


class SpanExport:
    """Sends spans to a collector.

    Args: resource: what tells of itself, by the names of OpenTelemetry. told: told what became of so many spans.
    """

    def __init__(self, to: Collector, resource: Mapping[str, str], told: Callable[[Fate, int], None]) -> None:
        self._to, self._told = to, told
        self._resource = Resource(
            attributes=[KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in resource.items()]
        )
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(to.ca_file) if to.ca_file else True
        self._waiting: deque[Span] = deque()
        self._changed = Condition()
        self._closed = False
        self._failures = 0
        self._thread = Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def put(self, spans: Iterable[Span]) -> None:
        """Have spans sent, as far as there is room."""
        spans = list(spans)
        with self._changed:
            room = max(self._to.queue_max - len(self._waiting), 0)
            self._waiting += spans[:room]
            if len(self._waiting) >= self._to.batch_max:
                self._changed.notify_all()
        if len(spans) > room:
            self._told(Fate.DROPPED, len(spans) - room)

    def close(self) -> None:
        """Try once more to send what waits, for no longer than a request may take."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(self._to.timeout_s + 1)

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                wait_s = self._to.interval_s if not self._failures else min(2.0**self._failures, BACKOFF_MAX_S)
                full = len(self._waiting) >= self._to.batch_max and not self._failures
                if not (full or self._closed):
                    self._changed.wait(wait_s)
                closed = self._closed
            while self._waiting and self._send():
                pass
        if self._waiting:
            self._told(Fate.DROPPED, len(self._waiting))
        self._session.close()

    def _send(self) -> bool:
        """Send a batch of what waits; return whether the collector has answered for good."""
        with self._changed:
            batch = [self._waiting[i] for i in range(min(self._to.batch_max, len(self._waiting)))]
        refused, problem = self._refused(batch)
        if refused is None:
            if not self._failures:
                LOGGER.warning("the collector of traces at %s is away: %s. Trying on.", self._to.endpoint, problem)
            self._failures += 1
            return False
        if problem:
            LOGGER.warning("the collector at %s refused %d spans: %s", self._to.endpoint, refused, problem)
        self._failures = 0
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
        for fate, count in ((Fate.REFUSED, refused), (Fate.SENT, len(batch) - refused)):
            if count:
                self._told(fate, count)
        return True

    def _refused(self, batch: list[Span]) -> tuple[int | None, str]:
        """Return how many of a batch the collector refused, None where it is to be sent again; and why."""
        scope = ScopeSpans(scope=InstrumentationScope(name="plantsync"), spans=batch)
        request = ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(resource=self._resource, scope_spans=[scope])]
        )
        headers = {**self._to.headers, "Content-Type": "application/x-protobuf"}
        try:
            answer = self._session.post(
                self._to.endpoint,
                data=request.SerializeToString(),
                headers=headers,
                timeout=self._to.timeout_s,
                allow_redirects=False,
            )
        except OSError as error:  # of which RequestException is one
            return None, type(error).__name__
        if answer.status_code in AGAIN:
            return None, f"HTTP {answer.status_code}"
        if not 200 <= answer.status_code < 300:
            return len(batch), f"HTTP {answer.status_code}"
        partial: Any = ExportTraceServiceResponse.FromString(answer.content).partial_success
        return min(partial.rejected_spans, len(batch)), partial.error_message
