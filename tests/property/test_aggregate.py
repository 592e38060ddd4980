"""Laws of the aggregate: agreement with the naive twin in any cut and across restarts; sums; tiling."""

import itertools
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canonical import written
from canonical.columns import DEFAULTS, TEXT_COLUMNS, TYPE_CODE, EventBatch, Sessions, Vocabulary
from canonical.contracts.confirmation import Confirmation
from canonical.contracts.event import EventType
from canonical.gather import codes_of
from canonical.policy import DEFAULT_ROUTES, AggregatePolicy, ShiftPolicy
from canonical.shifts import ShiftCalendar
from dataflows.processors import aggregate as module
from dataflows.processors.aggregate import Aggregate

NaiveAggregate = runpy.run_path(str(Path(__file__).with_name("twins_aggregate.py")))["NaiveAggregate"]

ZONE = ZoneInfo("Europe/Berlin")
START_US = 1_767_600_000_000_000  # 2026-01-05 09:00 in Berlin
HOUR_US = 3_600_000_000
SHIFTS = [ShiftPolicy(name="early", start="06:00", end="14:00"), ShiftPolicy(name="late", start="14:00", end="22:00")]
CALENDARS = {
    "dates": (ShiftCalendar(ZONE.key, []), lambda row: ("", local(row))),
    "shifts": (ShiftCalendar(ZONE.key, SHIFTS), lambda row: (shift_at(local(row).hour), local(row))),
}
SPLITS = ["order", "operation", "work_center", "material", "lot", "reason", "unit", "rework", "shift"]


@pytest.fixture(autouse=True, scope="module", params=["kernel", "columns"])
def way(request):
    """All laws hold with the kernel and without it."""
    if request.param == "kernel" and not module.is_compiled():
        pytest.skip("the kernel is not compiled: no C compiler here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "is_compiled", lambda: request.param == "kernel")
        if request.param == "columns":
            patch.setattr(written, "_WRITE", None)
        yield


policies = st.builds(
    AggregatePolicy,
    split_by=st.lists(st.sampled_from(SPLITS), unique=True).map(tuple),
    count_max=st.sampled_from([None, 1, 2, 3, 5]),
    bucket_s=st.sampled_from([None, 3600.0, 7200.5]),
    idle_s=st.sampled_from([None, 10.0, 100.0]),
    complete_closes=st.booleans(),
    open_max=st.sampled_from([1, 2, 3]),
)
side_by_side = st.builds(
    AggregatePolicy,
    split_by=st.just(("work_center", "order")),
    count_max=st.sampled_from([None, 3]),
    idle_s=st.sampled_from([None, 10.0]),
    complete_closes=st.booleans(),
    open_max=st.sampled_from([1, 2, 3]),
)
reasons_only = st.builds(
    AggregatePolicy, split_by=st.just(("order", "reason")), count_max=st.sampled_from([None, 2, 3, 4])
)
types = st.sampled_from([*["partial"] * 6, "scrap", "complete", "rework", "telemetry", "hold"])


def rows_of(quiet):
    """Return rows that mostly carry on as before (``quiet``), so that runs are long enough to be interesting."""
    seldom = st.sampled_from([0] * quiet + [1])
    text = seldom.map(lambda i: ("a", "b")[i])
    row = st.fixed_dictionaries(
        {
            "source": st.sampled_from(["m1", "m2"]),
            "skip": seldom,  # numbers of a declared gap before it
            "late": st.sampled_from([False] * 3 + [True]),
            "type": types,
            "minutes": st.sampled_from([0] * quiet + [1, 60, 61, 300, -5]),
            "reason": st.sampled_from(["", "", "", "", "wear", "dirt"]),
            "order": text,
            "operation": text,
            "work_center": st.sampled_from(["w1"] * quiet + ["w2", "w3", "w4"]),
            "lot": text,
            "unit": seldom.map(lambda i: ("", "KGM")[i]),
            "good": st.integers(0, 3),
            "scrap": st.integers(0, 1),
            "rework": st.integers(0, 1),
            "energy_mwh": st.integers(0, 3),
            "wait_us": st.sampled_from([0] * 5 + [9_000_000, 10_000_000, 60_000_000]),
            "offset": st.integers(0, 1000),
        }
    )
    return st.sampled_from([0, 40]).flatmap(lambda size: st.lists(row, min_size=size, max_size=40))


def local(row):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["occurred_us"])).astimezone(ZONE)


