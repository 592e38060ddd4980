"""Laws of the counter: agreement with the naive twin, in any cut and across restarts; sums."""

import itertools
import runpy
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import COUNTER_COLUMNS, TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.policy import DEFAULT_ROUTES, CounterPolicy
from dataflows.processors.counter import Counter

NaiveCounter = runpy.run_path(str(Path(__file__).with_name("twins_counter.py")))["NaiveCounter"]

policies = st.builds(
    CounterPolicy,
    first_reading=st.sampled_from(["baseline", "count"]),
    rollover=st.sampled_from([None, 100, 1000]),
    jump_max=st.sampled_from([None, 5, 40]),
)
# Small numbers near each other and near the moduli, so that every rule is met often.
readings = st.one_of(
    st.just(-1),
    st.integers(0, 60).map(lambda r: r * 1000),
    st.integers(90, 110).map(lambda r: r * 1000 + 500),
    st.integers(985, 1005).map(lambda r: r * 1000),
)
rows_ = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["m1", "m2", "m3"]),
            "good_counter": readings,
            "scrap_counter": readings,
            "good": st.integers(0, 3),
            "scrap": st.just(0),
            "occurred_us": st.integers(0, 6),
            "type": st.sampled_from(["partial", "partial", "complete", "downtime", "telemetry"]),
        }
    ),
    max_size=40,
)


def numbered(rows):
    seen = {}
    for row in rows:
        row["seq"] = seen[row["source"]] = seen.get(row["source"], -1) + 1
    return rows


def batch_of(rows, sessions):
    """Return the rows as sequence hands them on: ordered by (sid, seq)."""
    code = sessions.vocabulary.code
    sids = [sessions.row(code("P"), code(row["source"]), 0) for row in rows]
    columns = {
        name: np.array([row[name] for row in rows], np.int64) for name in rows[0] if name not in {"source", "type"}
    }
    columns = {name: column for name, column in columns.items() if name not in COUNTER_COLUMNS or (column >= 0).any()}
    columns["type"] = np.array([TYPE_CODE[EventType(row.get("type", "partial"))] for row in rows], np.int8)
    columns["sid"] = np.array(sids, np.int32)
    columns["row"] = np.arange(len(rows), dtype=np.int32)
    return EventBatch(len(rows), columns).take(np.lexsort((columns["seq"], columns["sid"])))


def results_of(outcome, sessions):
    """Return {(source, seq): (good, scrap), or None for a fault}."""
    texts, ready = sessions.vocabulary.texts, outcome.ready
    sources = [texts[sessions.source[sid]] for sid in ready["sid"].tolist()]
    results = dict(
        zip(
            zip(sources, ready["seq"].tolist(), strict=True),
            zip(ready["good"].tolist(), ready["scrap"].tolist(), strict=True),
            strict=True,
        )
    )
    for fault in outcome.faults:
        assert fault.code is FaultCode.ABSURD_QUANTITY
        assert fault.row >= 0
        results[fault.source, fault.seq] = None
    return results


def run(policy, chunks, restart_after=(), *, by_time=False):
    sessions = Sessions(Vocabulary())
    counter = Counter(policy, DEFAULT_ROUTES, sessions, by_time=by_time)
    results = {}
    for i, chunk in enumerate(chunks):
        if chunk:
            results |= results_of(counter.step(batch_of(chunk, sessions), EventBatch.empty(), 0), sessions)
        if i in restart_after:
            # Other texts first, so that the new process gives every session another row and code.
            other = Vocabulary()
            other.codes(["x", "m3", "y"])
            sessions = Sessions(other)
            sessions.row(other.code("P"), other.code("m3"), 0)
            counter = Counter.decode(policy, DEFAULT_ROUTES, sessions, counter.encode(), by_time=by_time)
    return results, counter


@given(policies, rows_, st.lists(st.integers(0, 40), max_size=5), st.sets(st.integers(0, 5)), st.booleans())
def test_any_cut_and_any_restart_agrees_with_the_naive_twin(policy, rows, cuts, restarts, by_time):
    rows = numbered(rows)
    naive = NaiveCounter(policy, DEFAULT_ROUTES, by_time=by_time)
    expected = {(row["source"], row["seq"]): naive.row(row["source"], row) for row in rows}
    bounds = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    chunks = [rows[a:b] for a, b in itertools.pairwise(bounds)]
    results, counter = run(policy, chunks, restarts, by_time=by_time)
    assert results == expected
    assert counter.faulted()[1].sum() == sum(result is None for result in expected.values())


@given(
    st.lists(st.tuples(st.sampled_from(["m1", "m2"]), st.integers(0, 90)), min_size=1, max_size=50),
    st.sampled_from(["baseline", "count"]),
    st.integers(0, 999),
)
def test_deltas_sum_to_last_minus_first_through_rollovers(steps, first_reading, start):
    modulus = 1000
    rows, true, first = [], {}, {}
    for source, made in steps:
        first.setdefault(source, start)
        true[source] = true[source] + made if source in true else start
        rows.append(
            {"source": source, "good_counter": true[source] % modulus * 1000, "good": 0, "scrap": 0, "occurred_us": 0}
        )
    policy = CounterPolicy(first_reading=first_reading, rollover=modulus)
    results, _ = run(policy, [numbered(rows)])
    for source, last in true.items():
        zero = first[source] if first_reading == "baseline" else 0
        assert sum(good for (s, _), (good, _) in results.items() if s == source) == (last - zero) * 1000


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.data())
def test_one_wild_reading_neither_loses_nor_invents_parts(made, data):
    readings = np.cumsum(made).tolist()
    wild = data.draw(st.integers(1, len(readings) - 1))
    shown = [*readings[:wild], data.draw(st.integers(200, 10**6)), *readings[wild:]]
    rows = [{"source": "m1", "good_counter": r * 1000, "good": 0, "scrap": 0, "occurred_us": 0} for r in shown]
    results, _ = run(CounterPolicy(jump_max=10), [numbered(rows)])
    assert [seq for (_, seq), result in results.items() if result is None] == [wild]
    assert sum(result[0] for result in results.values() if result) == (readings[-1] - readings[0]) * 1000


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2)), min_size=1, max_size=20),
    st.permutations(range(4)),
    st.sampled_from(["baseline", "count"]),
)
def test_files_in_any_order_count_from_the_first_to_arrive_to_the_newest(steps, order, first_reading):
    made, passed = np.cumsum(np.array(steps), axis=0).T.tolist()
    rows = [
        {"source": "m1", "good_counter": reading * 1000, "good": 0, "scrap": 0, "occurred_us": us}
        for reading, us in zip(made, passed, strict=True)
    ]
    files = [rows[5 * i : 5 * i + 5] for i in order if 5 * i < len(rows)]
    arrived = numbered([row for file in files for row in file])
    for chunks in ([arrived], files):
        results, _ = run(CounterPolicy(first_reading=first_reading), chunks, by_time=True)
        zero = arrived[0]["good_counter"] if first_reading == "baseline" else 0
        total = sum(good for good, _ in results.values())
        assert total == made[-1] * 1000 - zero
        assert first_reading == "count" or total <= (made[-1] - made[0]) * 1000
