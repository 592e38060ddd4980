"""The kernel makes of rows what is made of them without it: confirmations, operational rows, totals and open runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import DEFAULTS, QUANTITY_COLUMNS, TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.event import EventType
from canonical.gather import codes_of
from canonical.policy import DEFAULT_ROUTES, AggregatePolicy, ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors import aggregate as module
from dataflows.processors import joined_by_kernel as kernel
from dataflows.processors.aggregate import Aggregate
from dataflows.processors.boundaries import Boundaries
from dataflows.processors.runs import Runs

pytestmark = pytest.mark.skipif(not kernel.is_compiled(), reason="the kernel is not compiled: no C compiler here")

CALENDAR = ShiftCalendar("Europe/Berlin", [ShiftPolicy(name="early", start="06:00", end="14:00")])
TEXTS = ("order", "operation", "work_center", "material", "lot", "reason", "unit")
TYPES = [TYPE_CODE[kind] for kind in map(EventType, ("partial", "scrap", "rework", "complete", "telemetry", "hold"))]
SHARES = [[1], [0, 1], [0, 0.8, 0.1, 0.1], [0, 0.7, 0.1, 0.1, 0.05, 0.05], [0] * 4 + [1], [0] * 5 + [1]]
"""How often each of TYPES is."""
STEPS_US = [-90_000_000, 45_000_000, 7_200_000_000]
LARGE = 2**62

policies = st.builds(
    AggregatePolicy,
    split_by=st.lists(st.sampled_from([*TEXTS, "rework", "shift"]), unique=True, max_size=4).map(tuple),
    count_max=st.sampled_from([None, None, 1, 8, 17, 59]),
    bucket_s=st.sampled_from([None, None, 60.0, 7200.5, 86_400.0]),
    complete_closes=st.booleans(),
    open_max=st.sampled_from([1, 1, 2, 50]),
)
shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "rows": st.sampled_from([1, 9, 60, 400]),
        "sessions": st.sampled_from([1, 3, 40]),
        "spare": st.sampled_from([0, 2, 20]),  # rows of the batches that are not asked for, for each that is
        "changes": st.sampled_from([0.0, 0.002, 0.05, 0.5]),  # how often a column changes
        "types": st.sampled_from(SHARES),
        "absent": st.sets(st.sampled_from([*TEXTS, *QUANTITY_COLUMNS, "offset", "type"])),
        "zeros": st.sets(st.sampled_from(QUANTITY_COLUMNS)),
        "own": st.sets(st.sampled_from([*TEXTS, *QUANTITY_COLUMNS, "offset", "type", "occurred_us"])),
        "late": st.booleans(),
        "begin_us": st.sampled_from([1_767_600_000_000_000, -1_000_000_000_000]),
        "is_selected": st.booleans(),
    }
)


def step(rng: np.random.Generator, shape: dict, next_seq: np.ndarray) -> EventBatch:
    """Return rows by (sid, seq) that go on from ``next_seq``, some of them out of batches with others besides."""
    n, shares = shape["rows"], np.array(shape["types"]) / sum(shape["types"])
    changes = lambda: rng.random(n) < shape["changes"]  # noqa: E731
    sid = np.sort(rng.integers(0, shape["sessions"], n)).astype(np.int32)
    place = np.arange(n) - np.searchsorted(sid, sid)
    skips = np.cumsum(changes())
    columns = {
        "sid": sid,
        "seq": next_seq[sid] + place + skips,
        "gaps": (next_seq[sid] // 1_000 + skips - skips[np.searchsorted(sid, sid)]).astype(np.int32),
        "type": rng.choice(TYPES[: len(shares)], n, p=shares).astype(np.int8),
        "occurred_us": shape["begin_us"] + np.cumsum(changes() * rng.choice(STEPS_US, n)),
        "offset": rng.permutation(n),
        **{name: ((np.cumsum(changes()) + rng.integers(3)) % 3).astype(np.int32) for name in TEXTS},
        **{name: rng.integers(-LARGE, LARGE, n) * (name not in shape["zeros"]) for name in QUANTITY_COLUMNS},
    }
    columns["reason"] *= rng.random(n) < 0.2
    np.maximum.at(next_seq, sid, columns["seq"] + 1)  # no number comes twice
    next_seq += 1_000 * rng.integers(0, 2, len(next_seq)) * (shape["changes"] > 0)
    columns = {name: column for name, column in columns.items() if name not in shape["absent"]}
    whole = EventBatch(n, columns)
    if not shape["is_selected"]:
        return whole
    # Each row lies somewhere in one of three batches; number 1 has no batch.
    of, spare = rng.choice([0, 2, 3], n), shape["spare"] * n
    batches, codes = {}, np.empty(n, np.int64)
    for number in np.unique(of).tolist():
        mine = np.flatnonzero(of == number)
        where = rng.permutation(len(mine) + spare)[: len(mine)]
        codes[mine] = codes_of(number, where)
        columns = {}
        for name, column in whole.columns.items():
            columns[name] = rng.integers(0, 3, len(mine) + spare).astype(DEFAULTS[name][0])
            if name in shape["zeros"]:
                columns[name][:] = 0
            columns[name][where] = column[mine]
        batches[number] = EventBatch(len(mine) + spare, columns)
    own = {"sid", "seq", "gaps", *shape["own"]} & columns.keys()
    return EventBatch.select(batches, codes).with_columns({name: whole[name] for name in own})


def state(aggregate: Aggregate) -> list:
    """Return totals and open runs, in the order of their sessions."""
    totals = aggregate.totals()
    found = [getattr(totals, name).tolist() for name in totals.__slots__]
    for lane in aggregate._lanes:
        slots = lane.runs.slots[lane.runs.slots >= 0]
        found += [lane.runs.records[slots].tolist(), lane.runs.arrived_us[slots].tolist(), len(lane.runs)]
    return [*found, aggregate.due_us(), aggregate.open_events(), aggregate.take_closed().tolist()]


@settings(max_examples=300, deadline=None)
@given(policy=policies, shape=shapes, room=st.sampled_from([1, 5, 4096]))
def test_kernel_and_columns_agree(policy: AggregatePolicy, shape: dict, room: int) -> None:
    sessions = Sessions(Vocabulary())
    sessions.vocabulary.codes(["a", "b", "c"])
    for sid in range(shape["sessions"]):
        sessions.row(sessions.vocabulary.code("P"), sessions.vocabulary.code(f"m{sid}"), 0)
    rng = np.random.default_rng(shape["seed"])
    next_seq = np.zeros(shape["sessions"], np.int64)
    next_late = next_seq + 1_000_000
    both = [Aggregate(policy, DEFAULT_ROUTES, CALENDAR, sessions) for _ in range(2)]
    for now_us in range(3):
        rows = step(rng, shape, next_seq)
        late = step(rng, shape | {"rows": 9}, next_late) if shape["late"] else EventBatch.empty()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "_ROOM", room)
            one = both[0].step(rows, late, now_us)
            patch.setattr(module, "is_compiled", lambda: False)
            other = both[1].step(rows, late, now_us)
        assert one.confirmations == other.confirmations
        assert len(one.operational) == len(other.operational)
        for name in one.operational.names if len(one.operational) else ():
            assert one.operational[name].tolist() == other.operational[name].tolist()
        assert state(both[0]) == state(both[1])


@pytest.mark.parametrize("is_selected", [False, True])
@pytest.mark.parametrize("at_s", [[0] * 5, [-30, 30, 30, 30, 30], [-60, -60, -60, -60, -1, 0], [0, 59, 0, 59, 0, 60]])
def test_buckets_begin_at_multiples_of_their_width_before_1970_too(at_s: list[int], *, is_selected: bool) -> None:
    sessions = Sessions(Vocabulary())
    sessions.row(0, 0, 0)
    n, times = len(at_s), {"type": np.full(len(at_s), TYPES[0], np.int8), "occurred_us": np.array(at_s) * 1_000_000}
    rows = EventBatch.select({0: EventBatch(n, times)}, np.arange(n)) if is_selected else EventBatch(n, times)
    rows = rows.with_columns({"sid": np.zeros(n, np.int32), "seq": np.arange(n), "gaps": np.zeros(n, np.int32)})
    policy = AggregatePolicy(split_by=(), bucket_s=60.0)
    done = Aggregate(policy, DEFAULT_ROUTES, CALENDAR, sessions).step(rows, EventBatch.empty(), 0)
    cuts = [i for i in range(1, n) if at_s[i] // 60 != at_s[i - 1] // 60]
    assert done.confirmations["last_seq"] == [cut - 1 for cut in cuts]


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": [3]},
        {"codes": [1 << 32]},
        {"codes": [-1]},
        {"sid": [1]},
        {"sid": [-1]},
        {"type": [-1]},
        {"type": [99]},
    ],
)
def test_what_names_no_row_session_or_type_is_never_read(wrong: dict) -> None:
    sessions = Sessions(Vocabulary())
    sessions.row(0, 0, 0)
    columns = {"sid": [0], "seq": [0], "gaps": [0]} | wrong
    codes = np.array(columns.pop("codes", [0]))
    batch = EventBatch.select({0: EventBatch(3, {"type": np.zeros(3, np.int8)})}, codes)
    batch = batch.with_columns({name: np.array(values, DEFAULTS[name][0]) for name, values in columns.items()})
    with pytest.raises(AssertionError, match="no session or type"):
        Aggregate(AggregatePolicy(), DEFAULT_ROUTES, CALENDAR, sessions).step(batch, EventBatch.empty(), 0)


@pytest.mark.parametrize("track", [-1, 2])
def test_a_track_that_there_is_not_is_never_read(track: int) -> None:
    columns = {"type": TYPES[:1], "sid": [0], "seq": [0], "gaps": [0], "occurred_us": [0], "offset": [0]}
    batch = EventBatch(1, {name: np.array(values, DEFAULTS[name][0]) for name, values in columns.items()})
    totals = np.zeros((6, 1), np.int64)
    rows = kernel.Rows(batch, np.zeros(256, np.int8), totals, np.array([track], np.int32), 2)
    with pytest.raises(AssertionError, match="no session or type"):
        rows.join(Runs(), Boundaries(AggregatePolicy(), late=False).terms(), None, 0)
