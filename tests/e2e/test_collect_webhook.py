"""Webhooks over real HTTP: answered when durable, refused with a code, nothing acknowledged is lost (A17, M50)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from dataflows.collectors.refusals import PIECE_BYTES_MAX, Refusals
from dataflows.collectors.webhook import Webhook
from dataflows.collectors.webhook_settings import WebhookCollector
from dataflows.sources.errors import SourceUnavailable
from tests.collect_site import CollectSite, until
from tests.fault_proxy import NONE, Fault, FaultProxy

TOKEN = "correct horse"
SECRET = "whsec_" + base64.b64encode(b"a key of the laboratory").decode()
MAPPING = """
plant = "Q"
time_zone = "UTC"
format = "json"
default_type = "partial"
[input]
collected = ["line"]
[fields]
source = "bench"
seq = "n"
occurred = "at"
good = "good"
order = "order"
[sequencing]
gap_timeout_s = 2
[aggregation]
idle_s = 1
[limits]
past_max_s = 315_360_000
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def listening(commit: bool = True, now_s: float | None = None, refusals: Refusals | None = None, **more):
    """A receiver whose records are taken, and told to be durable, by a thread of the test's."""
    port = free_port()
    section = WebhookCollector(protocol="webhook", port=port, **(more or {"token": TOKEN}))
    reader = Webhook(section, "line", lambda: int((now_s or time.time()) * 1e6), refusals or Refusals())
    reader.seek(None, {})
    taken, ended = [], threading.Event()

    def take() -> None:
        while not ended.is_set():
            raw = reader.poll()
            taken.extend(raw.value(row) for row in range(len(raw)))
            if len(raw) and commit:
                reader.committed(reader.position())
            ended.wait(0.005)

    thread = threading.Thread(target=take)
    thread.start()
    deadline = time.monotonic() + 20
    while not reachable(port):
        assert time.monotonic() < deadline
    try:
        yield f"http://127.0.0.1:{port}/", taken
    finally:
        ended.set()
        thread.join()
        reader.close()


def post(
    url: str, body: bytes = b'{"n":1}', token: str = TOKEN, timeout_s: float = 30, **headers: str
) -> requests.Response:
    own = {"Authorization": f"Bearer {token}"} if token else {}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(url, body, headers=own | headers, timeout=timeout_s)


def signed(url: str, body: bytes, instant: int, secret: bytes = b"a key of the laboratory") -> requests.Response:
    signature = base64.b64encode(hmac.new(secret, b"msg_1.%d." % instant + body, hashlib.sha256).digest()).decode()
    headers = {"webhook_id": "msg_1", "webhook_timestamp": str(instant), "webhook_signature": f"v1,{signature}"}
    return post(url, body, "", **headers)


def test_what_is_durable_is_answered_and_each_request_is_a_record():
    with listening() as (url, taken), ThreadPoolExecutor(8) as senders:
        bodies = [b'{"n":%d}' % number for number in range(50)]
        assert {answer.status_code for answer in senders.map(lambda body: post(url, body), bodies)} == {204}
        assert sorted(taken) == sorted(bodies)


def test_what_is_not_durable_is_not_acknowledged():
    with listening(commit=False, token=TOKEN, durable_wait_s=0.2) as (url, taken):
        answer = post(url)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert taken == [b'{"n":1}']


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"token": ""}, 401, "NOT_AUTHENTIC"),
        ({"token": "wrong"}, 401, "NOT_AUTHENTIC"),
        ({"body": b"x" * 2_000}, 413, "OVERSIZE"),
        ({"body": b" \n"}, 400, "MALFORMED"),
    ],
)
def test_what_may_not_be_posted_is_refused_with_a_code_and_an_entry(request_, status, code):
    refusals = Refusals()
    with listening(refusals=refusals, token=TOKEN, body_bytes_max=1_024) as (url, taken):
        answer = post(url, **request_)
        assert answer.status_code == status
        (entry,) = refusals.due(0)
        assert (entry.code, entry.detail) == (code, f"127.0.0.1: {answer.text}")
        assert entry.piece == request_.get("body", b"")[:PIECE_BYTES_MAX]
        assert requests.get(url, timeout=30).status_code == 405
        assert post(url + "other").status_code == 404
        assert taken == []


def test_a_flood_is_refused_and_those_under_way_are_served():
    more = {"waiting_max": 2, "durable_wait_s": 2.0, "refusals": (refusals := Refusals())}
    with listening(commit=False, token=TOKEN, **more) as (url, taken):
        with ThreadPoolExecutor(6) as senders:
            answers = list(senders.map(lambda _: post(url).text, range(6)))
        assert answers.count("too many requests are under way") == 4
        (entry,) = refusals.due(0)
        assert (entry.code, entry.detail) == ("FLOODED", "4 times: 127.0.0.1: too many requests are under way")
        with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as stranger:
            stranger.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert b" 400 " in stranger.recv(1_000)
        (entry,) = refusals.due(0)
        assert (entry.code, entry.detail) == ("MALFORMED", "127.0.0.1: Invalid HTTP request received.")
        assert len(taken) == 2


