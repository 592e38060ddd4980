"""Each rule of the counter, one case a row, and state bytes of every release."""

from pathlib import Path

import numpy as np
import pytest

from canonical.columns import TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.policy import DEFAULT_ROUTES, CounterPolicy
from canonical.repeated_hours import RepeatedHours
from dataflows.processors.counter import Counter

GOLDEN = Path(__file__).parents[1] / "golden" / "state" / "counter-1.arrows"
WRAPS = CounterPolicy(rollover=1000)
JUMPS = CounterPolicy(jump_max=10)


def session():
    vocabulary = Vocabulary()
    sessions = Sessions(vocabulary)
    sessions.row(vocabulary.code("A"), vocabulary.code("press-1"), vocabulary.code("s7"))
    return sessions


def batch(readings, first_seq=0, types=(), **columns):
    n = len(readings)
    return EventBatch(
        n,
        {
            "sid": np.zeros(n, np.int32),
            "seq": np.arange(first_seq, first_seq + n),
            "row": np.arange(n, dtype=np.int32),
            "type": np.array([TYPE_CODE[EventType(t)] for t in types or ["partial"] * n], np.int8),
            **told(readings),
            **{name: np.array(values, np.int64) for name, values in columns.items()},
        },
    )


def told(readings):
    """Return the column of readings, as decoders do: none where no row has one."""
    column = np.array([-1 if r is None else int(r * 1000) for r in readings], np.int64)
    return {"good_counter": column} if (column >= 0).any() else {}


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
    counter, good = Counter(policy, DEFAULT_ROUTES, session(), by_time=False), []
    for at in range(0, len(readings), cut):
        part = readings[at : at + cut]
        outcome = counter.step(batch(part, at), EventBatch.empty(), 0)
        found = dict(zip(outcome.ready["seq"].tolist(), outcome.ready["good"].tolist(), strict=True))
        good += [found.get(seq) for seq in range(at, at + len(part))]
    assert good == [None if d is None else d * 1000 for d in deltas], rule


@pytest.mark.parametrize(
    ("rule", "policy", "rows", "deltas"),
    [
        ("a late file", CounterPolicy(), [(1, 100), (5, 110), (2, 103), (4, 108), (6, 111)], [0, 10, 0, 0, 1]),
        ("older than the first", CounterPolicy(first_reading="count"), [(5, 100), (1, 90), (6, 101)], [100, 0, 1]),
        ("a reset of its own time", CounterPolicy(), [(1, 100), (2, 4), (3, 6)], [0, 4, 2]),
        ("equal times", CounterPolicy(), [(1, 100), (1, 103), (1, 2)], [0, 3, 2]),
        ("stale is never absurd", JUMPS, [(5, 100), (1, 500), (6, 101)], [0, 0, 1]),
        ("absurd does not make stale", JUMPS, [(5, 100), (9, 500), (6, 101), (10, 102)], [0, None, 1, 1]),
        ("stale does not refute a jump", JUMPS, [(5, 100), (6, 500), (1, 90), (7, 503)], [0, None, 0, 3]),
        ("stale after a jump that goes on", JUMPS, [(5, 100), (6, 500), (7, 503), (6, 101)], [0, None, 3, 0]),
        ("stale across the modulus", WRAPS, [(5, 5), (4, 999), (6, 6)], [0, 0, 1]),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 100])
def test_stale_readings_of_a_source_without_numbers(rule, policy, rows, deltas, cut):
    """A file that lands late is no reset (M03, M41)."""
    counter, good = Counter(policy, DEFAULT_ROUTES, session(), by_time=True), []
    for at in range(0, len(rows), cut):
        times, readings = zip(*rows[at : at + cut], strict=True)
        outcome = counter.step(batch(readings, at, occurred_us=times), EventBatch.empty(), 0)
        found = dict(zip(outcome.ready["seq"].tolist(), outcome.ready["good"].tolist(), strict=True))
        good += [found.get(seq) for seq in range(at, at + len(times))]
    assert good == [None if d is None else d * 1000 for d in deltas], rule


