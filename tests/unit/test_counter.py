"""Each rule of the counter, one case a row, and state bytes of every release."""

from pathlib import Path

import numpy as np
import pytest

from canonical.columns import EventBatch, Sessions, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.policy import CounterPolicy
from dataflows.processors.counter import Counter

GOLDEN = Path(__file__).parents[1] / "golden" / "state" / "counter-1.arrows"
WRAPS = CounterPolicy(rollover=1000)
JUMPS = CounterPolicy(jump_max=10)


def session():
    vocabulary = Vocabulary()
    sessions = Sessions(vocabulary)
    sessions.row(vocabulary.code("A"), vocabulary.code("press-1"), vocabulary.code("s7"))
    return sessions


def batch(readings, first_seq=0, **columns):
    n = len(readings)
    return EventBatch(
        n,
        {
            "sid": np.zeros(n, np.int32),
            "seq": np.arange(first_seq, first_seq + n),
            "row": np.arange(n, dtype=np.int32),
            "good_counter": np.array([-1 if r is None else int(r * 1000) for r in readings], np.int64),
            **{name: np.array(values, np.int64) for name, values in columns.items()},
        },
    )


@pytest.mark.parametrize(
    ("rule", "policy", "readings", "deltas"),
    [
        ("baseline", CounterPolicy(), [100, 103], [0, 3]),
        ("count from zero", CounterPolicy(first_reading="count"), [100, 103], [100, 3]),
        ("no reading", CounterPolicy(), [100, None, 103], [0, 0, 3]),
        ("unchanged", CounterPolicy(), [100, 100], [0, 0]),
        ("reset", CounterPolicy(), [100, 4, 6], [0, 4, 2]),
        ("thousandths", CounterPolicy(), [0.5, 1.25], [0, 0.75]),
        ("rollover", WRAPS, [990, 5], [0, 15]),
        ("a tenth of the modulus is a rollover", WRAPS, [950, 50], [0, 100]),
        ("more than a tenth is a reset", WRAPS, [949, 50], [0, 50]),
        ("rollover within jump_max", CounterPolicy(rollover=1000, jump_max=300), [800, 50], [0, 250]),
        ("reset beyond jump_max", CounterPolicy(rollover=1000, jump_max=200), [700, 50], [0, 50]),
        ("at the modulus", WRAPS, [999, 1000, 0], [0, None, 1]),
        ("at jump_max", JUMPS, [0, 10, 21], [0, 10, None]),
        ("spike", JUMPS, [100, 999, 103], [0, None, 3]),
        ("jump that goes on", JUMPS, [100, 999, 1003, 1004], [0, None, 4, 1]),
        ("jump that repeats", JUMPS, [100, 999, 999, 102], [0, None, None, 2]),
        ("refuted spike is forgotten", JUMPS, [100, 999, 103, 1003], [0, None, 3, None]),
        ("two spikes", JUMPS, [100, 999, 500, 103], [0, None, None, 3]),
        ("jump downwards", JUMPS, [100, 40, 41], [0, None, 1]),
        ("wild first reading", CounterPolicy(first_reading="count", jump_max=10), [100, 4, 6], [None, 4, 2]),
    ],
)
@pytest.mark.parametrize("cut", [1, 100])
def test_rules(rule, policy, readings, deltas, cut):
    counter, good = Counter(policy, session()), []
    for at in range(0, len(readings), cut):
        part = readings[at : at + cut]
        outcome = counter.step(batch(part, at), EventBatch.empty(), 0)
        found = dict(zip(outcome.ready["seq"].tolist(), outcome.ready["good"].tolist(), strict=True))
        good += [found.get(seq) for seq in range(at, at + len(part))]
    assert good == [None if d is None else d * 1000 for d in deltas], rule


def test_delta_is_added_to_the_quantity_the_row_carries():
    outcome = Counter(CounterPolicy(), session()).step(batch([5, 8], good=[1000, 2000]), EventBatch.empty(), 0)
    assert outcome.ready["good"].tolist() == [1000, 5000]


def test_absurd_reading_sets_the_whole_row_aside_and_loses_nothing_of_the_other_counter():
    rows = batch([100, 999, 101], scrap_counter=[7000, 8000, 9000])
    outcome = Counter(JUMPS, session()).step(rows, EventBatch.empty(), 0)
    assert outcome.ready["seq"].tolist() == [0, 2]
    assert outcome.ready["scrap"].tolist() == [0, 2000]


def test_fault_names_row_session_and_reading():
    outcome = Counter(JUMPS, session()).step(batch([100, 999.5]), EventBatch.empty(), 0)
    (fault,) = outcome.faults
    assert (fault.row, fault.code, fault.source, fault.session, fault.seq) == (
        1, FaultCode.ABSURD_QUANTITY, "press-1", "s7", 1,
    )  # fmt: skip
    assert fault.detail.startswith("good_counter reads 999.5 after 100: more than jump_max = 10")


def test_late_readings_count_nothing():
    counter = Counter(CounterPolicy(), session())
    late = batch([100], 5, good=[1000])
    assert counter.step(batch([90, 110]), late, 0).late["good"].tolist() == [1000]
    assert counter.step(batch([111], 2), late, 0).ready["good"].tolist() == [1000]


def test_plant_without_counters_passes_unchanged():
    rows = EventBatch(1, {"sid": np.zeros(1, np.int32), "good": np.ones(1, np.int64)})
    assert Counter(CounterPolicy(), session()).step(rows, EventBatch.empty(), 0).ready is rows


def example():
    counter = Counter(JUMPS, session())
    counter.step(batch([100, 999], scrap_counter=[3000, 3000]), EventBatch.empty(), 0)
    return counter


def test_state_of_version_1_decodes():
    sessions = Sessions(Vocabulary())
    counter = Counter.decode(JUMPS, sessions, GOLDEN.read_bytes())
    texts = sessions.vocabulary.texts
    assert [texts[column[0]] for column in (sessions.plant, sessions.source, sessions.session)] == [
        "A",
        "press-1",
        "s7",
    ]
    assert [c.tolist() for c in counter.faulted()] == [[0], [1]]
    outcome = counter.step(batch([1001, 1002], 2, scrap_counter=[3000, 4000]), EventBatch.empty(), 0)
    assert outcome.ready["good"].tolist() == [2000, 1000]
    assert outcome.ready["scrap"].tolist() == [0, 1000]
