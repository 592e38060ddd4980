"""HTTP to an ERP that misbehaves, or is not the ERP at all: bounded, told apart, and nothing given away (M27)."""

import gzip
import json
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from sinks.erp.adapters import open_adapter
from sinks.erp.connection import TRACEPARENT, Connection, Reply, refused, retry_after
from sinks.erp.pace import Pace
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import ERP_SETTINGS
from tests.certificates import self_signed
from tests.conformance.erp_places import posting

IN_DOUBT, UNAVAILABLE, UNAUTHORISED = Outcome.IN_DOUBT, Outcome.UNAVAILABLE, Outcome.UNAUTHORISED


def whole(request):
    """Whether all of a request has come."""
    head, ended, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(ended) and len(body) >= int(length[1] if length else 0)


class Server:
    """Answers each connection with what ``say`` writes to it; keeps what was asked."""

    def __init__(self, say, context=None):
        self.say, self.context, self.heard = say, context, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True) if self.context else peer as stream:
                request = b""
                while not whole(request):  # A peer that is answered in the middle may find the connection reset.
                    request += stream.recv(65_536)
                self.heard.append(request.decode("latin-1"))
                self.say(stream)
        except OSError:
            return

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@contextmanager
def serving(say, context=None):
    server = Server(say, context)
    yield server
    server.close()


def plain(head, body=b""):
    """Say one answer and hang up."""
    return lambda stream: stream.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)


def settings(url, **others):
    raw = {"kind": "oracle", "base_url": url, "user": "me", "password": "s3cret"}
    return ERP_SETTINGS.validate_python(raw | others)


def asked(url, *, writes=True, **others):
    connection = Connection(settings(url, **others))
    try:
        return connection.exchange("POST" if writes else "GET", "/x", writes=writes)
    finally:
        connection.close()


def drip(stream):
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        stream.sendall(b"x")
        time.sleep(0.05)