MINUTE_US = 60_000_000
SET_BACK_US = 1_792_890_000_000_000
"""2026-10-25 01:00 UTC, when Berlin's clock goes from 03:00 to 02:00; minutes below are from then on."""


@pytest.mark.parametrize(
    ("rule", "rows", "meant", "deltas"),
    [
        ("set back", [(-2, 103), (-58, 104), (-30, 105), (-1, 110), (60, 111)], [-2, 2, 30, 59, 60], [0, 1, 1, 5, 1]),
        (
            "more than half an hour after",
            [(-58, 100), (-2, 103), (-25, 104), (60, 111)],
            [-58, -2, -25, 60],
            [0, 3, 0, 8],
        ),
        ("a little disorder", [(-20, 100), (-22, 100), (-5, 103)], [-20, -22, -5], [0, 0, 3]),
        ("disorder after it", [(-1, 100), (-40, 103), (-42, 103)], [-1, 20, 18], [0, 3, 0]),
        ("a file lands late", [(-1, 100), (-40, 103), (-20, 99), (-50, 90)], [-1, 20, -20, -50], [0, 3, 0, 0]),
        ("nothing known before", [(-58, 100), (-20, 103)], [-58, -20], [0, 3]),
        ("after it all", [(100, 100), (-20, 103)], [100, -20], [0, 0]),
        ("without a reading", [(-2, 103), (-58, None), (-57, 104)], [-2, 2, 3], [0, 0, 1]),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_local_time_that_occurs_twice_is_the_later_where_counters_went_on(rule, rows, meant, deltas, cut):
    """In the hour in which a plant's clock is set back; the decoder takes the earlier (M41)."""
    known, state, found, good = RepeatedHours("Europe/Berlin"), None, [], []
    for at in range(0, len(rows), cut):
        counter = Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=True, repeated=known)
        if state is not None:
            counter = Counter.decode(CounterPolicy(), DEFAULT_ROUTES, session(), state, by_time=True, repeated=known)
        minutes, readings = zip(*rows[at : at + cut], strict=True)
        occurred_us = [SET_BACK_US + minute * MINUTE_US for minute in minutes]
        ready = counter.step(batch(readings, at, occurred_us=occurred_us), EventBatch.empty(), 0).ready
        found += [(us - SET_BACK_US) // MINUTE_US for us in ready["occurred_us"].tolist()]
        good += ready["good"].tolist()
        state = counter.encode()
    assert (found, good) == (meant, [delta * 1000 for delta in deltas]), rule


def test_hours_that_are_repeated():
    at = SET_BACK_US + np.array([-61, -60, -1, 0, 60]) * MINUTE_US
    assert RepeatedHours("Europe/Berlin").later_us(at).tolist() == [0, 60 * MINUTE_US, 60 * MINUTE_US, 0, 0]
    assert RepeatedHours("Europe/Berlin").later_us(at[3:]) is None
    assert RepeatedHours("Asia/Tokyo").later_us(at) is None


def test_each_counter_has_a_time_of_its_own():
    counter = Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=True)
    rows = batch([10, None, 12], scrap_counter=[-1, 5000, 3000], occurred_us=[5, 9, 6])
    ready = counter.step(rows, EventBatch.empty(), 0).ready
    assert (ready["good"].tolist(), ready["scrap"].tolist()) == ([0, 0, 2000], [0, 0, 0])


def test_numbers_decide_whatever_the_clocks_say():
    rows = batch([100, 103, 104], occurred_us=[9, 5, 1])
    ready = Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=False).step(rows, EventBatch.empty(), 0).ready
    assert ready["good"].tolist() == [0, 3000, 1000]


