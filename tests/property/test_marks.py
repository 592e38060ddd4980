"""Marks and minutes depend on the rows, never on how these were cut, on a restart, or on other sessions (M22, M47)."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts import EventType
from canonical.policy import DEFAULT_ROUTES, StatePolicy
from dataflows.processors.kinds import kinds
from dataflows.processors.marks import Marks
from dataflows.processors.minutes import MINUTE_US, SUMMED, Minutes

POLICY = StatePolicy(setup_reasons=("SETUP", "TOOL"))
STATES = {"start": "production", "resume": "production", "pause": "delay", "downtime": "down", "complete": "idle"}
TYPES = (*STATES, "downtime", *["partial"] * 4, "scrap", "telemetry", "state")

rows = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["m1", "m2"]),
            "type": st.sampled_from(TYPES),
            "good": st.sampled_from([0, 1_000]),
            "machine_us": st.integers(0, 5),
            "occurred_us": st.integers(-MINUTE_US, 3 * MINUTE_US),
            "reason": st.sampled_from(["", "TOOL", "FAULT"]),
            "work_center": st.sampled_from(["", "WC"]),
        }
    ),
    max_size=20,
)


def batch(told, sessions, numbers):
    """The rows as the sequencer hands them on: by session, numbered."""
    vocabulary = sessions.vocabulary
    named = [sessions.row(vocabulary.code("A"), vocabulary.code(row["source"]), 0) for row in told]
    seqs = []
    for row in told:
        seqs.append(numbers[row["source"]])
        numbers[row["source"]] += 1
    columns = {
        "sid": np.array(named, np.int32),
        "seq": np.array(seqs, np.int64),
        "type": np.array([TYPE_CODE[EventType(row["type"])] for row in told], np.int8),
    }
    columns |= {name: np.array([row[name] for row in told], np.int64) for name in ("good", "machine_us", "occurred_us")}
    columns |= {name: vocabulary.codes([row[name] for row in told]) for name in ("reason", "work_center")}
    return EventBatch(len(told), columns).take(np.argsort(columns["sid"], kind="stable"))


def as_rows(columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def expected_marks(told, late, policy):
    """The naive twin: one row after the other."""
    stopped, marks, numbers = {}, [], Counter()
    for row in [*told, *late]:
        seq = numbers[row["source"]]
        numbers[row["source"]] += 1
        state = STATES.get(row["type"])
        if state and state != "idle" and row["reason"] in policy.setup_reasons:
            state = "setup"
        if any(row is each for each in late):
            if state:
                marks.append((row["source"], seq, row["occurred_us"], state))
            continue
        ends = policy.output_ends_stops and row["good"] and stopped.get(row["source"])
        if state is None and row["type"] == "partial" and ends:
            state = "production"
        if state:
            stopped[row["source"]] = state in ("setup", "delay", "down")
            marks.append((row["source"], seq, row["occurred_us"], state))
    return sorted(marks)


@settings(max_examples=100, deadline=None)
@given(rows, rows, st.booleans(), st.data())
def test_marks_are_those_of_one_row_after_the_other(told, late, output_ends_stops, data):
    sessions = Sessions(Vocabulary())
    policy = POLICY.model_copy(update={"output_ends_stops": output_ends_stops})
    marks, numbers, found = Marks(policy, sessions), Counter(), []
    left = list(told)
    while left:
        size = data.draw(st.integers(1, len(left)))
        part = batch(left[:size], sessions, numbers)
        concerned = marks.concerned(kinds(part))
        done = as_rows(marks.step(part, EventBatch.empty()))
        assert concerned or not done
        found += done
        left = left[size:]
        if data.draw(st.booleans()):
            state, sessions = marks.encode(), Sessions(Vocabulary())
            sessions.vocabulary.code("another process has other codes")
            marks = Marks.decode(policy, sessions, state)
    found += as_rows(marks.step(EventBatch.empty(), batch(late, sessions, numbers)))
    said = sorted((row["source"], row["seq"], row["occurred_us"], row["state"]) for row in found)
    assert said == expected_marks(told, late, policy)
    told_by = {(row["source"], row["seq"]): row for row in found}
    numbers = Counter()
    for row in [*told, *late]:
        mark = told_by.get((row["source"], numbers[row["source"]]))
        numbers[row["source"]] += 1
        if mark:
            assert (mark["type"], mark["reason"], mark["work_center"]) == (
                row["type"], row["reason"], row["work_center"]
            )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(rows, st.data())
def test_minutes_add_up_to_the_rows_of_analytics_only(told, data):
    sessions = Sessions(Vocabulary())
    minutes, numbers, found = Minutes(DEFAULT_ROUTES, sessions), Counter(), []
    left = list(told)
    while left:
        size = data.draw(st.integers(1, len(left)))
        part = batch(left[:size], sessions, numbers)
        if minutes.concerned(kinds(part)):
            minutes.step(part)
        left = left[size:]
        if data.draw(st.booleans()):
            found.append(as_rows(minutes.take()))
    found.append(as_rows(minutes.take()))
    assert as_rows(minutes.take()) == []
    sums = Counter()
    for part in found:
        keys = [(row["plant"], row["work_center"], row["source"], row["minute_us"]) for row in part]
        assert len(set(keys)) == len(keys), "one row for each key"
        for row, key in zip(part, keys, strict=True):
            for name in ("events", *SUMMED):
                sums[*key, name] += row[name]
    wanted = Counter()
    for row in told:
        if row["type"] in ("telemetry", "state"):
            key = ("A", row["work_center"], row["source"], row["occurred_us"] // MINUTE_US * MINUTE_US)
            wanted[*key, "events"] += 1
            for name in ("good", "machine_us"):
                wanted[*key, name] += row[name]
    assert +sums == +wanted