def shift_at(hour):
    return "early" if 6 <= hour < 14 else "late" if 14 <= hour < 22 else ""


def told(drafts):
    """Number the rows, declare gaps, set late ones aside, and give each its instants and position.

    A late row fills a gap: it takes the number after the session's last late one, or skips some.
    """
    next_seq, gaps, occurred_us, now_us, rows = {}, {}, START_US, 0, []
    for draft in drafts:
        row = dict.fromkeys(TEXT_COLUMNS, "") | {name: 0 for name, (kind, _) in DEFAULTS.items() if kind is np.int64}
        row |= draft | {"plant": "P", "session": "s"}
        occurred_us += draft["minutes"] * 60_000_000
        now_us += draft["wait_us"]
        lane = row["source"], row["late"]
        gaps[lane] = gaps.get(lane, 0) + (draft["skip"] and not row["late"])
        row["seq"] = next_seq.get(lane, 1000 * (not row["late"])) + 2 * draft["skip"]
        next_seq[lane] = row["seq"] + 1
        row |= {"gaps": gaps[lane], "occurred_us": occurred_us, "now_us": now_us}
        rows.append(row)
    return rows


def batch_of(rows, sessions):
    """Return rows as columns, in the given order; columns without a value other than the default are absent."""
    code = sessions.vocabulary.code
    columns = {}
    for name, (kind, default) in DEFAULTS.items():
        values = [row.get(name, default) for row in rows]
        if name == "type":
            values = [TYPE_CODE[EventType(value)] for value in values]
        elif name in TEXT_COLUMNS:
            values = [code(value) if value else 0 for value in values]
        elif name == "sid":
            values = [sessions.row(code("P"), code(row["source"]), code("s")) for row in rows]
        if any(value != default for value in values):
            columns[name] = np.array(values, kind)
    return EventBatch(len(rows), columns)


def selected(rows, sessions):
    """Return rows by (sid, seq), out of two batches that hold them and others besides."""
    if not rows:
        return EventBatch.empty()
    batches = {0: batch_of(rows[::2] + rows[:1], sessions), 2: batch_of(rows[1::2] + rows[:2], sessions)}
    codes = np.concatenate((codes_of(0, np.arange(len(rows[::2]))), codes_of(2, np.arange(len(rows[1::2])))))
    whole = EventBatch.select(batches, codes)
    ready = EventBatch.select(batches, codes[np.lexsort((whole["seq"], whole["sid"]))])
    return ready.with_columns({name: ready[name] for name in ("sid", "seq", "gaps")})


def stepped(aggregate, sessions, rows):
    """Give rows of one instant to the aggregate as sequence does: ready by (sid, seq), late as they came."""
    ready = selected([row for row in rows if not row["late"]], sessions)
    late = batch_of([row for row in rows if row["late"]], sessions)
    return aggregate.step(ready, late, rows[0]["now_us"])


def rows_in(outcome, sessions):
    """Return the confirmations one by one, which must be ordered by (sid, first_seq)."""
    columns, vocabulary = outcome.confirmations, sessions.vocabulary
    found = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    keys = [(*(vocabulary.code(c[name]) for name in ("plant", "source", "session")), c["first_seq"]) for c in found]
    order = [(sessions.row(*key), first_seq) for *key, first_seq in keys]
    assert order == sorted(order)
    return found


def restarted(aggregate, policy, calendar):
    """Return the aggregate as another process finds it, with other codes and session rows."""
    vocabulary = Vocabulary()
    vocabulary.codes(["x", "m2", "dirt", "b", "y"])
    sessions = Sessions(vocabulary)
    sessions.row(vocabulary.code("P"), vocabulary.code("m2"), vocabulary.code("s"))
    return Aggregate.decode(policy, DEFAULT_ROUTES, calendar, sessions, aggregate.encode()), sessions


