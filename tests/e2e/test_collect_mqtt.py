"""A real mosquitto: Sparkplug edge nodes and plain topics, with kills of edge node, broker, link and us (A17, M41)."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import closing

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from dataflows.collectors.mqtt import MqttTopics
from dataflows.collectors.mqtt_settings import MqttCollector, SparkplugCollector
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.signals import counts
from dataflows.collectors.sparkplug import SparkplugNodes
from dataflows.sources.errors import SourceUnavailable
from tests.certificates import self_signed
from tests.collect_site import CollectSite, until
from tests.fault_proxy import NONE, Fault, FaultProxy
from tests.peers.debian import needs
from tests.peers.edge_node import EdgeNode
from tests.peers.mosquitto import Mosquitto

SPARKPLUG = """
plant = "P"
time_zone = "UTC"
format = "json"
[input]
collected = ["line"]
[fields]
source = "source"
session = "session"
seq = "seq"
occurred = "at"
type = "type"
good_counter = "metrics.Good"
work_center = "device"
[time]
format = "epoch_ms"
[types]
NBIRTH = "telemetry"
DBIRTH = "partial"
DDATA = "partial"
NDEATH = "state"
NDEATH_STALE = "state"
[sequencing]
modulus = 256
start = "any"
gap_timeout_s = 1
[counters]
scope = "source"
by_work_center = true
[aggregation]
idle_s = 1
[limits]
future_max_s = 31_536_000
past_max_s = 315_360_000
"""


@pytest.fixture(scope="module")
def mosquitto():
    broker = Mosquitto()
    yield broker
    broker.close()


def told(reader, count: int) -> list[dict]:
    found, deadline = [], time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < deadline, found
        raw = reader.poll()
        found += [json.loads(raw.value(row)) for row in range(len(raw))]
    return found


def publisher(port: int, name: str = "mes") -> Client:
    client = Client(CallbackAPIVersion.VERSION2, name)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def plain(port: int, position: str | None = None, state: dict | None = None, **more) -> MqttTopics:
    section = {"protocol": "mqtt", "host": "127.0.0.1", "port": port, "tls": False, "topics": ("mes/#",)}
    reader = MqttTopics(MqttCollector(**(section | more)), "line", lambda: time.time_ns() // 1000, Refusals())
    reader.seek(position, state or {})
    return reader


@pytest.fixture
def link(mosquitto):
    with FaultProxy(mosquitto.port) as proxy:
        yield proxy


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(mosquitto, link):
    client = publisher(mosquitto.port)
    reader = plain(link.port)
    reader.poll()
    for number in range(4):
        client.publish("mes/a", json.dumps({"n": number}), 1).wait_for_publish(20)
    first = told(reader, 2)
    position = json.dumps({"number": 2})
    told_more = told(reader, 4 - len(first)) if len(first) < 4 else []
    assert [each["n"] for each in first + told_more] == [0, 1, 2, 3]
    reader.committed(position)
    reader._connection.sent()
    time.sleep(0.2)  # it is on its way to the broker
    with link.during(Fault(ends="cut")), pytest.raises(SourceUnavailable):
        told(reader, 1)
    reader.close()
    reader.seek(position, {})
    assert [each["n"] for each in told(reader, 2)] == [2, 3]
    reader.committed(reader.position())
    reader.close()
    client.publish("mes/a", json.dumps({"n": 4}), 1).wait_for_publish(20)  # while nobody listens
    assert [each["n"] for each in told(reader, 1)] == [4]
    reader.committed(reader.position())
    reader.close()
    client.disconnect()
    client.loop_stop()


def test_an_envelope_holds_the_topic_and_what_is_no_json_as_text(mosquitto):
    client = publisher(mosquitto.port, "enveloper")
    more = {"client_id": "enveloped", "session_expiry_s": 0, "message_bytes_max": 1_024}
    reader = plain(mosquitto.port, envelope=True, **more)
    reader.poll()
    for body in (b"[" * 1_025, b'{"good": 1.10}', b"on\xff"):
        client.publish("mes/press-7/state", body, 1).wait_for_publish(20)
    assert told(reader, 2) == [
        {"topic": "mes/press-7/state", "payload": {"good": 1.1}},
        {"topic": "mes/press-7/state", "payload": "on\\xff"},
    ]
    (entry,) = reader._refusals.due(0)
    assert entry.detail == "127.0.0.1: 'mes/press-7/state': a message longer than 1,024 bytes"
    assert (entry.code, entry.piece) == ("OVERSIZE", b"[" * 1_024)
    reader.close()
    client.disconnect()
    client.loop_stop()


def test_what_is_left_out_is_acknowledged_and_what_was_held_comes_from_the_state(mosquitto):
    """A broker sends no more than 20 messages that are not acknowledged."""
    client = publisher(mosquitto.port, "sensor")
    rules = [
        {"items": ["mes/*/temp"], "rule": "swinging-door", "width": 0.5},
        {"items": ["mes/*/pulse"], "rule": "pulse", "gap_s": 0.2},
    ]
    more = {"signals": rules, "signal_value": "v.now", "signal_at": "ts", "client_id": "thermometer"}
    reader = plain(mosquitto.port, **more)
    reader.poll()

    def say(topic: str, at: object, value: object) -> None:
        client.publish(topic, json.dumps({"ts": at, "v": {"now": value}}), 1).wait_for_publish(20)

    for number in range(60):
        say("mes/oven/temp", 1_760_000_000_000 + 500 * number, 20 + number % 2 / 4)
    say("mes/oven/temp", "soon", 1)  # no instant: nobody can say that it is nothing new
    for ms in (0, 4, 9, 700):
        say("mes/press/pulse", f"2026-11-17T06:00:00.{ms:03}Z", True)
    found, parts, deadline = [], {}, time.monotonic() + 20
    while len(found) < 4:
        assert time.monotonic() < deadline, found
        raw = reader.poll()
        found += [json.loads(raw.value(row)) for row in range(len(raw))]
        parts |= reader.state()
        reader.committed(reader.position())
    assert [(each["ts"], each["v"]["now"]) for each in found] == [
        (1_760_000_000_000, 20.0), ("soon", 1), ("2026-11-17T06:00:00.000Z", True), ("2026-11-17T06:00:00.700Z", True)
    ]  # fmt: skip
    assert counts(parts) == {"read": 64, "told": 3, "held": 1, "left_out": 60}
    reader.close()
    # Under another name, for the broker takes time to read what was acknowledged.
    reader = plain(mosquitto.port, reader.position(), parts, **(more | {"client_id": "again", "session_expiry_s": 0}))
    reader.poll()
    say("mes/oven/temp", 1_760_000_030_000, 30)
    assert [each["v"]["now"] for each in told(reader, 1)] == [20.25], "the last before the bend"
    reader.close()
    client.disconnect()
    client.loop_stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a socket that TLS refused
def test_tls_and_a_password_are_asked_for_and_shown_to_nobody(tmp_path):
    cert, key = self_signed(tmp_path)
    needs("mosquitto")
    (tmp_path / "passwords").touch()
    subprocess.run(["mosquitto_passwd", "-b", tmp_path / "passwords", "plantsync", "geheim"], check=True)
    broker = Mosquitto(f"certfile {cert}\nkeyfile {key}\npassword_file {tmp_path}/passwords", anonymous=False)
    try:
        reached = {"tls": True, "user": "plantsync", "ca_file": cert, "password": "geheim"}
        good = plain(broker.port, **reached)
        good.poll()
        good.close()
        for wrong in ({"password": "wrong-one"}, {"ca_file": None}, {"ca_file": None, "tls": False}):
            with pytest.raises(SourceUnavailable) as error:
                plain(broker.port, **(reached | wrong)).poll()
            assert not {"geheim", "wrong-one"} & set(str(error.value).split())
    finally:
        broker.close()


def test_a_birth_is_asked_for_by_command_and_aliases_outlive_us(mosquitto):
    edge = EdgeNode(mosquitto.port, "line-9")
    section = SparkplugCollector(
        protocol="sparkplug",
        host="127.0.0.1",
        port=mosquitto.port,
        tls=False,
        reorder_timeout_s=0.2,
        edges_max=1,
        message_bytes_max=65_536,
    )
    edge.connect()
    reader = SparkplugNodes(section, "line", lambda: time.time_ns() // 1000, Refusals())
    reader.seek(None, {})
    reader.poll()  # it was born before we listened
    edge.make()
    records = told(reader, 3)
    assert edge.rebirths == 1
    assert [each["type"] for each in records] == ["DDATA", "NBIRTH", "DBIRTH"]
    assert "metrics" not in records[0], "told before a birth that we heard"
    assert records[2]["metrics"] == {"Good": 1}
    position, state = reader.position(), dict(reader.state())
    reader.close()
    again = SparkplugNodes(section, "line", lambda: time.time_ns() // 1000, Refusals())
    again.seek(position, state)
    again.poll()
    stranger = publisher(mosquitto.port, "stranger")
    for edge_node, body in (("line-8", b"\xff" * 2_000), ("line-8", b"x" * 70_000), ("line-7", b"")):
        stranger.publish(f"spBv1.0/plant/NDATA/{edge_node}", body, 1).wait_for_publish(20)
    stranger.disconnect()
    stranger.loop_stop()
    edge.make()
    held, *_ = told(again, 3)
    assert (held["metrics"], held["session"]) == ({"Good": 2}, records[1]["session"])
    pieces = {each.code: each.piece for each in again._refusals.due(0)}
    assert pieces == {"MALFORMED": b"\xff" * 1_024, "OVERSIZE": b"x" * 1_024, "SESSIONS_EXHAUSTED": b""}
    again.close()
    edge.close()


def test_kills_of_edge_node_broker_link_and_us_lose_no_part_of_a_counter(tmp_path):
    with closing(Mosquitto()) as broker, FaultProxy(broker.port) as link:
        _killed(tmp_path, broker, link)


def _killed(tmp_path, broker: Mosquitto, link: FaultProxy) -> None:
    collector = (
        f'protocol = "sparkplug"\nhost = "127.0.0.1"\nport = {link.port}\ntls = false\nreorder_timeout_s = 0.3\n'
        'host_id = "plantsync"\nkeepalive_s = 1'
    )
    site = CollectSite(tmp_path, SPARKPLUG, collector)
    edge = EdgeNode(broker.port, first_ms=int(time.time() * 1000) - 1_000_000)
    try:
        site.start("collect", "confirmations")
        edge.wait_host("plantsync")
        edge.connect()
        edge.make(300)  # numbers wrap at 256
        until(site.good, 300)
        site.kill("collect")
        edge.make(5)  # heard by nobody
        away_ms = int(time.time() * 1000)
        site.start("collect")
        edge.wait_host("plantsync", away_ms)
        edge.make(5)
        until(site.good, 310)
        edge.vanish()
        edge.made += 7  # made while it was away
        edge.connect()
        edge.make(3)
        until(site.good, 320)
        broker.kill()
        away_ms = int(time.time() * 1000)
        edge.vanish()
        broker.start()
        edge.wait_host("plantsync", away_ms)
        edge.connect()
        edge.make(10)
        until(site.good, 330)
        for fault in (Fault(ends="reset"), Fault(silent=frozenset({"up", "down"}), forgotten=True)):
            link.fault = Fault(bytes_per_s=2_000)
            accepted = link.accepted
            away_ms = int(time.time() * 1000)
            edge.make(20)  # on their way when the link is lost
            link.fault = fault
            until(lambda before=accepted: link.accepted > before, expected=True)  # also the silence, by ourselves
            link.fault = NONE
            edge.wait_host("plantsync", away_ms)
            edge.make(5)
            until(site.good, edge.made)
        assert site.faults() == 0
    finally:
        edge.close()
        site.close()
