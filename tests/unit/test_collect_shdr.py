"""Lines of an MTConnect adapter, from a real one over TCP (A17)."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from canonical.records import RawRecords
from dataflows.collectors.shdr import CONNECTED, ShdrLines
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.sources.errors import SourceUnavailable
from tests.peers.shdr_adapter import Adapter

CONNECTION = "1970-01-01T00:00:01.000Z|" + CONNECTED + "|"


class Clock:
    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def adapter():
    peer = Adapter()
    yield peer
    peer.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(adapter, clock):
    section = ShdrCollector(protocol="shdr", host="127.0.0.1", port=adapter.port, line_bytes_max=256)
    reader = ShdrLines(section, "okuma", clock)
    reader.seek(None, {})
    yield reader
    reader.close()


def texts(raw: RawRecords) -> list[str]:
    return [raw.value(row).decode() for row in range(len(raw))]


def heard(reader: ShdrLines, count: int) -> list[str]:
    said: list[str] = []
    deadline = time.monotonic() + 20
    while len(said) < count:
        assert time.monotonic() < deadline, said
        said += texts(reader.poll())
    return said


def lost(reader: ShdrLines) -> SourceUnavailable:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            reader.poll()
        except SourceUnavailable as error:
            return error
    raise AssertionError("the loss was not noticed")


def test_lines_come_whole_and_in_order_however_they_were_cut(adapter, lines):
    assert texts(lines.poll()) == [CONNECTION + "1"]
    adapter.wait_connected()
    for part in ("T1|a|1\nT2|", "a|2\r\n\n", "T3|a|3\n"):
        adapter._connected[0].sendall(part.encode())
        with suppress(TimeoutError):
            time.sleep(0.02)
    assert heard(lines, 3) == ["T1|a|1", "T2|a|2", "T3|a|3"]


def test_records_are_numbered_over_connections_and_restarts(adapter, lines, clock):
    lines.poll()
    adapter.wait_connected()
    adapter.say("T1|a|1")
    heard(lines, 1)
    again = ShdrLines(lines._section, "okuma", clock)
    again.seek(lines.position(), {})
    raw = again.poll()
    again.close()
    assert (texts(raw), raw.offsets.tolist()) == ([CONNECTION + "2"], [3])


def test_what_was_said_before_the_end_is_told_before_the_end(adapter, lines):
    lines.poll()
    adapter.wait_connected()
    adapter.say("T1|a|1", "T2|a|2")
    adapter.hang_up()
    assert heard(lines, 2) == ["T1|a|1", "T2|a|2"]
    error = lost(lines)
    assert error.retryable
    assert "collect.okuma" in str(error)
    assert "is lost" in str(error)
    assert heard(lines, 1) == [CONNECTION + "2"]


def test_nobody_there_is_told_with_the_address(adapter, lines):
    adapter.close()
    with pytest.raises(SourceUnavailable, match=rf"127\.0\.0\.1:{adapter.port} cannot be reached"):
        lines.poll()


def test_an_adapter_that_gives_no_sign_of_life_is_left(adapter, lines, clock):
    lines.poll()
    adapter.wait_connected()
    adapter.silent = True
    clock.now_us += 10_000_000
    lines.poll()
    clock.now_us += 10_000_001
    with pytest.raises(SourceUnavailable, match="silent for 20 s"):
        lines.poll()
    assert heard(lines, 1) == [CONNECTION.replace("01.000", "21.000") + "2"]


def test_a_sign_of_life_keeps_the_connection_and_is_no_record(adapter, lines, clock):
    lines.poll()
    adapter.wait_connected()
    for number in range(1, 4):
        clock.now_us += 10_000_000
        deadline = time.monotonic() + 20
        while adapter.pings < number or lines._heard_us < clock.now_us:
            assert texts(lines.poll()) == []
            assert time.monotonic() < deadline
    adapter.say("T1|a|1")
    assert heard(lines, 1) == ["T1|a|1"]


def test_a_line_without_end_is_cut_and_told_once(adapter, lines):
    lines.poll()
    adapter.wait_connected()
    adapter.say("x" * 100_000, "T2|a|2")
    said = heard(lines, 2)
    assert said == ["x" * 256, "T2|a|2"]
