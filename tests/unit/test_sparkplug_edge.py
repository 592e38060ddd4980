"""Records of a Sparkplug edge node: births, aliases, order, deaths, history and quality (A17; DOMAIN 3.2)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.collectors.sparkplug_edge import Edge
from dataflows.collectors.sparkplug_payload import PayloadUnreadable, payload_of, value_of
from tests.peers.edge_node import BOOLEAN, DOUBLE, INT64, STRING, UINT64, payload

VECTORS = Path(__file__).parents[3] / "shared" / "fixtures" / "sparkplug" / "umh_vectors.json"
TIMEOUT_US = 5_000_000


def node(**more) -> Edge:
    return Edge("g", "e", **({"held_max": 3, "aliases_max": 1_000} | more))


def birth(seq: int = 0, bd_seq: int = 7, at_ms: int = 1, alias: int = 10, name: str = "Good") -> object:
    bd = {"name": "bdSeq", "datatype": INT64, "long_value": bd_seq}
    return payload_of(
        payload(seq, bd, {"name": name, "alias": alias, "datatype": UINT64, "long_value": 0}, at_ms=at_ms)
    )


def data(seq: int, value: int = 1, **more) -> object:
    return payload_of(payload(seq, {"alias": 10, "long_value": value, **more}, at_ms=2))


def death(bd_seq: int) -> object:
    return payload_of(payload(None, {"name": "bdSeq", "datatype": INT64, "long_value": bd_seq}))


@pytest.fixture(scope="module")
def vectors():
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not there: it is not part of this project")
    return {each["name"]: payload_of(base64.b64decode(each["base64"])) for each in json.loads(VECTORS.read_text())}


def test_the_published_vectors_are_read(vectors):
    edge = node()
    [born] = edge.take("NBIRTH", "", vectors["NBIRTH_V1"], 0)
    [told] = edge.take("NDATA", "", vectors["NDATA_V1"], 0)
    assert born["metrics"] == {"bdSeq": 88, "Node Control/Rebirth": False, "Temperature": 21.5}
    assert (told["seq"], told["metrics"]) == (1, {"Temperature": 22.5})
    assert (told["source"], told["session"]) == ("g/e", born["session"])
    [gap] = edge.take("NDATA", "", vectors["NDATA_GAP"], 0)
    assert (gap["seq"], gap["metrics"]) == (5, {"Temperature": 27.0})
    assert edge.wants_birth(TIMEOUT_US, TIMEOUT_US)
    [dead] = edge.take("NDEATH", "", vectors["NDEATH_V1"], 0)
    assert (dead["source"], dead["type"]) == ("g/e#apart", "NDEATH_STALE"), "its bdSeq is 0, the birth's 88"
    large = node(held_max=1)
    [told] = large.take("NBIRTH", "", vectors["NBIRTH_LARGE"], 0)
    assert len(told["metrics"]) == 102


def test_data_before_a_birth_wait_for_it_and_ask_for_it_once(vectors):
    edge = node()
    assert edge.take("NDATA", "", vectors["NDATA_BEFORE_BIRTH"], 0) == []
    assert edge.wants_birth(0, TIMEOUT_US)
    assert not edge.wants_birth(TIMEOUT_US - 1, TIMEOUT_US)
    assert edge.wants_birth(TIMEOUT_US, TIMEOUT_US)
    held, born = edge.take("NBIRTH", "", vectors["NBIRTH_V1"], TIMEOUT_US)
    assert held["source"] == "g/e#apart"
    assert held["bad"] == {"alias 100": 25.0}, "whose names are not sure is nobody's value"
    assert "metrics" not in held
    assert born["source"] == "g/e"
    assert not edge.wants_birth(9 * TIMEOUT_US, TIMEOUT_US)


def test_after_an_absence_data_belong_to_the_birth_if_the_edge_node_was_never_away():
    for bd_seq, source, session in ((7, "g/e", "7-1"), (8, "g/e#apart", "")):
        edge = node()
        edge.take("NBIRTH", "", birth(), 0)
        edge.absent()
        assert edge.take("DDATA", "d", data(9), 0) == []
        held, born = edge.take("NBIRTH", "", birth(bd_seq=bd_seq, at_ms=5), 0)
        assert (held["source"], held["session"]) == (source, session)
        assert born["session"] == f"{bd_seq}-5"


def test_of_more_messages_than_may_be_held_the_oldest_are_told_apart():
    edge = node(held_max=2)
    told = [edge.take("DDATA", "d", data(seq), 0) for seq in range(5)]
    assert [len(each) for each in told] == [0, 0, 1, 1, 1]
    assert [each[0]["seq"] for each in told[2:]] == [1, 2, 3]


def test_a_death_counts_only_for_its_own_birth():
    edge = node()
    edge.take("NBIRTH", "", birth(bd_seq=7), 0)
    assert edge.take("NDEATH", "", death(6), 0)[0]["type"] == "NDEATH_STALE"
    assert edge.take("DDATA", "d", data(1), 0)[0]["metrics"] == {"Good": 1}
    assert edge.take("NDEATH", "", death(7), 0)[0]["type"] == "NDEATH"
    assert edge.take("DDATA", "d", data(2), 0) == [], "what comes now waits for a birth"


def test_history_and_bad_values_are_never_present_values():
    edge = node()
    edge.take("NBIRTH", "", birth(), 0)
    [old] = edge.take("DDATA", "d", data(1, 5, is_historical=True, timestamp=99), 0)
    assert old["historical"] == {"Good": {"value": 5, "at": 99}}
    bad = {"properties": {"keys": ["Quality"], "values": [{"type": 3, "int_value": 500}]}}
    [stale] = edge.take("DDATA", "d", data(2, 6, **bad), 0)
    assert stale["bad"] == {"Good": 6}
    assert "metrics" not in old
    assert "metrics" not in stale


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ({"datatype": 1, "int_value": 0xFF}, -1),
        ({"datatype": 2, "int_value": 0x8000}, -32_768),
        ({"datatype": 3, "int_value": 0xFFFFFFFF}, -1),
        ({"datatype": 4, "long_value": 2**64 - 5}, -5),
        ({"datatype": 7, "int_value": 0xFFFFFFFF}, 2**32 - 1),
        ({"datatype": DOUBLE, "double_value": float("nan")}, None),
        ({"datatype": STRING, "string_value": "ü"}, "ü"),
        ({"datatype": BOOLEAN, "boolean_value": True}, True),
        ({"datatype": 17, "bytes_value": b"\x00\xff"}, "00ff"),
        ({"datatype": 8, "is_null": True, "long_value": 3}, None),
        ({"datatype": 8}, None),
    ],
)
def test_values_are_what_their_datatype_says(metric, value):
    [read] = payload_of(payload(0, {"name": "x", **metric})).metrics
    assert value_of(read, 0) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    edge = node(held_max=10_000)
    try:
        message = payload_of(body)
    except PayloadUnreadable:
        return
    for kind in ("NBIRTH", "DBIRTH", "DDATA", "NDEATH", "NDATA"):
        for told in edge.take(kind, "d", message, 0):
            json.dumps(told, allow_nan=False)


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(0, 255))
def test_a_birth_is_wanted_when_a_number_is_missing_for_too_long(offsets, first):
    """Against a twin that remembers every number."""
    edge = node()
    edge.take("NBIRTH", "", birth(seq=first), 0)
    seen = {0}
    for offset in offsets:
        edge.take("DDATA", "d", data(first + offset), 0)
        seen.add(offset)
    complete = seen == set(range(max(seen) + 1))
    assert edge.wants_birth(TIMEOUT_US, TIMEOUT_US) is (not complete)
