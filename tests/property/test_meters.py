"""Counters of work centres, and counters that go on over sessions, against the naive twin (A17; DOMAIN 3.2)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.policy import DEFAULT_ROUTES, CounterPolicy
from dataflows.processors.meters import Meters
from tests.property.twins_counter import NaiveCounter

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["e1", "e2"]),
            "work_center": st.sampled_from(["", "A", "B"]),
            "good_counter": st.integers(-1, 12).map(lambda n: n * 1000 if n >= 0 else -1),
            "scrap_counter": st.just(-1),
            "good": st.integers(0, 2).map(lambda n: n * 1000),
            "scrap": st.just(0),
            "occurred_us": st.integers(0, 4),
            "new_session": st.booleans(),
            "type": st.sampled_from(["partial", "partial", "telemetry"]),
        }
    ),
    max_size=30,
)
POLICIES = st.builds(
    CounterPolicy,
    scope=st.sampled_from(["session", "source"]),
    by_work_center=st.booleans(),
    first_reading=st.sampled_from(["baseline", "count"]),
    jump_max=st.sampled_from([None, 5]),
).filter(lambda policy: not policy.of_sessions)


def numbered(rows: list[dict]) -> list[dict]:
    session, seq = {}, {}
    for row in rows:
        source = row["source"]
        if row["new_session"] or source not in session:
            session[source] = session.get(source, 0) + 1
            seq[source] = -1
        seq[source] += 1
        row["session"], row["seq"] = f"s{session[source]}", seq[source]
    return rows


def batch_of(rows: list[dict], sessions: Sessions) -> EventBatch:
    code = sessions.vocabulary.code
    sids = [sessions.row(code("P"), code(row["source"]), code(row["session"])) for row in rows]
    names = ("good_counter", "scrap_counter", "good", "scrap", "seq", "occurred_us")
    columns = {name: np.array([row[name] for row in rows], np.int64) for name in names}
    columns["offset"] = columns["seq"]
    columns["work_center"] = sessions.vocabulary.codes([row["work_center"] for row in rows])
    columns["type"] = np.array([TYPE_CODE[EventType(row["type"])] for row in rows], np.int8)
    columns["sid"] = np.array(sids, np.int32)
    columns["row"] = np.arange(len(rows), dtype=np.int32)
    return EventBatch(len(rows), columns).take(np.lexsort((columns["seq"], columns["sid"])))


def run(policy: CounterPolicy, rows: list[dict], cuts: list[int], restarts: set[int]) -> tuple[dict, Meters, Sessions]:
    sessions = Sessions(Vocabulary())
    meters = Meters(policy, DEFAULT_ROUTES, sessions, by_time=False)
    results = {}
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(rows)), len(rows)]
    for number, (a, b) in enumerate(pairwise(bounds)):
        if a < b:
            batch = batch_of(rows[a:b], sessions)
            done = meters.step(batch, EventBatch.empty(), 0)
            texts = sessions.vocabulary.texts
            assert (np.diff(np.lexsort((done.ready["seq"], done.ready["sid"]))) == 1).all() or len(done.ready) < 2
            for place in range(len(done.ready)):
                sid = done.ready["sid"][place]
                key = texts[sessions.source[sid]], texts[sessions.session[sid]], int(done.ready["seq"][place])
                results[key] = int(done.ready["good"][place])
            for fault in done.faults:
                assert fault.code is FaultCode.ABSURD_QUANTITY
                results[fault.source, fault.session, fault.seq] = None
        if number in restarts:
            other = Vocabulary()
            other.codes(["x", "e2", "s9", "B"])
            sessions = Sessions(other)
            sessions.row(other.code("P"), other.code("e2"), other.code("s9"))
            meters = Meters(policy, DEFAULT_ROUTES, sessions, by_time=False, data=meters.encode())
    return results, meters, sessions


@given(POLICIES, ROWS, st.lists(st.integers(0, 30), max_size=4), st.sets(st.integers(0, 4)))
def test_any_cut_and_any_restart_agrees_with_the_naive_twin(policy, rows, cuts, restarts):
    rows = numbered(rows)
    twin, expected, faults = NaiveCounter(policy, DEFAULT_ROUTES, by_time=policy.scope == "source"), {}, {}
    for row in rows:
        meter = (
            row["source"],
            row["session"] if policy.scope == "session" else "",
            row["work_center"] if policy.by_work_center else "",
        )
        counted = twin.row(meter, row)
        key = row["source"], row["session"], row["seq"]
        expected[key] = None if counted is None else counted[0]
        if counted is None:
            faults[key[:2]] = faults.get(key[:2], 0) + 1
    results, meters, sessions = run(policy, rows, cuts, restarts)
    assert results == expected
    texts = sessions.vocabulary.texts
    sids, counts = meters.faulted()
    told = {(texts[sessions.source[sid]], texts[sessions.session[sid]]): n for sid, n in zip(sids, counts, strict=True)}
    assert told == faults


def test_what_was_made_between_two_sessions_counts_with_the_first_reading_of_the_second():
    rows = numbered(
        [
            {"source": "e1", "work_center": "A", "good_counter": reading, "scrap_counter": -1, "good": 0, "scrap": 0}
            | {"new_session": new, "type": "partial", "occurred_us": reading}
            for reading, new in ((5_000, True), (7_000, False), (19_000, True))
        ]
    )
    results, *_ = run(CounterPolicy(scope="source"), rows, [], set())
    assert list(results.values()) == [0, 2_000, 12_000]


@pytest.mark.parametrize("first", ["A", "B"])
def test_one_counter_too_many_is_a_fault_and_the_others_count_on(first):
    sessions = Sessions(Vocabulary())
    meters = Meters(
        CounterPolicy(by_work_center=True, meters_max=1, first_reading="count"), DEFAULT_ROUTES, sessions, by_time=False
    )
    second = "B" if first == "A" else "A"
    rows = [
        {"source": "e1", "session": "s", "seq": seq, "work_center": place, "good_counter": 1_000 * (seq + 1)}
        | {"scrap_counter": -1, "good": 0, "scrap": 0, "type": "partial", "occurred_us": seq}
        for seq, place in enumerate((first, second, first))
    ]
    done = [meters.step(batch_of([row], sessions), EventBatch.empty(), 0) for row in rows]
    assert [len(each.ready) for each in done] == [1, 0, 1]
    assert [fault.code for each in done for fault in each.faults] == [FaultCode.SESSIONS_EXHAUSTED]
    assert done[2].ready["good"].tolist() == [2_000]