def test_bodies_of_a_flood_take_no_more_memory_than_they_may():
    more = {"waiting_bytes_max": 10_000, "body_bytes_max": 4_000, "durable_wait_s": 2.0}
    with listening(commit=False, token=TOKEN, refusals=(refusals := Refusals()), **more) as (url, taken):
        with ThreadPoolExecutor(8) as senders:
            answers = list(senders.map(lambda _: post(url, b"x" * 4_000).text, range(8)))
        assert answers.count("too many bytes are under way") == 6
        (entry,) = refusals.due(0)
        assert (entry.code, entry.count, entry.piece) == ("FLOODED", 6, b"x" * PIECE_BYTES_MAX)
        assert len(taken) == 2
        assert post(url, b"x" * 4_000).text == "not stored yet; send it again"


def test_signatures_are_checked_and_old_ones_refused():
    now = 1_800_000_000
    with listening(now_s=now, signing_secret=SECRET, refusals=(refusals := Refusals())) as (url, taken):
        assert signed(url, b'{"n":1}', now - 299).status_code == 204
        assert signed(url, b'{"n":2}', now - 301).text == "webhook-timestamp is out of the window"
        assert signed(url, b'{"n":2}', now + 301).status_code == 401
        assert signed(url, b'{"n":3}', now, b"another key").text == "webhook-signature is wrong"
        assert post(url, token="").status_code == 401
        assert taken == [b'{"n":1}']
        (entry,) = refusals.due(0)
        assert (entry.code, entry.count, len(entry.words), entry.piece) == ("NOT_AUTHENTIC", 4, 3, b'{"n":2}')


def test_a_port_that_is_taken_is_an_outage():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        section = WebhookCollector(protocol="webhook", port=taken.getsockname()[1], token=TOKEN)
        with pytest.raises(SourceUnavailable, match="cannot be listened at"):
            Webhook(section, "line", lambda: 0, Refusals()).poll()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "anybody could post"),
        ({"token": "a", "signing_secret": "b"}, "either token or signing_secret"),
        ({"token": "a", "host": "0.0.0.0"}, "there is no TLS"),
        ({"token": "a", "cert_file": "c"}, "belong together"),
    ],
)
def test_nobody_listens_unsafely(more, told):
    with pytest.raises(ValueError, match="plantsync") as error:
        WebhookCollector(protocol="webhook", port=1, **more)
    assert told in str(error.value) + error.value.errors()[0]["ctx"]["hint"]


def test_kills_of_us_and_of_the_link_lose_nothing_that_was_acknowledged(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", TOKEN)
    port = free_port()
    collector = f'protocol = "webhook"\nport = {port}\ntoken = {{ env = "LAB_TOKEN" }}'
    site = CollectSite(tmp_path, MAPPING, collector)
    url = f"http://127.0.0.1:{port}/"

    def send(number: int) -> None:
        """Send until it is acknowledged, as every sender of webhooks does."""
        event = {"bench": "B1", "n": number, "at": f"2026-11-17T06:00:{number:02d}Z", "order": "WO-1", "good": 1}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if post(f"http://127.0.0.1:{link.port}/", json.dumps(event).encode(), timeout_s=0.5).status_code == 204:
                    return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.05)
        raise AssertionError(f"{number} was never acknowledged")

    def repeated() -> bool:
        numbers = [json.loads(body)["n"] for body in site.spooled()]
        return any(number > 20 and numbers.count(number) > 1 for number in numbers)

    try:
        site.start("collect", "confirmations")
        with FaultProxy(port) as link, ThreadPoolExecutor(4) as senders:
            sent = [senders.submit(send, number) for number in range(1, 21)]
            until(lambda: len(site.spooled()) >= 4, expected=True)
            site.kill("collect")
            site.start("collect")
            for each in sent:
                each.result()
            link.fault = Fault(bytes_per_s=1_000)  # a request takes its time, so the cut comes within some
            sent = [senders.submit(send, number) for number in range(21, 41)]
            time.sleep(0.15)
            link.fault = Fault(ends="reset")
            link.fault = Fault(silent=frozenset({"down"}))  # what is durable is answered, and nobody hears it
            until(repeated, expected=True)
            link.fault = NONE
            for each in sent:
                each.result()
        until(site.good, 40)
        assert site.faults() == 0
        assert {json.loads(body)["n"] for body in site.spooled()} == set(range(1, 41))
        hostile = [
            b'{"n":' + b"[" * 100_000,
            b'{"bench":"B1","n":41,"good":' + b"9" * 100_000 + b"}",
            b'{"bench":"B1","n":' + b"9" * 400 + b"}",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            gzip.compress(b" " * 1_000_000),
            b"\xff\x00",
        ]
        for body in hostile:  # durable, so answered; what they mean is found out later, and they mean nothing
            assert post(url, body).status_code == 204
        until(site.faults, len(hostile))
        assert site.good() == 40
        site.kill("confirmations")  # what is refused outlives kills of both
        for _ in range(20):
            assert post(url, token="wrong").status_code == 401
        assert post(url, b"x" * 2_000_000).status_code == 413
        until(lambda: len(site.refused()), 2)
        site.kill("collect")
        site.start("confirmations")
        until(site.faults, len(hostile) + 2)
        refused = {letter.fault.code: letter for letter in site.letters()[len(hostile) :]}
        stranger, long = refused["NOT_AUTHENTIC"], refused["OVERSIZE"]
        assert "127.0.0.1: token missing or wrong" in stranger.fault.detail
        assert (stranger.fault.plant, stranger.stage, stranger.topic) == ("Q", "refuse", "refused:line")
        assert (long.value, long.original) == (b"x" * PIECE_BYTES_MAX, False)
        assert site.good() == 40
    finally:
        site.close()
