"""Which order is at a work centre: the naive twin, arrival in any order, restarts, and what is forgotten (M22)."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import EventType
from dataflows.processors.posting.failure import Failure
from dataflows.processors.posting.presence import AttributionPolicy, Presence
from dataflows.processors.posting.timeline import Mark
from tests.property import twin_presence

NOON_US = 1_772_539_200_000_000
INTERVAL_US = 25
KINDS = ("start", "pause", "resume", "downtime", "complete")
WORDS = {"NO_ORDER_ACTIVE": "nobody", "ORDER_AMBIGUOUS": "several"}

marks = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from([*KINDS, "start", "complete"]),
        st.sampled_from(["1", "1", "2"]),
        st.sampled_from(["0010", "0010", "0020", ""]),
        st.sampled_from(["W", "W", "V"]),
    ),
    max_size=10,
)
asked = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 12), st.sampled_from(["", "0010", "0020"])), max_size=8)


def told(drawn):
    """Return marks with their work centres; ids do not ascend with instants."""
    return [
        (work_center, Mark(NOON_US + at, f"e{(n * 7) % 10}", EventType(kind), order, operation, is_setup=False))
        for n, (at, kind, order, operation, work_center) in enumerate(drawn)
    ]


def answer(presence, first_us, last_us, operation):
    found = presence.at("A", "W", operation, first_us, last_us)
    return WORDS[found.code.value] if isinstance(found, Failure) else (found.order, found.operation)


@settings(max_examples=200, deadline=None)
@given(marks, asked, st.randoms(use_true_random=False))
def test_who_is_there_is_what_the_naive_twin_says_however_marks_arrive(drawn, asked_, chance) -> None:
    policy = AttributionPolicy(interval_max_us=INTERVAL_US)
    arrivals = told(drawn)
    all_ = [(m.at_us, m.event_id, m.type.value, m.order, m.operation) for place, m in arrivals if place == "W"]
    chance.shuffle(arrivals)
    presence, parts = Presence(policy), {}
    for place, mark in arrivals:
        assert presence.tell("A", place, mark)
        assert not presence.tell("A", place, mark), "a copy is no news"
        if chance.random() < 0.3:
            parts |= presence.encode()
            presence = Presence(policy)
            presence.decode({name: value for name, value in parts.items() if value})
    for first, span, operation in asked_:
        span_us = (NOON_US + first, NOON_US + first + span)
        expected = twin_presence.at(all_, operation, *span_us, INTERVAL_US)
        assert answer(presence, *span_us, operation) == expected
        found = presence.at("A", "W", operation, *span_us)
        if isinstance(found, Mark):
            assert found.at_us <= span_us[0], "what is cited was known to be so before the first event"


@settings(max_examples=100, deadline=None)
@given(marks, asked, st.integers(1, 6), st.randoms(use_true_random=False))
def test_what_is_forgotten_is_the_oldest_and_no_answer_is_given_that_needs_it(drawn, asked_, most, chance) -> None:
    policy = AttributionPolicy(interval_max_us=INTERVAL_US, marks_max=most)
    whole = Presence(AttributionPolicy(interval_max_us=INTERVAL_US))
    several = []
    for seed in range(3):
        arrivals = told(drawn)
        random.Random(seed).shuffle(arrivals)
        presence, parts = Presence(policy), {}
        for place, mark in arrivals:
            presence.tell("A", place, mark)
            whole.tell("A", place, mark)
            assert len(presence) <= most
            if chance.random() < 0.3:
                parts |= presence.encode()
                presence = Presence(policy)
                presence.decode({name: value for name, value in parts.items() if value})
        several.append([presence.at("A", "W", o, NOON_US + f, NOON_US + f + span) for f, span, o in asked_])
    assert several[0] == several[1] == several[2]
    for found, (first, span, operation) in zip(several[0], asked_, strict=True):
        if isinstance(found, Failure) and "too long ago" in found.message:
            continue
        assert found == whole.at("A", "W", operation, NOON_US + first, NOON_US + first + span)