@pytest.mark.parametrize(
    ("types", "readings", "deltas"),
    [
        ("partial downtime partial", [100, 103, 104], [0, 0, 4]),
        ("start partial", [100, 103], [0, 3]),
        ("partial downtime telemetry partial partial", [100, 103, 4, None, 5], [0, 0, 0, 7, 1]),
        ("partial downtime downtime", [100, 103, 104], [0, 0, 0]),
        ("partial downtime partial partial", [100, 103, 999, 104], [0, 0, None, 4]),  # a fault takes nothing
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 100])
def test_what_a_row_that_is_not_confirmed_adds_is_carried_to_the_next_that_is(types, readings, deltas, cut):
    counter, good, types = Counter(JUMPS, DEFAULT_ROUTES, session(), by_time=False), [], types.split()
    for at in range(0, len(readings), cut):
        part = readings[at : at + cut]
        outcome = counter.step(batch(part, at, types[at : at + cut]), EventBatch.empty(), 0)
        found = dict(zip(outcome.ready["seq"].tolist(), outcome.ready["good"].tolist(), strict=True))
        good += [found.get(seq) for seq in range(at, at + len(part))]
    assert good == [None if d is None else d * 1000 for d in deltas]


def test_delta_is_added_to_the_quantity_the_row_carries():
    outcome = Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=False).step(
        batch([5, 8], good=[1000, 2000]), EventBatch.empty(), 0
    )
    assert outcome.ready["good"].tolist() == [1000, 5000]


def test_absurd_reading_sets_the_whole_row_aside_and_loses_nothing_of_the_other_counter():
    rows = batch([100, 999, 101], scrap_counter=[7000, 8000, 9000])
    outcome = Counter(JUMPS, DEFAULT_ROUTES, session(), by_time=False).step(rows, EventBatch.empty(), 0)
    assert outcome.ready["seq"].tolist() == [0, 2]
    assert outcome.ready["scrap"].tolist() == [0, 2000]


def test_fault_names_row_session_and_reading():
    outcome = Counter(JUMPS, DEFAULT_ROUTES, session(), by_time=False).step(batch([100, 999.5]), EventBatch.empty(), 0)
    (fault,) = outcome.faults
    assert (fault.row, fault.code, fault.source, fault.session, fault.seq) == (
        1, FaultCode.ABSURD_QUANTITY, "press-1", "s7", 1,
    )  # fmt: skip
    assert fault.detail.startswith("good_counter reads 999.5 after 100: more than jump_max = 10")


def test_late_readings_count_nothing():
    counter = Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=False)
    late = batch([100], 5, good=[1000])
    assert counter.step(batch([90, 110]), late, 0).late["good"].tolist() == [1000]
    assert counter.step(batch([111], 2), late, 0).ready["good"].tolist() == [1000]


def test_plant_without_counters_passes_unchanged():
    rows = EventBatch(1, {"sid": np.zeros(1, np.int32), "good": np.ones(1, np.int64)})
    assert (
        Counter(CounterPolicy(), DEFAULT_ROUTES, session(), by_time=False).step(rows, EventBatch.empty(), 0).ready
        is rows
    )


def example():
    counter = Counter(JUMPS, DEFAULT_ROUTES, session(), by_time=True)
    types = ["partial", "downtime", "partial"]
    rows = batch([100, 102, 999], 0, types, scrap_counter=[3000, 3000, 3000], occurred_us=[70, 75, 80])
    counter.step(rows, EventBatch.empty(), 0)
    return counter


def test_state_of_version_1_decodes():
    sessions = Sessions(Vocabulary())
    counter = Counter.decode(JUMPS, DEFAULT_ROUTES, sessions, GOLDEN.read_bytes(), by_time=True)
    texts = sessions.vocabulary.texts
    assert [texts[column[0]] for column in (sessions.plant, sessions.source, sessions.session)] == [
        "A",
        "press-1",
        "s7",
    ]
    assert [c.tolist() for c in counter.faulted()] == [[0], [1]]
    rows = batch([7, 1001, 1002], 3, scrap_counter=[7, 3000, 4000], occurred_us=[69, 81, 82])
    outcome = counter.step(rows, EventBatch.empty(), 0)
    assert outcome.ready["good"].tolist() == [2000, 2000, 1000]
    assert outcome.ready["scrap"].tolist() == [0, 0, 1000]
