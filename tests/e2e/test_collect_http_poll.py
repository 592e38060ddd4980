"""A web service over real HTTP, asked by cursor, growing value, page or as a whole, with kills of all (A17)."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from dataflows.collectors.http_poll import HttpPoll
from dataflows.collectors.http_poll_settings import HttpPollCollector
from dataflows.collectors.refusals import PIECE_BYTES_MAX, Refusals
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable
from tests.collect_site import CollectSite, until
from tests.e2e.test_collect_webhook import MAPPING
from tests.fault_proxy import HALF_OPEN, NONE, Fault, FaultProxy
from tests.peers.event_service import EventService

BY = {
    "/cursor": {"records": "data.items", "cursor": "data.next"},
    "/since": {"since": "n"},
    "/pages": {},
    "/all": {},
}
BOMB = gzip.compress(b" " * 10_000_000)


class Clock:
    now_us = 1

    def __call__(self) -> int:
        self.now_us += 10_000_000
        return self.now_us


@pytest.fixture
def service():
    peer = EventService()
    yield peer
    peer.close()


def polled(service: EventService, path: str = "/all", clock=None, **more) -> HttpPoll:
    section = HttpPollCollector(protocol="http-poll", url=service.url + path, **(BY[path] | more))
    reader = HttpPoll(section, "line", clock or Clock(), Refusals())
    reader.seek(None, {})
    return reader


def numbers(reader: HttpPoll, polls: int) -> list[int]:
    found = []
    for _ in range(polls):
        raw = reader.poll()
        found += [json.loads(raw.value(row))["n"] for row in range(len(raw))]
    return found


def event(number: int) -> dict:
    return {"bench": "B1", "n": number, "at": f"2026-11-17T06:00:{number:02d}Z", "order": "WO-1", "good": 1}


@pytest.mark.parametrize("path", BY)
def test_every_event_comes_once_and_in_order_however_it_is_listed(service, path):
    service.events = [event(number) for number in range(1, 9)]
    reader = polled(service, path)
    assert numbers(reader, 6) == list(range(1, 9))
    assert reader.at_end()
    service.events += [event(9), event(10)]
    assert numbers(reader, 6) == [9, 10]
    reader.close()


@pytest.mark.parametrize("path", BY)
def test_a_restart_anywhere_tells_each_event_once(service, path):
    seen, position, state = [], None, {}
    for step in range(10):
        service.events += [event(2 * step + 1), event(2 * step + 2)]
        reader = polled(service, path)
        reader.seek(position, state)
        seen += numbers(reader, 2)
        position, state = reader.position(), {**state, **reader.state()}
        reader.close()
    assert seen == sorted(set(seen))
    assert seen == list(range(1, 21))


def test_numbers_stay_as_they_are_written(service):
    body = b'[{"good": 1.10, "big": 123456789012345678901234567890.125, "small": 1e-7}]'
    service.answers = [(200, {}, body)]
    assert polled(service).poll().value(0) == body[1:-1].replace(b" ", b"")


def test_a_record_that_is_nested_deep_or_has_huge_numbers_stops_no_other(service):
    deep, huge = b'{"n":' + b"[" * 400 + b"]" * 400 + b"}", b'{"n":' + b"9" * 5_000 + b".5e99999}"
    service.answers = [(200, {}, b"[" + deep + b"," + huge + b',{"n":1}]')]
    raw = polled(service).poll()
    assert [raw.value(row).replace(b" ", b"") for row in range(3)] == [deep, huge, b'{"n":1}']


def test_an_unchanged_list_is_not_sent_again(service):
    service.events = [event(1)]
    reader = polled(service)
    assert numbers(reader, 3) == [1]
    assert [headers.get("If-None-Match") for _, headers in service.asked] == [None, '"1"', '"1"']


def test_the_service_says_when_to_come_back(service):
    clock = Clock()
    service.answers = [(429, {"Retry-After": "100"}, b"")]
    service.events = [event(1)]
    reader = polled(service, clock=clock)
    assert numbers(reader, 9) == []
    assert len(service.asked) == 1
    assert numbers(reader, 3) == [1]


@pytest.mark.parametrize(
    ("answer", "reason", "code", "piece"),
    [
        ((200, {}, b"<html>"), "no JSON", "MALFORMED", b"<html>"),
        ((200, {}, b'{"a": NaN}'), "no JSON", "MALFORMED", b'{"a": NaN}'),
        ((200, {}, b"[" * 100_000), "nested too deep", "DEEP_NESTING", b"[" * PIECE_BYTES_MAX),
        ((200, {}, b'{"items": []}'), "no list", "MALFORMED", b'{"items": []}'),
        ((200, {"Content-Encoding": "gzip"}, BOMB), "longer than 200,000 bytes", "OVERSIZE", b" " * PIECE_BYTES_MAX),
        ((403, {}, b""), "403", "", b""),
        ((302, {"Location": "http://elsewhere.example"}, b""), "302", "", b""),
        ((200, {"Link": '<http://e.example/>; rel="next"'}, b"[]"), "elsewhere", "UNSAFE_NAME", b"http://e.example/"),
    ],
)
def test_what_cannot_be_used_is_refused_with_an_entry_and_the_next_answer_counts(service, answer, reason, code, piece):
    service.answers = [answer]
    service.events = [event(1)]
    reader = polled(service, answer_bytes_max=200_000)
    before = reader.position()
    with pytest.raises(AnswerUnusable, match=reason):
        reader.poll()
    assert json.loads(reader.position())["url"] == json.loads(before)["url"]
    assert [(each.code, each.count, each.piece) for each in reader._refusals.due(0)] == [(code, 1, piece)] * bool(code)
    assert numbers(reader, 1) == [1]


def test_a_service_that_is_away_or_fails_is_an_outage_that_shows_no_secret(service):
    service.answers = [(500, {}, b"")]
    reader = polled(service, token="geheim")
    with pytest.raises(SourceUnavailable) as failed:
        reader.poll()
    service.close()
    with pytest.raises(SourceUnavailable) as away:
        reader.poll()
    assert "geheim" not in str(failed.value) + str(away.value)
    assert service.asked[0][1]["Authorization"] == "Bearer geheim"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"url": "ftp://x"}, "no address"),
        ({"url": "https://a:b@x"}, "credentials stand in the url"),
        ({"url": "http://qms.example.com", "token": "t"}, "in the clear"),
        ({"url": "https://x", "cursor": "a", "since": "b"}, "exclude each other"),
    ],
)
def test_settings_that_are_unsafe_or_contradict_are_refused(more, told):
    with pytest.raises(ValueError, match=told):
        HttpPollCollector(protocol="http-poll", **more)


def test_kills_of_both_sides_and_of_the_link_lose_and_double_nothing(service, tmp_path):
    listed = 'records = "data.items"\ncursor = "data.next"\nevery_s = 0.1\ntimeout_s = 0.5'
    with FaultProxy(service.port) as link:
        collector = f'protocol = "http-poll"\nurl = "http://127.0.0.1:{link.port}/cursor"\n{listed}'
        site = CollectSite(tmp_path, MAPPING, collector)
        try:
            site.start("collect", "confirmations")
            service.events += [event(number) for number in range(1, 11)]
            until(site.good, 10)
            site.kill("collect")
            service.close()
            site.start("collect")
            again = EventService(service.port)
            again.events = [event(number) for number in range(1, 31)]
            until(site.good, 30)
            link.fault = (slow := Fault(bytes_per_s=4_000))  # an answer takes its time, so the cuts come within one
            again.events += [event(number) for number in range(31, 46)]
            for ends in ("cut", "reset", "cut"):
                time.sleep(0.1)
                link.fault = Fault(ends=ends)
                link.fault = slow
            asked = link.accepted
            link.fault = HALF_OPEN
            again.events += [event(number) for number in range(46, 60)]
            until(lambda: link.accepted >= asked + 3, expected=True)  # given up by ourselves, and asked anew
            link.fault = NONE
            until(site.good, 59)
            again.close()
            assert len(site.spooled()) == 59
            assert site.faults() == 0
        finally:
            site.close()
