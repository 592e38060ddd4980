"""Lines of an MTConnect adapter, from a real one over TCP (A17)."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from canonical.records import RawRecords
from dataflows.collectors.refusals import PIECE_BYTES_MAX, Refusals
from dataflows.collectors.shdr import CONNECTED, ShdrLines
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.collectors.shdr_signals import ShdrSignals
from dataflows.collectors.signal_settings import DeadbandSignal, SwingingDoorSignal
from dataflows.collectors.signals import counts
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
    reader = ShdrLines(section, "okuma", clock, Refusals())
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
    again = ShdrLines(lines._section, "okuma", clock, Refusals())
    again.seek(lines.position(), {})
    raw = again.poll()
    again.close()
    assert (texts(raw), raw.offsets.tolist()) == ([CONNECTION + "2"], [3])
    before_signals = '{"number":7,"connections":3}'
    again.seek(before_signals, {})
    assert again.position() == '{"number":7,"connections":3,"heard":0}'


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


def test_a_line_that_is_too_long_is_refused_once_and_no_part_of_it_told(adapter, lines):
    lines.poll()
    adapter.wait_connected()
    adapter.say("x" * 1_000_000, "T1|a|" + "1" * 252, "T2|a|" + "2" * 251)
    assert heard(lines, 1) == ["T2|a|" + "2" * 251]
    (entry,) = lines._refusals.due(0)
    words = f"127.0.0.1:{adapter.port}: a line longer than 256 bytes"
    assert (entry.code, entry.detail) == ("OVERSIZE", f"2 times: {words}")
    assert (entry.piece, len(entry.piece) <= PIECE_BYTES_MAX) == (b"x" * len(entry.piece), True)


T = "2026-11-17T06:00:0{}Z"
LOAD = DeadbandSignal(items=["load", "Z*"], rule="deadband", width=1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (T.format(2) + "|load|50.5", []),
        (T.format(2) + "|load| 52|parts|7", ["as it is"]),
        (T.format(2) + "|parts|7|load|50|mode|AUTO", [T.format(2) + "|parts|7|mode|AUTO"]),
        (T.format(2) + "@100.0|load|51|Z1|3", [T.format(2) + "@100.0|Z1|3"]),
        (T.format(2) + "|parts|7", ["as it is"]),
        (T.format(2) + "|load|UNAVAILABLE", ["as it is"]),
        (T.format(2) + "|load", ["as it is"]),
        (T.format(2), ["as it is"]),
        (T.format(2) + '|message|"a\\|load|50"|load|50', ["as it is"]),
        (T.format(2) + "|@ASSET@|load|50|x", ["as it is"]),
        ("now|load|50", ["as it is"]),
        ("2026-11-17T06:00:02|load|50", ["as it is"]),
        ("</load>|load|50", ["as it is"]),
        ("* device: load", ["as it is"]),
    ],
)
def test_of_a_line_goes_what_is_left_out_and_nothing_else(line, told):
    signals = ShdrSignals([LOAD])
    assert signals.told([(T.format(1) + "|load|50").encode()], 0) == [(T.format(1) + "|load|50").encode()]
    assert signals.told([line.encode()], 0) == [line.encode() if each == "as it is" else each.encode() for each in told]


def test_what_is_held_is_a_line_of_its_own_before_the_one_that_bends(adapter, clock):
    door = SwingingDoorSignal(items=["load"], rule="swinging-door", width=0, heartbeat_s=9)
    section = ShdrCollector(protocol="shdr", host="127.0.0.1", port=adapter.port, signals=(door,))
    reader = ShdrLines(section, "okuma", clock, Refusals())
    reader.seek(None, {})
    reader.poll()
    adapter.wait_connected()
    adapter.say(*(f"{T.format(n)}|load|{n}|parts|{n // 2}" for n in range(3)), T.format(3) + "|load|7")
    said = heard(reader, 4)
    assert said == [
        f"{T.format(0)}|load|0|parts|0", f"{T.format(1)}|parts|0", f"{T.format(2)}|parts|1", f"{T.format(2)}|load|2"
    ]  # fmt: skip
    position, state = reader.position(), dict(reader.state())
    reader.close()
    again = ShdrLines(section, "okuma", clock, Refusals())
    again.seek(position, state)
    clock.now_us += 10_000_000
    assert texts(again.poll()) == [T.format(3) + "|load|7"], "the last is told when its time is over"
    assert counts(state | again.state()) == {"read": 4, "told": 3, "held": 0, "left_out": 1}
    again.close()
