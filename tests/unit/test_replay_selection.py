"""What a replay takes: criteria, offsets, places (M29)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts import DeadLetter, Fault, FaultCode
from dataflows.replay.selection import ReplayedPlaces, ReplayRefused, Selection, offset_range

LETTER = DeadLetter(
    topic="plant-a/1.ndjson",
    value=b"x",
    fault=Fault(code=FaultCode.UNKNOWN_UNIT, plant="A", source="m1", offset=(3 << 40) | 70),
    stage="decode",
    failed_us=1_000,
    first_failed_us=500,
)
SHARD = "folder:plant-a"


@pytest.mark.parametrize(
    ("criteria", "meant"),
    [
        ({}, True),
        ({"places": ("17",)}, True),
        ({"places": ("18",)}, False),
        ({"codes": (FaultCode.UNKNOWN_UNIT,)}, True),
        ({"codes": (FaultCode.MALFORMED,)}, False),
        ({"plant": "A"}, True),
        ({"plant": "B"}, False),
        ({"source": "m1"}, True),
        ({"source": "m2"}, False),
        ({"topic": "plant-a/1.ndjson"}, True),
        ({"topic": "plant-a"}, True),
        ({"topic": "plant-a/2.ndjson"}, False),
        ({"shard": SHARD}, True),
        ({"shard": "folder:plant-b"}, False),
        ({"shard": SHARD, "first_offset": 70, "last_offset": 70}, True),
        ({"shard": SHARD, "first_offset": 71}, False),
        ({"shard": SHARD, "last_offset": 69}, False),
        ({"since_us": 1_000}, True),
        ({"since_us": 1_001}, False),
        ({"until_us": 1_001}, True),
        ({"until_us": 1_000}, False),
    ],
)
def test_all_criteria_must_hold(criteria, meant):
    assert Selection(**criteria).means_letter("17", LETTER, SHARD) is meant


def test_a_source_that_could_not_be_read_may_be_meant():
    unread = LETTER.model_copy(update={"fault": Fault(code=FaultCode.TRUNCATED, offset=1)})

    assert Selection(source="m2", plant="B").means_letter("17", unread, SHARD)


def test_offsets_of_a_partition_are_taken_whole():
    far = LETTER.model_copy(update={"topic": "t", "fault": Fault(code=FaultCode.TRUNCATED, offset=(3 << 40) | 70)})

    assert not Selection(shard="t-0", first_offset=70, last_offset=70).means_letter("0:1", far, "t-0")


@pytest.mark.parametrize(
    "criteria",
    [
        {"first_offset": 1},
        {"origin": "input"},
        {"origin": "input", "shard": SHARD, "codes": (FaultCode.MALFORMED,)},
        {"origin": "input", "shard": SHARD, "again": True},
    ],
)
def test_criteria_that_make_no_sense_together_are_refused(criteria):
    with pytest.raises(ReplayRefused):
        Selection(**criteria)


@pytest.mark.parametrize(("text", "expected"), [("1:2", (1, 2)), ("1:", (1, None)), (":2", (None, 2)), ("7:7", (7, 7))])
def test_offset_ranges(text, expected):
    assert offset_range(text) == expected


@pytest.mark.parametrize("text", ["", ":", "1", "2:1", "a:b", "-1:2", "1:2:3"])
def test_what_is_no_offset_range_is_refused(text):
    with pytest.raises(ValueError, match=r"is not A:B|ends before"):
        offset_range(text)


PLACE = st.one_of(st.integers(0, 30).map(str), st.builds("{}:{}".format, st.integers(0, 2), st.integers(0, 30)))


@given(st.lists(st.lists(PLACE)))
def test_replayed_places_are_a_set_kept_as_ranges(batches):
    places, expected = ReplayedPlaces.none(), set()
    for batch in batches:
        places = places.with_places(batch)
        expected |= set(batch)

    every = [str(i) for i in range(31)] + [f"{p}:{i}" for p in range(3) for i in range(31)]
    assert {place for place in every if place in places} == expected
    for ranges in places.ranges.values():
        assert all(b[0] > a[1] + 1 for a, b in pairwise(ranges))