def run(policy, calendar, rows, cuts, restarts, *, wakes=True, limits=None):
    """Return confirmations, operational rows and the aggregate after steps cut at ``cuts`` and where time passes.

    After the steps in ``restarts`` it is another process; to ``limits`` are added rows, and the limit from there on.
    """
    sessions = Sessions(Vocabulary())
    aggregate = Aggregate(policy, DEFAULT_ROUTES, calendar, sessions)
    confirmations, operational = [], []
    passes = [i for i in range(1, len(rows)) if rows[i]["now_us"] != rows[i - 1]["now_us"]]
    bounds = sorted({0, len(rows), *passes, *(cut for cut in cuts if cut < len(rows))})
    for i, (begin, end) in enumerate(itertools.pairwise(bounds)):
        now_us = rows[begin]["now_us"]
        if wakes and begin in passes:
            due_us = aggregate.due_us()
            outcome = aggregate.wake(now_us)
            assert bool(outcome.confirmations["kind"]) == (due_us is not None and due_us <= now_us)
            confirmations += rows_in(outcome, sessions)
        outcome = stepped(aggregate, sessions, rows[begin:end])
        confirmations += rows_in(outcome, sessions)
        texts = sessions.vocabulary.texts
        passed = outcome.operational
        operational += [(texts[sessions.source[s]], q) for s, q in zip(passed["sid"], passed["seq"], strict=True)]
        if i in restarts:
            if limits is not None and restarts[i]:
                limits[end] = restarts[i]
                policy = policy.model_copy(update={"open_max": restarts[i]})
            aggregate, sessions = restarted(aggregate, policy, calendar)
    return confirmations, operational, aggregate, sessions


def naive(policy, calendar, rows, *, wakes=True, limits=None):
    twin = NaiveAggregate(policy, DEFAULT_ROUTES, calendar)
    for number, (row, before) in enumerate(zip(rows, [None, *rows], strict=False)):
        if limits and number in limits:
            twin.policy = policy.model_copy(update={"open_max": limits[number]})
        if wakes and before and row["now_us"] != before["now_us"]:
            twin.wake(row["now_us"])
        twin.row(row, row["now_us"], late=row["late"])
    return twin


def by_id(confirmations):
    found = {confirmation["posting_id"]: confirmation for confirmation in confirmations}
    assert len(found) == len(confirmations), "a posting id was given twice"
    return found


cuts_ = st.lists(st.integers(1, 39), max_size=6)
restarts_ = st.dictionaries(st.integers(0, 12), st.sampled_from([None, 1, 2, 3]), max_size=4)


@given(
    policies | side_by_side | reasons_only,
    st.sampled_from(sorted(CALENDARS)),
    rows_of(1) | rows_of(3) | rows_of(12),
    cuts_,
    restarts_,
)
def test_any_cut_and_any_restart_agrees_with_the_naive_twin(policy, calendar, drafts, cuts, restarts):
    rows = told(drafts)
    columnar, by_row = CALENDARS[calendar]
    limits = {}
    confirmations, operational, aggregate, sessions = run(policy, columnar, rows, cuts, restarts, limits=limits)
    twin = naive(policy, by_row, rows, limits=limits)
    assert by_id(confirmations) == by_id(twin.confirmations)
    assert sorted(operational) == sorted((source, seq) for _, source, _, seq in twin.operational)
    assert aggregate.open_runs() == len(twin.open)
    totals = aggregate.totals()
    texts = sessions.vocabulary.texts
    assert {
        ("P", texts[sessions.source[sid]], "s"): dict(
            zip(("aggregated", "analytics-only", "operational"), counts, strict=True)
        )
        for sid, *counts in zip(
            *(getattr(totals, name).tolist() for name in ("sids", "accounted", "analytics_only", "operational")),
            strict=True,
        )
    } == twin.totals
    open_events = {("P", source, "s"): 0 for _, source, _ in twin.totals}
    for (_, *session, _), one in twin.open.items():
        open_events[tuple(session)] += len(one["rows"])
    sums = ["good", "scrap", "rework"]
    confirmed = {session: [0, 0, 0] for session in open_events}
    for confirmation in confirmations:
        session = confirmed["P", confirmation["source"], "s"]
        session[:] = [total + confirmation[name] for total, name in zip(session, sums, strict=True)]
    for row, sid in enumerate(totals.sids.tolist()):
        session = ("P", texts[sessions.source[sid]], "s")
        assert totals.open[row] == open_events[session]
        assert [int(getattr(totals, name)[row]) for name in sums] == confirmed[session]


