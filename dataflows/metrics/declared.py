"""The metrics there are, by the names under which Prometheus knows them; docs/metrics.md says what to do about each.

Base units (seconds, bytes), counters end in ``_total``. All labels have few values: flows, shards, plants and ERPs of
the settings, streams of the log, and codes and kinds that the contracts list.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CALL_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HOP_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)


class Declared:
    """Every metric of a flow's process, in one registry; those that do not concern the flow have no series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        shard = ("flow", "shard")

        self.build_info = gauge("plantsync_build_info", "1, with the release that runs.", ("flow", "version"))
        self.records_read = counter("plantsync_records_read", "Records read since the process started.", shard)
        self.lag_records = gauge("plantsync_lag_records", "Records that have not been read.", shard)
        self.lag_bytes = gauge("plantsync_lag_bytes", "Bytes of a drop folder that have not been read.", shard)
        self.lag = gauge("plantsync_lag_seconds", "Age of the oldest record that has not been read.", shard)
        self.source_away = gauge("plantsync_source_away", "1 while the source cannot be read, else 0.", shard)
        self.source_failures = counter("plantsync_source_failures", "Times the source could not be read.", shard)
        self.restarts = counter("plantsync_restarts", "Runs that an error ended and that began anew.", ("flow",))
        self.back_pressure = gauge("plantsync_back_pressure", "1 while no more is read for want of room.", shard)

        self.commits = counter("plantsync_commits", "Commits that are durable.", shard)
        self.commit_duration = histogram(
            "plantsync_commit_duration_seconds", "Time that storing a commit took.", ("flow",), buckets=COMMIT_S
        )
        self.commit_bytes = counter("plantsync_commit_bytes", "Bytes of records and state that commits stored.", shard)
        self.last_commit = gauge("plantsync_last_commit_timestamp_seconds", "Instant of the last commit.", shard)
        self.state = gauge("plantsync_state_bytes", "Size of the state, of what this process has seen of it.", shard)
        self.written = counter(
            "plantsync_records_written", "Records committed, by stream, or rows by table.", ("flow", "stream")
        )
        self.dead_letters = counter("plantsync_dead_letters", "Records set aside, by fault code.", ("flow", "code"))
        self.dead_again = counter("plantsync_dead_letters_again", "Of these, such as were replayed before.", ("flow",))
        self.gaps_declared = counter("plantsync_gaps", "Gaps declared: numbers that are missing.", ("flow",))
        self.group_offsets = counter(
            "plantsync_group_offsets", "Times the offsets were told to the consumer group.", ("flow", "outcome")
        )

        plant = ("shard", "plant")
        self.rows = counter(
            "plantsync_rows", "Records by what became of them, since the shard's first.", (*plant, "fate")
        )
        self.rows_held = gauge("plantsync_rows_held", "Events that wait for smaller numbers.", plant)
        self.rows_open = gauge("plantsync_rows_open", "Events in confirmations that are not closed.", plant)
        self.missing = counter("plantsync_missing_numbers", "Numbers in declared gaps, since the shard's first.", plant)

        self.hop = histogram(
            "plantsync_hop_latency_seconds", "Time of a hop of what was made.", ("flow", "plant", "hop"), buckets=HOP_S
        )

        self.queue = gauge("plantsync_queue_depth", "Postings that wait, by what for.", (*shard, "state"))
        self.queue_oldest = gauge(
            "plantsync_queue_oldest_seconds", "Age of the oldest that waits; 0: none does.", shard
        )
        self.exceptions = gauge("plantsync_exceptions_open", "Exceptions that are open.", shard)

        erp = ("erp",)
        self.erp_calls = counter("plantsync_erp_calls", "Calls, by what came of them.", ("erp", "call", "outcome"))
        self.erp_call_duration = histogram(
            "plantsync_erp_call_duration_seconds", "Time from a call to its answer.", ("erp", "call"), buckets=CALL_S
        )
        self.erp_requests = counter("plantsync_erp_requests", "Requests that left; a call may take several.", erp)
        self.erp_held_back = counter("plantsync_erp_requests_held_back", "Requests that the rate held back.", erp)
        self.erp_rate = gauge("plantsync_erp_requests_per_second_max", "Requests a second that may leave.", erp)
        self.erp_in_flight = gauge("plantsync_erp_calls_in_flight", "Calls under way.", erp)
        self.erp_away = gauge("plantsync_erp_circuit_open", "1 while the ERP is left alone, else 0.", erp)
        self.receipts = counter("plantsync_erp_receipts", "Receipts, by what became of the posting.", ("erp", "status"))
        self.found = counter("plantsync_erp_documents_found", "Documents found by asking after a lost answer.", erp)
        self.repeats = counter("plantsync_erp_repeats", "Times a posting was sent again, as its receipt says.", erp)

        self.spans = counter("plantsync_trace_spans", "Spans for the collector, by what became of them.", ("fate",))
