"""Objectives are judged over sums that equal a recount, and alerts begin and end as a naive twin says (M39, M40)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sinks.analytics.delivery_times import HOPS, LONGER_S, SLOT_US, WITHIN_S
from sinks.analytics.store import Store, StoreConfig
from sinks.slo.alert import evaluate
from sinks.slo.level import SETTLE_US, levels
from sinks.slo.objective import WINDOWS_S, Count, Objective, Urgency, burning
from tests.slo_rows import posting, postings_table, receipt, receipts_table

NOON_US = 1_790_000_000_000_000
S = 1_000_000
NAMES = (f"plant-{number}" for number in count())
IDS = count()

counts = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Count(sum(pair), pair[1]))


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(WINDOWS_S, counts)),
    st.sampled_from([1, 1_000, 10_000, 69_444, 69_445, 500_000]),
    st.integers(1, 90),
    st.integers(1, 4),
)
@example({window: Count(1_000, 144 * (window in {300, 3_600})) for window in WINDOWS_S}, 10_000, 30, 3)  # 14.4 times
@example({window: Count(1_000, 143 * (window in {300, 3_600})) for window in WINDOWS_S}, 10_000, 30, 3)
@example(dict.fromkeys(WINDOWS_S, Count(1_000, 59)), 10_000, 30, 3)  # below 6 times, above 1
@example(dict.fromkeys(WINDOWS_S, Count(5, 5)), 500_000, 30, 3)  # 14.4 times is above all
def test_a_budget_burns_as_the_workbook_says(windows, budget_ppm, days, late_min):
    objective = Objective(name="o", budget_ppm=budget_ppm, window_days=days, late_min=late_min)
    hours = Fraction(days * 24)
    rules = [
        (Urgency.PAGE, Fraction(2, 100) * hours / 1, 3_600, 300),
        (Urgency.PAGE, Fraction(5, 100) * hours / 6, 21_600, 1_800),
        (Urgency.TICKET, Fraction(10, 100) * hours / 72, 259_200, 21_600),
    ]
    expected = set()
    for urgency, factor, *pair in rules:
        fast = [
            windows[window].late > 0
            and Fraction(windows[window].late, windows[window].postings)
            >= min(factor * Fraction(budget_ppm, 1_000_000), Fraction(1))
            for window in pair
        ]
        if all(fast) and windows[pair[0]].late >= late_min:
            expected.add(urgency)
    assert burning(objective, windows) == expected


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slo")
    opened = Store(StoreConfig(path=folder / "store.duckdb", published=folder / "analytics.duckdb"))
    yield opened
    opened.close()


def within(took_us: int) -> int:
    return next((limit for limit in WITHIN_S if took_us <= limit * S), LONGER_S)


def hops(row: dict[str, Any]) -> dict[str, int]:
    row = {**row, "done": row["answered_us"] if row["committed_us"] is None else row["committed_us"]}
    return {
        "occurred-committed": row["done"] - row["occurred_us"],
        "enqueued-committed": row["done"] - row["enqueued_us"],
        "occurred-enqueued": row["enqueued_us"] - row["occurred_us"],
        "enqueued-sent": row["first_sent_us"] - row["enqueued_us"],
        "sent-committed": row["done"] - row["first_sent_us"],
    }


told = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["confirmation", "goods-issue"]),
        "lane": st.sampled_from(["standard", "critical"]),
        "occurred_us": st.sampled_from([NOON_US, NOON_US - 200 * S, NOON_US - 3 * 3_600 * S]),
        "steps": st.tuples(*[st.sampled_from([0, 30 * S, 60 * S, 61 * S, 400 * S])] * 3),
        "committed": st.sampled_from([None, 0, 5 * S]),
        "statuses": st.sampled_from(
            [
                (),
                ("accepted",),
                ("rejected",),
                ("rejected", "accepted"),
                ("withdrawn",),
                ("accepted", "movement-failed"),
            ]
        ),
    }
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(told, min_size=1, max_size=6), st.data())
def test_sums_levels_and_what_is_open_equal_a_recount(store, told, data):
    plant = next(NAMES)
    postings, receipts = [], []
    for each in told:
        number, at_us = next(IDS), each["occurred_us"]
        common = {"kind": each["kind"], "lane": each["lane"], "plant": plant}
        enqueued_us, sent_us, answered_us = (at_us + sum(each["steps"][: n + 1]) for n in range(3))
        postings.append((posting(number, at_us, **common), enqueued_us))
        instants = {"enqueued_us": enqueued_us, "first_sent_us": sent_us, "sent_us": sent_us}
        if each["committed"] is not None:
            instants["committed_us"] = answered_us - each["committed"]
        receipts += [receipt(number, at_us, answered_us, status=s, **instants, **common) for s in each["statuses"]]
    shards = {f"{plant}/{name}": rows for name, rows in (("postings", postings), ("receipts", receipts))}
    for shard in shards:
        store.restore(shard)
    stored = dict.fromkeys(shards, 0)
    while any(stored[shard] < len(rows) for shard, rows in shards.items()):
        shard = data.draw(st.sampled_from([name for name, rows in shards.items() if stored[name] < len(rows)]))
        size = data.draw(st.integers(1, len(shards[shard]) - stored[shard]))
        batch = shards[shard][stored[shard] : stored[shard] + size]
        offsets = list(range(stored[shard], stored[shard] + size))
        for _ in range(data.draw(st.integers(1, 2))):
            if shard.endswith("receipts"):
                store.commit(shard, str(offsets[-1]), {"receipt": receipts_table(batch, offsets)})
            else:
                rows, enqueued = map(list, zip(*batch, strict=True))
                store.commit(shard, str(offsets[-1]), {"posting": postings_table(rows, offsets, enqueued)})
        stored[shard] += size
        seen = receipts[: stored[f"{plant}/receipts"]]
        there = postings[: stored[f"{plant}/postings"]]
        assert sums(store, plant) == recounted(seen)
        settled = {row["posting_id"] for row in seen if row["status"] in {"accepted", "withdrawn"}}
        waiting = [(row, at_us) for row, at_us in there if row["posting_id"] not in settled]
        assert open_ids(store, plant) == {row["posting_id"] for row, _ in waiting}
        as_of_us = NOON_US + data.draw(st.sampled_from([0, 75 * S, 76 * S, 135 * S + 1, 7_200 * S]))
        assert judged(store, plant, as_of_us) == judged_naively(plant, seen, waiting, as_of_us)


def sums(store, plant):
    query = "SELECT slot_us, kind, lane, hop, within_s, postings, took_us FROM delivery_time WHERE plant = ?"
    found = store._db.execute(query, [plant]).fetchall()
    assert len({row[:5] for row in found}) == len(found), "one row for each key"
    return {row[:5]: row[5:] for row in found}


def recounted(receipts):
    postings, took = Counter(), Counter()
    for row in receipts:
        if row["status"] != "accepted":
            continue
        assert hops(row).keys() == HOPS.keys()
        for hop, took_us in hops(row).items():
            key = (row["answered_us"] // SLOT_US * SLOT_US, row["kind"], row["lane"], hop, within(took_us))
            postings[key] += 1
            took[key] += took_us
    return {key: (postings[key], took[key]) for key in postings}


def open_ids(store, plant):
    query = "SELECT posting_id FROM open_posting WHERE plant = ? AND placed AND status IS DISTINCT FROM 'withdrawn'"
    return {row[0] for row in store._db.execute(query, [plant]).fetchall()}


def objectives(plant):
    return [
        Objective(name="all", plants=[plant]),
        Objective(name="critical", plants=[plant], lanes=["critical"], hop="enqueued-committed", window_days=1),
        Objective(name="issues", plants=[plant], kinds=["goods-issue"], hop="enqueued-sent", within_s=30),
    ]


def judged(store, plant, as_of_us):
    found = {}

    def work(db):
        evaluate(db, objectives(plant), as_of_us)
        for each in levels(db, objectives(plant), as_of_us):
            found[each.objective.name] = (each.whole, each.windows, each.waiting)
        raise Undone

    with pytest.raises(Undone):
        store.transact("test", work)
    return found


class Undone(Exception):
    """Nothing of an evaluation is to stay."""


def judged_naively(plant, receipts, waiting, as_of_us):
    found = {}
    for o in objectives(plant):
        done = [r for r in receipts if r["status"] == "accepted"]
        done = [r for r in done if applies(o, r)]
        starts = [(row["end_us"] if o.hop.startswith("occurred") else at_us, row) for row, at_us in waiting]
        late = sum(
            applies(o, row) and start + o.within_s * S + SETTLE_US < as_of_us
            for start, row in starts
            if o.hop.endswith("committed") and o.hop != "sent-committed"
        )

        def counted(window_s, o=o, done=done, late=late):
            first = (as_of_us - window_s * S) // SLOT_US
            among = [r for r in done if r["answered_us"] // SLOT_US >= first]
            return Count(len(among) + late, sum(hops(r)[o.hop] > o.within_s * S for r in among) + late)

        whole = counted(o.window_days * 86_400)
        if whole.postings:
            found[o.name] = (whole, {window: counted(window) for window in WINDOWS_S}, late)
    return found


def applies(objective, row):
    return (not objective.kinds or row["kind"] in objective.kinds) and (
        not objective.lanes or row["lane"] in objective.lanes
    )


def test_an_alert_begins_and_ends_once_however_often_its_writer_is_started(tmp_path):
    config = StoreConfig(path=tmp_path / "store.duckdb", published=tmp_path / "analytics.duckdb")
    objective = Objective(name="confirmations")
    rows = [
        posting(n, NOON_US, order=f"WO-{n % 2}", kind="goods-issue" if n == 3 else "confirmation") for n in range(4)
    ]
    store = Store(config)
    for shard in ("postings", "receipts"):
        store.restore(shard)
    store.commit("postings", "3", {"posting": postings_table(rows, [0, 1, 2, 3], [None] * 4)})
    begun_us = NOON_US + 76 * S
    for as_of_us in (NOON_US + 75 * S, begun_us, begun_us, begun_us + S):
        store.transact("test", lambda db, at_us=as_of_us: evaluate(db, [objective], at_us))
        if as_of_us == begun_us:
            store.close()
            store = Store(config)
    (alert, ticket) = alerts(store)
    assert (alert["urgency"], ticket["urgency"]) == ("page", "ticket")
    assert alert["begun_us"] == begun_us
    assert alert["ended_us"] is None
    assert (alert["orders"], alert["materials"], alert["lots"]) == (["WO-0", "WO-1"], ["M-1"], ["L-1"])
    assert (alert["postings"], alert["quantities"]) == (4, ["4.000 H87"])
    assert (alert["line_stop"], alert["severity"]) == (True, "line-stop"), "components are not issued"
    assert (alert["owners"], alert["codes"]) == (["integration-support"], [])
    store.restore("receipts")
    answers = [receipt(n, NOON_US, begun_us + 10 * S) for n in range(4)]
    store.commit("receipts", "3", {"receipt": receipts_table(answers, [0, 1, 2, 3])})
    after_us = begun_us + 3_600 * S + 2 * SLOT_US
    for as_of_us in (begun_us + 20 * S, after_us, after_us + S):
        store.transact("test", lambda db, at_us=as_of_us: evaluate(db, [objective], at_us))
    told = store._db.execute(
        "SELECT word, at_us FROM slo_notice JOIN slo_alert USING (alert_id) WHERE urgency = 'page'"
    )
    assert sorted(told.fetchall()) == [("begun", begun_us), ("ended", after_us)]
    assert store._db.execute("SELECT count(*) FROM open_posting").fetchone() == (0,)
    store.close()


def alerts(store):
    found = store._db.execute(
        "SELECT slo_breach.*, begun_us, ended_us FROM slo_breach JOIN slo_alert USING (alert_id)"
        " ORDER BY slo_breach.urgency"
    )
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize(
    ("fields", "line_stop", "financial"),
    [
        ({}, False, False),
        ({"final": True}, False, True),
        ({"posting_date": "2026-08-31"}, False, True),
        ({"kind": "goods-receipt"}, False, False),
        ({"kind": "goods-receipt", "material": "C-1"}, True, False),
    ],
)
def test_what_is_late_says_what_it_threatens(store, fields, line_stop, financial):
    plant = next(NAMES)
    rows = [posting(next(IDS), NOON_US - 600 * S, plant=plant, **fields) for _ in range(3)]
    store.restore(plant)
    store.commit(plant, "0", {"posting": postings_table(rows, [0, 1, 2], [None] * 3)})

    def judge(db):
        db.execute(
            "INSERT INTO component_usage VALUES ('s4', 'B', 'WO-9', '', '', '', 'C-1', 'H87', 0, 1000, 1000, 0, 's', 0)"
        )
        evaluate(db, [Objective(name="o", plants=[plant])], NOON_US)
        found = db.execute("SELECT line_stop, financial FROM slo_alert WHERE plant = ?", [plant]).fetchall()
        assert set(found) == {(line_stop, financial)}
        raise Undone

    with pytest.raises(Undone):
        store.transact("test", judge)


def test_what_was_answered_late_is_named_with_what_its_posting_says(store):
    plant, ids = next(NAMES), [next(IDS) for _ in range(4)]
    rows = [posting(number, NOON_US, plant=plant, lot=f"L-{number % 2}") for number in ids[:3]]
    answers = [receipt(number, NOON_US, NOON_US + 400 * S, plant=plant) for number in ids]
    store.restore(plant)
    store.commit(plant, "0", {"receipt": receipts_table(answers, [0, 1, 2, 3])})
    store.commit(plant, "1", {"posting": postings_table(rows, [0, 1, 2], [None] * 3)})

    def judge(db):
        evaluate(db, [Objective(name="o", plants=[plant])], NOON_US + 500 * S)
        found = db.execute(
            "SELECT DISTINCT postings, materials, lots, quantities FROM slo_breach WHERE plant = ?", [plant]
        )
        lots = sorted({f"L-{number % 2}" for number in ids[:3]})
        assert found.fetchall() == [(4, ["M-1"], lots, ["3.000 H87"])], "the posting of one is not stored yet"
        raise Undone

    with pytest.raises(Undone):
        store.transact("test", judge)
