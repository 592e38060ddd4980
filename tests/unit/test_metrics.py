"""Metrics: their names, their page, what a commit changes, how many series there can be, and how they are served."""

from __future__ import annotations

import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from canonical.contracts.dead_letter import DeadLetter, Header
from canonical.contracts.fault import Fault, FaultCode
from dataflows import settings
from dataflows.metrics import bounded, endpoint
from dataflows.metrics.bounded import Bounded
from dataflows.metrics.declared import Declared
from dataflows.metrics.flow_metrics import FlowMetrics
from dataflows.processors.delivery.delivery import Delivery
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.processors.delivery.reply import Reply, ReplyKind
from dataflows.settings.metrics import Address, MetricsSection
from dataflows.watch import Committed
from sinks.commit_log import Record
from sinks.dead_letters import dead_letter_record
from sinks.erp.pace import Pace
from tests.certificates import self_signed
from tests.conformance.erp_places import posting
from tests.scrape import Samples, samples

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
FILE = 'landing = "l"\nplants = ["shipped:plant_a"]\n[metrics]\n'


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def declared() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Kind, labels and help of each metric by its name as it is scraped."""
    found = {}
    for metric in vars(Declared(CollectorRegistry())).values():
        name = metric._name + ("_total" if isinstance(metric, Counter) else "")
        found[name] = (KINDS[type(metric)], metric._labelnames, metric._documentation)
    return found


def values(registry: CollectorRegistry) -> Samples:
    """Samples by name and label values, as the library reads its own text."""
    return samples(generate_latest(registry).decode())


def test_the_page_tells_every_metric_and_no_other():
    rows = re.findall(
        r"^\| `(plantsync_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \| [^|]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), words) for name, kind, labels, words in rows}

    assert told == declared()


@pytest.mark.parametrize("name", sorted(declared()))
def test_a_name_follows_the_conventions(name):
    kind, labels, text = declared()[name]

    assert re.fullmatch(r"plantsync(_[a-z]+)+", name)
    assert (kind == "counter") == name.endswith("_total")
    assert not re.search(r"_(ms|us|milliseconds|microseconds|kb|mb|percent)(_|$)", name)
    assert set(labels) <= {"flow", "shard", "plant", "erp", "code", "stream", "version", "fate", "hop", "state"} | {
        "call", "outcome", "status",
    }  # fmt: skip
    assert text.endswith(".")


def test_a_commit_is_counted_once_it_is_durable(registry, letter):
    metrics = FlowMetrics("confirmations", registry)
    letters = [dead_letter_record(letter(code, attempts), "confirmations", "s") for code, attempts in LETTERS]
    records = [Record("confirmations", b"k", b"12345"), Record("gaps", b"k", b"1"), *letters]
    metrics.committed(Committed("s", "1", 1_000_000, 1_250_000, {"a": b"12345678", "b": b"1"}, records))
    metrics.committed(Committed("s", "2", 1_500_000, 1_500_000, {"a": b"12", "b": b""}))
    metrics.committed(Committed("s", "3", 2_000_000, 2_000_000, {"b": b""}))
    told = values(registry)

    at = ("confirmations", "s")
    assert told["plantsync_commits_total", *at] == 3
    assert told["plantsync_commit_duration_seconds_sum", "confirmations"] == 0.25
    assert told["plantsync_last_commit_timestamp_seconds", *at] == 2
    assert told["plantsync_state_bytes", *at] == 2  # "a" is shorter now, and "b" is gone
    sizes = sum(len(record.value) for record in records)
    assert told["plantsync_commit_bytes_total", *at] == sizes + 9 + 2
    assert told["plantsync_records_written_total", "confirmations", "dead-letters"] == 3
    assert told["plantsync_gaps_total", "confirmations"] == 1
    assert told["plantsync_dead_letters_total", "MALFORMED", "confirmations"] == 2
    assert told["plantsync_dead_letters_total", "OVERSIZE", "confirmations"] == 1
    assert told["plantsync_dead_letters_again_total", "confirmations"] == 1


LETTERS = ((FaultCode.MALFORMED, 1), (FaultCode.MALFORMED, 3), (FaultCode.OVERSIZE, 1))


@pytest.fixture
def letter():
    def made(code: FaultCode, attempts: int) -> DeadLetter:
        return DeadLetter(
            topic="t", partition=0, key=None, value=b"x", headers=(Header(name="own", value=b"1"),), stage="decode",
            fault=Fault(code=code, detail="d", offset=1), first_failed_us=1, failed_us=1, attempts=attempts,
        )  # fmt: skip

    return made


def test_an_erp_that_is_left_alone_is_shown_and_requests_are_counted_over_runs(registry):
    metrics = FlowMetrics("delivery", registry)
    delivery = Delivery("E", DeliveryPolicy(), lambda: 0.5, {}, 0)
    pace, again = Pace(1000.0, 1, lambda: 10**9), Pace(1.0, 1, lambda: 0)
    delivery.enqueue(posting("WO-1", erp="E"), 0, 0)
    token, _ = delivery.commit(0)
    delivery.committed(token)
    (call,) = delivery.calls(1_000_000)
    metrics.delivering("erp:E", delivery, 0, pace, 1_000_000)
    at = ("delivery", "erp:E")
    told = values(registry)
    assert told["plantsync_erp_calls_in_flight", "E"] == told["plantsync_back_pressure", *at] == 1
    assert (told["plantsync_queue_depth", *at, "waiting"], told["plantsync_queue_oldest_seconds", *at]) == (1, 1)
    assert told["plantsync_erp_circuit_open", "E"] == 0

    refused = (Reply(ReplyKind.UNAUTHORISED, code="HTTP/401"),)
    delivery.replied(call, refused, 1_100_000)
    metrics.answered("E", call, refused, 100_000)
    again.held_back, again.left = 3, 2
    metrics.delivering("erp:E", delivery, 10, again, 1_200_000)  # too soon: nothing is looked at
    assert values(registry)["plantsync_erp_circuit_open", "E"] == 0
    for now_us in (3_000_000, 5_000_000):
        metrics.delivering("erp:E", delivery, 10, again, now_us)
    told = values(registry)
    assert (told["plantsync_erp_circuit_open", "E"], told["plantsync_back_pressure", *at]) == (1, 0)
    assert told["plantsync_erp_calls_total", "send", "E", "unauthorised"] == 1
    assert told["plantsync_erp_call_duration_seconds_sum", "send", "E"] == 0.1
    assert (told["plantsync_erp_requests_total", "E"], told["plantsync_erp_requests_held_back_total", "E"]) == (2, 3)
    assert told["plantsync_exceptions_open", *at] == 1


def test_what_records_name_makes_a_bounded_number_of_series():
    label = Bounded()

    known = {label(f"plant {i}") for i in range(10_000)}
    assert len(known) == bounded.LABELS_MAX + 1
    assert label("plant 7") == "plant 7"
    assert label("plant 9999") == bounded.OTHER


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('listen = { confirmation = "127.0.0.1:1" }', "metrics.listen.confirmation"),
        ('listen = { confirmations = "9401" }', "'9401' is not host:port"),
        ('listen = { confirmations = ":9401" }', "':9401' names no host"),
        ('listen = { confirmations = "localhost:70000" }', "is not host:port"),
        ('listen = { delivery = "0.0.0.0:9401" }', "would be open to other machines, without TLS"),
        ('listen = { delivery = "[::]:9401" }', "would be open to other machines, without TLS"),
        ('cert_file = "c.pem"', "one needs the other"),
        ('client_ca_file = "c.pem"', "client_ca_file needs TLS"),
    ],
)
def test_a_problem_of_the_settings_is_told(tmp_path, text, problem):
    path = tmp_path / "plantsync.toml"
    path.write_text(FILE + text)

    assert problem in "\n".join(map(str, settings.problems(path)))


@pytest.mark.parametrize(
    "text",
    [
        'listen = { confirmations = "localhost:0", delivery = "[::1]:9402" }',
        'listen = { analytics = "0.0.0.0:9401" }\nunencrypted = true',
        'listen = { analytics = "0.0.0.0:9401" }\ncert_file = "c.pem"\nkey_file = "k.pem"',
    ],
)
def test_what_is_safe_or_wanted_is_taken(tmp_path, text):
    path = tmp_path / "plantsync.toml"
    path.write_text(FILE + text)

    assert settings.problems(path) == []


def test_each_process_of_a_flow_has_a_port_of_its_own():
    section = MetricsSection(listen={"confirmations": "127.0.0.1:9400", "delivery": "[::1]:0"})
    alone = MetricsSection(listen={"confirmations": "127.0.0.1:9400"}, port_per_share=False)

    assert str(section.address("confirmations", 3)) == "127.0.0.1:9403"
    assert str(alone.address("confirmations", 3)) == "127.0.0.1:9400"
    assert str(section.address("delivery", 3)) == "[::1]:0"
    assert section.address("postings", 0) is None


def test_a_port_that_is_taken_is_tried_again_and_the_flow_goes_on(registry, monkeypatch, caplog):
    monkeypatch.setattr(endpoint, "TRY_AGAIN_S", 0.05)
    FlowMetrics("analytics", registry)
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with endpoint.Endpoint("analytics", registry, MetricsSection(), Address("127.0.0.1", port)):
        assert "The flow runs without them" in caplog.text
        taken.close()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with closing(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)) as answer:
                    text = answer.read().decode()
                break
            except OSError:
                time.sleep(0.05)
        assert 'plantsync_build_info{flow="analytics"' in text
        assert "process_resident_memory_bytes" in text
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)


def test_over_tls_who_has_no_certificate_sees_nothing(registry, tmp_path, caplog):
    caplog.set_level("INFO")
    cert, key = self_signed(tmp_path)
    section = MetricsSection.model_construct(cert_file=cert, key_file=key, client_ca_file=cert)
    with endpoint.Endpoint("analytics", registry, section, Address("127.0.0.1", 0)):
        (url,) = re.findall(r"https://\S+", caplog.text)
        context = ssl.create_default_context(cafile=str(cert))
        with pytest.raises((ssl.SSLError, urllib.error.URLError, OSError)):
            urllib.request.urlopen(url, context=context, timeout=5).read()
        context.load_cert_chain(cert, key)
        with closing(urllib.request.urlopen(url, context=context, timeout=5)) as answer:
            assert b"process_cpu_seconds_total" in answer.read()


def test_a_certificate_that_cannot_be_read_is_an_error_of_the_settings(registry, tmp_path):
    section = MetricsSection.model_construct(cert_file=tmp_path / "no.pem", key_file=tmp_path / "no.pem")

    with (
        pytest.raises(endpoint.MetricsNotServed, match="correct the section metrics"),
        endpoint.Endpoint("analytics", registry, section, Address("127.0.0.1", 0)),
    ):
        pass