BAD_ANSWERS = {
    "longer than allowed": plain("HTTP/1.1 200 OK\r\nContent-Length: 9000", b"x" * 9000),
    "longer than allowed when unpacked": plain(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip", gzip.compress(bytes(50_000_000))
    ),
    "broken packing": plain("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", b"no gzip"),
    "endless chunks": plain("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"1000\r\n" + bytes(4096) + b"\r\n" * 3),
    "cut off": plain("HTTP/1.1 200 OK\r\nContent-Length: 100", b"x"),
    "no HTTP": plain("SSH-2.0-OpenSSH_9.2"),
    "nothing": lambda _: None,
    "a drip": drip,
    "silence": lambda _: time.sleep(0.6),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_cannot_be_read_leaves_a_write_in_doubt(name):
    limits = {"response_bytes_max": 4096, "read_timeout_s": 0.3, "answer_timeout_s": 0.4}
    with serving(BAD_ANSWERS[name]) as server:
        began = time.monotonic()
        assert asked(server.url, **limits).outcome is IN_DOUBT
        assert asked(server.url, writes=False, **limits).outcome is UNAVAILABLE
        assert time.monotonic() - began < 3


def test_nobody_there_is_certainly_not_executed():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    assert asked(url).outcome is UNAVAILABLE
    assert asked("https://no-such-host.invalid").outcome is UNAVAILABLE


def test_no_redirect_is_followed_and_no_cookie_kept():
    with serving(plain("HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=b; Path=/")) as server:
        connection = Connection(settings(server.url))
        for _ in range(2):
            reply = connection.exchange("POST", "/x", writes=True)
            assert (reply.status, reply.cookies) == (302, {"a": "b"})
        connection.close()
        assert [line for request in server.heard for line in request.splitlines() if "ookie" in line] == []
        assert refused(reply, writes=True).outcome is UNAUTHORISED


def test_the_environment_names_no_proxy_and_no_password(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(plain("HTTP/1.1 204 No Content")) as server:
        assert asked(server.url, password="pass€").status == 204
        # base64 of "me:pass€" in UTF-8
        assert "Authorization: Basic bWU6cGFzc+KCrA==" in server.heard[0]
        assert "traceparent" not in server.heard[0]
        part = TRACEPARENT.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        assert asked("http://localhost:9", proxy=server.url).status == 204
        TRACEPARENT.reset(part)
        assert "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" in server.heard[1]
        assert server.heard[1].startswith("POST http://localhost:9/x ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that only its own file vouches for."""
    path, key = self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return path, context


def test_a_certificate_is_checked_against_the_file_that_is_named(certificate, tmp_path):
    path, context = certificate
    with serving(plain("HTTP/1.1 204 No Content"), context) as server:
        assert asked(server.url, ca_file=path).status == 204
        answer = asked(server.url)
        assert (answer.outcome, answer.code) == (UNAVAILABLE, "NET/SSLError")
        assert len(server.heard) == 1
    assert isinstance(asked(server.url, ca_file=tmp_path / "gone.pem"), Answer)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ('{"error": "invalid_client", "error_description": "s3cret is wrong"}', UNAUTHORISED),
        ('{"token_type": "Bearer"}', UNAVAILABLE),
        ('{"access_token": "\\u20ac\\r\\nX: y"}', UNAVAILABLE),
        ("[1]", UNAVAILABLE),
        ("<html>", UNAVAILABLE),
    ],
)
def test_a_token_that_cannot_be_had_is_told_and_its_reason_not_quoted(body, outcome):
    with serving(plain("HTTP/1.1 200 OK\r\nContent-Type: application/json", body.encode())) as server:
        oauth = {"token_url": f"{server.url}/token", "client_id": "me", "client_secret": "s3cret"}
        answer = asked(server.url, user="", password=None, oauth=oauth)
    assert answer.outcome is outcome
    assert "s3cret" not in repr(answer)


@pytest.mark.parametrize(
    ("status", "writes", "outcome"),
    [
        (301, True, UNAUTHORISED),
        (401, True, UNAUTHORISED),
        (403, False, UNAUTHORISED),
        (404, True, UNAVAILABLE),
        (408, True, UNAVAILABLE),
        (413, True, UNAVAILABLE),
        (423, True, Outcome.LOCKED),
        (429, True, Outcome.THROTTLED),
        (500, True, IN_DOUBT),
        (500, False, UNAVAILABLE),
        (502, True, IN_DOUBT),
        (503, True, UNAVAILABLE),
        (504, True, IN_DOUBT),
    ],
)
def test_what_a_status_alone_says(status, writes, outcome):
    answer = refused(Reply(status, {"retry-after": "3"}, b"", {}), writes=writes)
    assert (answer.outcome, answer.code) == (outcome, f"HTTP/{status}")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": "9" * 40}, 86_400),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
        ({"retry-after": "Mon, 02 Mar 2026 12:00:30 GMT", "date": "Mon, 02 Mar 2026 12:00:00 GMT"}, 30),
        ({"retry-after": "Mon, 02 Mar 2026 11:00:30 GMT", "date": "Mon, 02 Mar 2026 12:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 02 Mar 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Mon, 02 Mar 2026 12:00:30", "date": "Mon, 02 Mar 2026 12:00:00 GMT"}, None),
    ],
)
def test_the_time_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("kind", ["sap", "oracle", "d365"])
@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 5000,
        "\ud800",
        "<error><code>",
        '{"d": null}',
        '{"d": []}',
        '{"d": {"results": [null, 1]}}',
        '{"error": 1}',
        '{"error": {"innererror": {"errordetails": [1, null]}}}',
        '{"value": [1], "hasMore": true}',
        '{"items": [1]}',
        '{"items": [{"Operation": 1}]}',
        '{"OperationTransactionDetail": [1]}',
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_answer_makes_an_adapter_raise(kind, body, status):
    def say(stream):
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nx-csrf-token: t"
        content = body.encode("utf-8", "surrogatepass")
        if b"/token" in server.heard[-1].encode()[:40]:
            head, content = "HTTP/1.1 200 OK", json.dumps({"access_token": "t"}).encode()
        stream.sendall(head.encode() + b"\r\n\r\n" + content)

    with serving(say) as server:
        raw = {"kind": kind, "base_url": server.url, "user": "me", "password": "s3cret"}
        if kind == "d365":
            oauth = {"token_url": f"{server.url}/token", "client_id": "me", "client_secret": "s3cret"}
            others = {"company": "1", "messages_path": "/m"}
            raw = {"kind": kind, "base_url": server.url, "oauth": oauth} | others
        adapter = open_adapter(ERP_SETTINGS.validate_python(raw))
        sent = posting("1")
        answers = [adapter.send(sent), *adapter.send_many([sent]), adapter.find(sent), adapter.movements(sent, "1/2")]
        adapter.close()
    assert all(answer is None or isinstance(answer, Answer) for answer in answers)
    if status != 200 or kind != "d365":
        assert answers[0].outcome is not Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"base_url": "http://erp.example.com"}, "https"),
        ({"base_url": "https://me:s3cret@erp.example.com"}, "credentials"),
        ({"base_url": "ftp://erp.example.com"}, "not the URL"),
        ({"user": ""}, "either user and password, or oauth"),
        ({"password": None}, "either user and password, or oauth"),
        ({"proxy": "http://proxy.example.com:3128"}, "https"),
        ({"path": "fscm"}, "slash"),
        ({"units": {"PIECE": "EA"}}, "Recommendation 20"),
        ({"pasword": "s3cret"}, "Extra"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_their_secrets(others, words):
    with pytest.raises(ValidationError, match=words) as refusal:
        settings("https://erp.example.com", **others)
    assert "s3cret" not in str(refusal.value)
    assert "s3cret" not in repr(settings("http://[::1]:8080/erp"))


class Clock:
    """Microseconds that pass ``speed`` times as fast as the world's."""

    def __init__(self, speed=1):
        self.speed, self.set_back_us = speed, 0

    def __call__(self):
        return int(time.monotonic() * 1e6 * self.speed) - self.set_back_us


@pytest.mark.parametrize("speed", [1, 100])
def test_a_pace_lets_a_burst_go_and_then_one_at_a_time(speed):
    clock = Clock(speed)
    rate, burst = 50 / speed, 5
    pace = Pace(rate, burst, clock)
    left, turned_away = [], []

    def run():
        for _ in range(6):
            while wait_s := pace.wait():
                turned_away.append(wait_s)
                time.sleep(wait_s / speed)
            left.append(clock() / 1e6)

    time.sleep(0.2)
    began = clock() / 1e6
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left.sort()
    assert len(left) == 24
    # So many may have left by then; a thread may be late to note it, and never early.
    assert all(number <= burst + rate * (at - began) + 1 for number, at in enumerate(left, 1))
    assert turned_away
    assert min(turned_away) > 2 / rate


def test_a_pace_begins_empty_and_stands_still_while_its_clock_is_set_back():
    clock = Clock()
    pace = Pace(20, 1, clock)
    began = time.monotonic()
    assert pace.wait() == 0
    assert time.monotonic() - began > 0.03
    clock.set_back_us = 3_600_000_000
    assert pace.wait() == 0
    assert 0.08 < time.monotonic() - began < 1


def test_what_comes_too_fast_does_not_leave():
    pace = Pace(1, 1, lambda: 0)
    pace._next_us = 60_000_000
    with serving(plain("HTTP/1.1 204 No Content")) as server:
        connection = Connection(settings(server.url), pace)
        answer = connection.exchange("POST", "/x", writes=True)
        connection.close()
        assert (answer.outcome, answer.code, answer.retry_after_s) == (Outcome.THROTTLED, "PLANTSYNC/pace", 60)
        assert server.heard == []