@given(
    reasons_only,
    st.lists(st.sampled_from(["", "", "wear", "dirt"]), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=3),
)
@example(AggregatePolicy(count_max=2), ["wear", "", "dirt", "wear"], [])
@example(AggregatePolicy(count_max=2), ["wear", "", "dirt", "wear"], [2])
def test_full_runs_that_change_their_reason_agree_with_the_naive_twin(policy, reasons, cuts):
    quiet = {"source": "m1", "skip": 0, "late": False, "type": "scrap", "minutes": 0, "wait_us": 0, "offset": 0}
    rows = told([quiet | {"reason": reason} for reason in reasons])
    columnar, by_row = CALENDARS["dates"]
    confirmations, *_ = run(policy, columnar, rows, cuts, set())
    assert by_id(confirmations) == by_id(naive(policy, by_row, rows).confirmations)


@given(policies | side_by_side, rows_of(6))
def test_confirmations_conserve_and_tile(policy, drafts):
    rows = told(drafts)
    aggregated = [row for row in rows if DEFAULT_ROUTES[EventType(row["type"])].value == "aggregated"]
    # The day after, every run that can go idle has done so, and the others are still open.
    confirmations, _, aggregate, sessions = run(policy, CALENDARS["shifts"][0], rows, [], set())
    confirmations += rows_in(aggregate.wake(10**14), sessions)
    assert sum(c["events"] for c in confirmations) + aggregate.open_events() == len(aggregated)
    if policy.idle_s is not None:
        assert aggregate.open_runs() == 0
        for name in ("good", "energy_mwh"):
            assert sum(c[name] for c in confirmations) == sum(row[name] for row in aggregated)
    apart = policy.open_max > 1 and "work_center" in policy.split_by
    lanes = [(False, place) for place in (["w1", "w2", "w3", "w4"] if apart else [None])] + [(True, None)]
    for source, (late, place) in itertools.product(("m1", "m2"), lanes):
        kind = "supplementary" if late else "confirmation"
        own = [c for c in confirmations if (c["source"], c["kind"]) == (source, kind)]
        own = [c for c in own if place in {None, c["work_center"]}]
        assert [c["first_seq"] for c in own] == sorted(c["first_seq"] for c in own), "not in order"
        assert all(a["last_seq"] < b["first_seq"] for a, b in itertools.pairwise(own)), "ranges overlap"
        mine = [row for row in aggregated if (row["source"], row["late"]) == (source, late)]
        mine = [row for row in mine if place in {None, row["work_center"]}]
        for c in own:
            within = [row for row in mine if c["first_seq"] <= row["seq"] <= c["last_seq"]]
            assert len(within) == c["events"]
            assert len({row["gaps"] for row in within}) == 1, "a confirmation spans a gap"
            assert not late or c["events"] == c["last_seq"] - c["first_seq"] + 1
    for c in confirmations:
        Confirmation.model_validate(c)


@given(rows_of(12), st.integers(0, 40))
def test_due_is_when_wake_first_closes_something(drafts, seconds):
    policy = AggregatePolicy(idle_s=20)
    rows = told(drafts)
    *_, aggregate, sessions = run(policy, CALENDARS["dates"][0], rows, [], set(), wakes=False)
    due_us = aggregate.due_us()
    assert (due_us is None) == (aggregate.open_runs() == 0)
    if due_us is not None:
        now_us = due_us - 20_000_000 + seconds * 1_000_000
        before = aggregate.open_runs()
        closed = rows_in(aggregate.wake(now_us), sessions)
        assert bool(closed) == (now_us >= due_us)
        assert {c["close_reason"] for c in closed} <= {"idle"}
        assert aggregate.open_runs() == before - len(closed)
