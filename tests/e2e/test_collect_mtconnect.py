"""An MTConnect agent over real HTTP, whose buffer is overrun and which starts anew, with kills (A17, M41)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dataflows.collectors.mtconnect import MtconnectAgent as Collector
from dataflows.collectors.mtconnect_settings import MtconnectCollector
from dataflows.collectors.refusals import PIECE_BYTES_MAX, Refusals
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable
from tests.collect_site import CollectSite, until
from tests.fault_proxy import HALF_OPEN, NONE, Fault, FaultProxy
from tests.peers.mtconnect_agent import MtconnectAgent

LOG = Path(__file__).parents[3] / "shared" / "fixtures" / "shdr" / "okuma_imts2022_shdr.txt"
MAPPING = """
plant = "N"
time_zone = "UTC"
format = "json"
[input]
collected = ["line"]
[fields]
source = "uuid"
session = "instanceId"
seq = "seq"
occurred = "timestamp"
type = "type"
good_counter = { path = "quantity", when = { path = "type", is = "PartCount" } }
[types]
PartCount = "partial"
Load = "telemetry"
[sequencing]
gap_timeout_s = 1
[counters]
first_reading = "count"
[aggregation]
idle_s = 1
[limits]
past_max_s = 315_360_000
"""
HEADER = '<Header instanceId="1" firstSequence="1" lastSequence="2" nextSequence="3"/>'


class Clock:
    now_us = 1

    def __call__(self) -> int:
        self.now_us += 10_000_000
        return self.now_us


@pytest.fixture
def agent():
    peer = MtconnectAgent()
    yield peer
    peer.close()


def asking(agent: MtconnectAgent, position: str | None = None, **more) -> Collector:
    reader = Collector(MtconnectCollector(protocol="mtconnect", url=agent.url, **more), "line", Clock(), Refusals())
    reader.seek(position, {})
    return reader


def told(reader: Collector, polls: int = 3) -> list[dict]:
    found = []
    for _ in range(polls):
        raw = reader.poll()
        found += [json.loads(raw.value(row)) for row in range(len(raw))]
    return found


def numbers(reader: Collector, polls: int = 3) -> list[tuple[str, int, int]]:
    return [(each["instanceId"], each["sequence"], each["seq"]) for each in told(reader, polls)]


def streams(content: str, header: str = HEADER) -> bytes:
    return f"<MTConnectStreams>{header}<Streams>{content}</Streams></MTConnectStreams>".encode()


def test_an_observation_is_one_record_with_all_that_is_told_of_it(agent):
    agent.say("PART_COUNT", "12")
    (record,) = told(asking(agent))
    assert record == {
        "dataItemId": "part_count",
        "timestamp": "2026-11-17T06:00:00Z",
        "device": "M1",
        "uuid": "M1-1",
        "component": "Path",
        "componentId": "p1",
        "componentName": "path",
        "category": "EVENT",
        "type": "PartCount",
        "sequence": 1,
        "instanceId": "1",
        "value": "12",
        "quantity": 12,
        "seq": 0,
    }


def test_conditions_data_sets_and_tables_are_told_as_they_are(agent):
    inner = (
        '<Condition><Fault dataItemId="c" sequence="1" type="SYSTEM" nativeCode="7">Oil &lt; min</Fault></Condition>'
        '<Events><VariableDataSet dataItemId="v" sequence="2" count="2"><Entry key="a">1</Entry><Entry key="b"/>'
        '</VariableDataSet><x:Own xmlns:x="urn:own" dataItemId="x" sequence="3">UNAVAILABLE</x:Own>'
        '<WorkOffsetTable dataItemId="w" sequence="4"><Entry key="G54"><Cell key="X">1.5</Cell><Cell key="Y">2</Cell>'
        "</Entry></WorkOffsetTable></Events>"
    )
    device = f'<DeviceStream name="d" uuid="u"><ComponentStream component="c">{inner}</ComponentStream></DeviceStream>'
    agent.answers = [(200, streams(device, HEADER.replace('"3"', '"5"')))]
    fault, data_set, own, table = told(asking(agent), 1)
    assert (fault["level"], fault["type"], fault["nativeCode"], fault["value"]) == ("Fault", "SYSTEM", "7", "Oil < min")
    assert (data_set["type"], data_set["entries"]) == ("VariableDataSet", {"a": "1", "b": ""})
    assert (own["type"], own["value"], "quantity" in own) == ("Own", "UNAVAILABLE", False)
    assert table["entries"] == {"G54": {"X": "1.5", "Y": "2"}}


def test_a_restart_anywhere_tells_each_observation_once_and_in_order(agent):
    seen, position = [], None
    for step in range(10):
        for _ in range(5):
            agent.say("PART_COUNT", step)
        reader = asking(agent, position, count=3)
        seen += numbers(reader, 1 + step % 2)
        position = reader.position()
        reader.close()
    seen += numbers(asking(agent, position), 3)
    assert seen == [("1", number + 1, number) for number in range(50)]


def test_devices_are_numbered_each_by_itself_also_where_a_path_leaves_some_out(agent):
    for number in range(6):
        agent.say("PART_COUNT", number, device=f"M{number % 2}")
        agent.say("LOAD", number)
    reader = asking(agent, path='//DataItem[@type="PART_COUNT"]', count=4)
    assert [(each["device"], each["seq"]) for each in told(reader)] == [
        ("M0", 0), ("M1", 0), ("M0", 1), ("M1", 1), ("M0", 2), ("M1", 2)
    ]  # fmt: skip
    assert [each["seq"] for each in told(asking(agent, device="M0"))] == [0, 1, 2]


def test_what_a_small_buffer_forgot_is_a_gap_in_the_numbers(caplog):
    agent = MtconnectAgent(buffer=5)
    for number in range(3):
        agent.say("PART_COUNT", number)
    reader = asking(agent)
    assert numbers(reader) == [("1", 1, 0), ("1", 2, 1), ("1", 3, 2)]
    for number in range(9):  # 4 to 12, of which 4 to 7 are overwritten
        agent.say("PART_COUNT", number)
    again = asking(agent, reader.position())
    assert numbers(again)[:2] == [("1", 8, 7), ("1", 9, 8)]
    assert "4 observations are lost" in caplog.text
    agent.say("PART_COUNT", 1)
    assert numbers(asking(agent, again.position())) == [("1", 13, 12)]
    agent.close()


@pytest.mark.parametrize("said", [1, 9, 30])
def test_an_agent_that_starts_anew_is_a_new_session_wherever_it_stands(agent, said):
    for number in range(10):
        agent.say("PART_COUNT", number)
    reader = asking(agent)
    told(reader)
    agent.close()
    anew = MtconnectAgent(agent.port, instance=2, buffer=10)
    for number in range(said):
        anew.say("PART_COUNT", number)
    first = max(said - 10, 0)
    assert numbers(reader, 4) == [("2", number + 1, number) for number in range(first, said)]
    anew.close()


CODES = {
    "elements deep": "DEEP_NESTING",
    "a name is longer": "TEXT_TOO_LONG",
    "more than the 1,000 observations": "FLOODED",
}
OBSERVATION = '<DeviceStream name="{}"><ComponentStream><Events>{}</Events></ComponentStream></DeviceStream>'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html/>", "not MTConnectStreams"),
        (b"{}", "no XML"),
        (b"", "no XML"),
        (b"<MTConnectStreams/>", "no header"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><MTConnectStreams>&b;</MTConnectStreams>', "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><MTConnectStreams/>', "document type"),
        (streams("<a>" * 100_000), "elements deep"),
        (streams("", HEADER.replace('"3"', f'"{"9" * 10_000}"')), "nextSequence is '9+', not a number"),
        (streams("", HEADER.replace('"3"', '"0"')), "nextSequence is 0"),
        (streams(OBSERVATION.format("d", '<P sequence="77"/>')), "sequence 77 is not of 1 to 2"),
        (streams(OBSERVATION.format("d" * 5_000, '<P sequence="1"/>')), "a name is longer"),
        (streams(OBSERVATION.format("d", '<P sequence="1"/>' * 1_001)), "more than the 1,000 observations"),
        (b'<MTConnectError><Header instanceId="1"/><E errorCode="NO_DEVICE">no</E></MTConnectError>', "NO_DEVICE: no"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_an_entry_and_the_next_answer_counts(agent, body, reason):
    agent.answers = [(200, body)]
    agent.say("PART_COUNT", 1)
    reader = asking(agent)
    with pytest.raises(AnswerUnusable, match=reason):
        reader.poll()
    (entry,) = reader._refusals.due(0)
    assert (entry.code, entry.piece) == (CODES.get(reason, "MALFORMED"), body[:PIECE_BYTES_MAX])
    assert [each["sequence"] for each in told(reader)] == [1]


def test_of_an_answer_that_is_too_long_less_is_asked_for(agent):
    for number in range(40):
        agent.say("PART_COUNT", "x" * 100)
        agent.say("LOAD", number)
    reader = asking(agent, answer_bytes_max=4_000)
    assert numbers(reader, 40) == [("1", number + 1, number) for number in range(80)]
    agent.say("PART_COUNT", "x" * 5_000)
    reader.poll()
    with pytest.raises(AnswerUnusable, match="one observation is longer"):
        numbers(reader, 20)
    assert [each.code for each in reader._refusals.due(0)] == ["OVERSIZE"]


def test_an_agent_that_is_away_or_fails_is_an_outage(agent):
    reader = asking(agent)
    agent.answers = [(503, b"")]
    with pytest.raises(SourceUnavailable, match="503"):
        reader.poll()
    agent.close()
    with pytest.raises(SourceUnavailable, match="does not answer"):
        reader.poll()


@pytest.mark.parametrize(
    ("more", "said"), [({"url": "ftp://x"}, "no address"), ({"url": "http://a:b@x"}, "credentials stand in the url")]
)
def test_settings_that_cannot_be_are_refused(more, said):
    with pytest.raises(ValueError, match=said):
        MtconnectCollector(protocol="mtconnect", **more)


def test_a_machines_own_day_comes_whole(agent):
    if not LOG.exists():
        pytest.skip(f"{LOG} is not there: it is not part of this project")
    said = []
    for line in LOG.read_text("utf-8").splitlines()[:400]:
        at, *items = line.split("|")
        for item, value in zip(items[::2], items[1::2], strict=False):
            if item.isidentifier():
                agent.say(item, value, at)
                said.append(value.strip())
    said = said[-1_000:]
    assert len(said) > 500
    assert [each["value"] for each in told(asking(agent, count=100), 12)] == said


def test_kills_of_both_sides_and_of_the_link_lose_and_double_nothing_and_a_gap_is_declared(agent, tmp_path):
    with FaultProxy(agent.port) as link:
        collector = f'protocol = "mtconnect"\nurl = "http://127.0.0.1:{link.port}"\nevery_s = 0.1\ntimeout_s = 0.5\n'
        collector += '[[collect.line.signals]]\nitems = ["load"]\nrule = "swinging-door"\nwidth = 0.5'
        site = CollectSite(tmp_path, MAPPING, collector)
        try:
            site.start("collect", "confirmations")
            for number in range(1, 11):
                agent.say("LOAD", 2 * number + number % 2 / 2, f"2026-11-17T06:00:{number:02}Z")
                agent.say("PART_COUNT", number)
            until(site.good, 10)
            site.kill("collect")
            for number in range(11, 21):
                agent.say("LOAD", 2 * number + number % 2 / 2, f"2026-11-17T06:00:{number:02}Z")
                agent.say("PART_COUNT", number)
            site.start("collect")
            until(site.good, 20)
            link.fault = (slow := Fault(bytes_per_s=10_000))  # an answer takes its time, so the cuts come within one
            for number in range(21, 26):
                agent.say("PART_COUNT", number)
            for ends in ("cut", "reset", "cut"):
                time.sleep(0.1)
                link.fault = Fault(ends=ends)
                link.fault = slow
            asked = link.accepted
            link.fault = HALF_OPEN
            for number in range(26, 31):
                agent.say("PART_COUNT", number)
            until(lambda: link.accepted >= asked + 3, expected=True)  # given up by ourselves, and asked anew
            link.fault = NONE
            until(site.good, 30)
            agent.close()
            anew = MtconnectAgent(agent.port, instance=2, buffer=10)
            site.kill("confirmations")
            for number in range(1, 26):  # 1 to 15 are overwritten before anybody asks again
                anew.say("PART_COUNT", number)
            site.start("confirmations")
            until(site.good, 55)
            anew.close()
            records = [json.loads(record) for record in site.spooled()]
            loads = [each for each in records if each["type"] == "Load"]
            assert len(records) == 40 + len(loads)
            # One line from end to end, whose end was held, over the kill, until another agent showed it to be the last.
            assert [(each["timestamp"][-3:-1], each["quantity"], each["instanceId"]) for each in loads] == [
                ("01", 2.5, "1"), ("20", 40, "1")
            ]  # fmt: skip
            assert [each["seq"] for each in records] == [*range(32), *range(15, 25)]
            (gap,) = (json.loads(stored.value) for stored in site._read("plantsync.db", "gaps"))
            assert (gap["session"], gap["first_seq"], gap["last_seq"]) == ("2", 0, 14)
        finally:
            site.close()
