"""Conservation, order and tiling on the whole flow, read off what it committed (DESIGN laws 1, 2, 4, 5).

Random numbered sources go through the real ``confirmations`` flow: several sessions, disorder,
duplicates, conflicts, gaps that stay and gaps that are filled late, types of all three routes,
changes of order and lot, completions, absurd counters and records that cannot be read, cut into
random batches while time goes on. Nothing here looks into a processor: what was fed is compared with
the confirmations, events, gaps, dead letters and ledger that lie in the commit log in the end.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.shard_source import Pace
from sinks import dead_letters
from tests import scripted_flow

NOW_US = 1_767_610_800_000_000  # 2026-01-05 12:00 in Berlin
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
STREAMS = [("m1", "s1"), ("m1", "s2"), ("m2", "s1")]
ROUTES = {
    "partial": "aggregated",
    "scrap": "aggregated",
    "complete": "aggregated",
    "rework": "aggregated",
    "downtime": "operational",
    "telemetry": "analytics-only",
}
WILD = 900_000
"""A counter reading that no one believes; all others are 0, so that the counter adds nothing."""


def mapping(*, start, split_by, held_rows_max, gaps_max, count_max, idle_s, open_max=1, jump_max=10, mode="number"):
    text = ("source", "session", "order", "work_center", "lot")
    return PlantMapping.model_validate({
        "plant": "P",
        "time_zone": "Europe/Berlin",
        "format": "json",
        "input": {"folder": "p"},
        "fields": {name: name for name in (*text, "type", "good", "scrap", "good_counter")}
        | {"occurred": "at"}
        | ({"seq": "seq"} if mode == "number" else {}),
        "time": {"format": "epoch_us"},
        "sequencing": {"mode": mode, "start": start, "gap_timeout_s": 5, "held_rows_max": held_rows_max}
        | {"gaps_max": gaps_max, "conflict_horizon_rows": 65_536},
        "counters": {"jump_max": jump_max},
        "aggregation": {"split_by": split_by, "count_max": count_max, "idle_s": idle_s, "open_max": open_max},
        "shifts": [{"name": "early", "start": "06:00", "end": "14:00"}],
    })  # fmt: skip


mappings = st.builds(
    mapping,
    start=st.sampled_from([0, 2, "any"]),
    split_by=st.sampled_from([[], ["order", "work_center"], ["order", "lot", "reason", "rework", "shift"]]),
    held_rows_max=st.sampled_from([1, 3, 100]),
    gaps_max=st.sampled_from([1, 100, 100]),
    count_max=st.sampled_from([None, 2, 3]),
    idle_s=st.sampled_from([3, 50]),
    open_max=st.sampled_from([1, 2, 9]),
)
seldom = st.sampled_from([0] * 15 + [1])
draft = st.fixed_dictionaries({
    "stream": st.sampled_from([0, 0, 0, 1, 2]),
    "step": st.sampled_from([1] * 11 + [2, 2, 3, 5, 0, -1, -2, -4, -8]),  # from the number before, in the same stream
    "type": st.sampled_from(["partial"] * 12 + list(ROUTES)),
    "order": seldom,
    "work_center": st.sampled_from([1, 1, 1, 2, 3]),
    "lot": seldom,
    "good": st.integers(0, 3),
    "scrap": seldom,
    "counter": st.sampled_from([None] * 10 + [0] * 5 + [WILD]),
    "minutes": st.sampled_from([0] * 9 + [1, 90, -1]),
    "conflict": seldom,
    "unreadable": st.sampled_from([None] * 20 + [b"{", b"[]", b'{"source": "m1"}', b"\xff"]),
    "wait_s": st.sampled_from([0] * 14 + [1, 4, 6, 60]),
})  # fmt: skip
# A short one to understand a failure by, long ones to meet what is rare.
drafts_ = st.sampled_from([1, 40, 60]).flatmap(lambda size: st.lists(draft, min_size=size, max_size=size + 5))


def told(plant, drafts):
    """Return (seconds, stream or None, seq, event, bytes) of each record; a repeated number repeats its first body."""
    start = plant.sequencing.start
    lowest, begin = (0, 3) if start == "any" else (start, start - 1)
    last, first, seconds, at, records = {}, {}, 0, NOW_US - DAY_US, []
    for draft in drafts:
        seconds += draft["wait_s"]
        at += draft["minutes"] * 60 * SECOND_US
        if draft["unreadable"] is not None:
            records.append((seconds, None, -1, None, draft["unreadable"]))
            continue
        stream = STREAMS[draft["stream"]]
        seq = last[stream] = max(lowest, last.get(stream, begin) + draft["step"])
        event = {"source": stream[0], "session": stream[1], "seq": seq, "at": at, "type": draft["type"]}
        event |= {"order": f"o{draft['order']}", "lot": f"l{draft['lot']}", "work_center": f"w{draft['work_center']}"}
        event |= {"good": draft["good"], "scrap": draft["scrap"], "good_counter": draft["counter"]}
        event = first.setdefault((stream, seq), event)
        if draft["conflict"]:
            event = event | {"good": event["good"] + 1}
        body = {name: value for name, value in event.items() if value is not None}
        records.append((seconds, stream, seq, event, json.dumps(body).encode()))
    return records


def batches(records, cuts):
    """Cut the records where time passes and at ``cuts``; then let time pass until nothing is waited for."""
    offsets = np.arange(len(records))
    passes = [i for i in range(1, len(records)) if records[i][0] != records[i - 1][0]]
    bounds = sorted({0, len(records), *passes, *(cut for cut in cuts if cut < len(records))})
    fed = [
        (NOW_US + records[a][0] * SECOND_US, RawRecords.from_values([r[4] for r in records[a:b]], offsets[a:b]))
        for a, b in itertools.pairwise(bounds)
    ]
    end_us = fed[-1][0]
    # First the gaps are declared, then what they held back goes idle.
    return [*fed, (end_us + 100 * SECOND_US, NO_RECORDS), (end_us + 200 * SECOND_US, NO_RECORDS)]


def run(plant, fed, interval_s=0):
    pace = Pace(until_end=True, idle_wait_us=0, commit_interval_us=interval_s * SECOND_US)
    return scripted_flow.run(plant, fed, fed[-1][0] + 100 * SECOND_US, pace=pace)


def committed(outcome):
    """Return everything the flow committed about numbers, by stream of the source."""
    found = defaultdict(lambda: {"confirmations": [], "gaps": [], "events": [], "letters": []})
    for name, values in (
        ("confirmations", outcome.confirmations()),
        ("gaps", [json.loads(record.value) for record in outcome.stored("gaps")]),
        ("events", [json.loads(record.value) for record in outcome.stored("events")]),
    ):
        for value in values:
            found[value["source"], value["session"]][name].append(value)
    for letter in map(dead_letters.parse, outcome.stored("dead-letters")):
        found[letter.fault.source, letter.fault.session]["letters"].append(letter)
    return found


cuts_ = st.lists(st.integers(1, 64), max_size=12)


@settings(max_examples=120, deadline=None)
@given(mappings, drafts_, cuts_, st.sampled_from([0, 2]))
def test_every_number_has_one_fate_and_every_quantity_is_confirmed_once(plant, drafts, cuts, interval_s):
    records = told(plant, drafts)
    outcome = run(plant, batches(records, cuts), interval_s)
    entries = {key[1:]: entry for key, entry in outcome.ledger().items()}
    found = committed(outcome)
    for stream in {record[1] for record in records} - {None}:
        arrived = {}  # the first record of a number is the one that counts
        for _, _, seq, event, _ in (record for record in records if record[1] == stream):
            arrived.setdefault(seq, event)
        accounted = fates(plant, arrived, entries[stream], found[stream])
        sums(accounted, found[stream]["confirmations"])


def fates(plant, arrived, entry, found):
    """Check that each number has exactly one fate; return the events confirmed by their confirmation."""
    confirmations = sorted(found["confirmations"], key=lambda c: c["first_seq"])
    late = [c for c in confirmations if c["kind"] == "supplementary"]
    lanes = defaultdict(list, {"": []})  # where open side by side, the ranges of each work centre are apart
    for c in confirmations:
        if c["kind"] == "confirmation":
            lanes[c["work_center"] if plant.aggregation.is_side_by_side else ""].append(c)
    for own in lanes.values():
        for before, after in itertools.pairwise(sorted([*own, *late], key=lambda c: c["first_seq"])):
            assert before["last_seq"] < after["first_seq"], "two confirmations overlap"
    gaps = [(gap["first_seq"], gap["last_seq"]) for gap in found["gaps"]]
    declared = Counter(seq for first, last in gaps for seq in range(first, last + 1))
    assert set(declared.values()) <= {1}, "a number was declared missing twice"
    for c, (first, last) in itertools.product(confirmations, gaps):
        if c["kind"] == "confirmation":
            assert last < c["first_seq"] or c["last_seq"] < first, "a confirmation spans a declared gap"

    absurd = [x.fault.seq for x in found["letters"] if x.stage == "counter"]
    too_late = {x.fault.seq for x in found["letters"] if x.fault.code == "TOO_LATE"}
    passed_on = [event["seq"] for event in found["events"]]
    assert len(absurd) == len(set(absurd))
    assert len(passed_on) == len(set(passed_on))
    assert {arrived[seq]["good_counter"] for seq in absurd} <= {WILD}
    start = entry["start_seq"]
    # With start = "any" smaller numbers are late without a gap having been declared for them.
    numbers = sorted({*range(start, entry["next_seq"]), *(seq for seq in arrived if seq < start)})
    assert set(arrived) <= set(numbers)
    accounted, missing, analytics_only = {}, 0, 0
    for seq in numbers:
        route = ROUTES[arrived[seq]["type"]] if seq in arrived else ""
        covering = [c for c in confirmations if c["first_seq"] <= seq <= c["last_seq"]]
        if seq in arrived and plant.aggregation.is_side_by_side:
            place = arrived[seq]["work_center"]
            covering = [c for c in covering if c["kind"] == "supplementary" or c["work_center"] == place]
        if seq not in arrived or seq in too_late:
            assert seq < start or seq in declared, f"{seq} is missing and nobody said so"
            assert not covering, f"{seq} never came and is confirmed"
            assert seq not in passed_on
            missing += seq >= start
        elif seq in absurd:
            assert seq not in passed_on
        elif route == "aggregated":
            assert len(covering) == 1, f"{seq} is confirmed {len(covering)} times"
            accounted[seq] = arrived[seq], covering[0]["posting_id"]
        elif route == "operational":
            assert seq in passed_on
        else:
            analytics_only += 1
        late = seq in declared or seq < start
        assert all((c["kind"] == "supplementary") == late for c in covering)
    assert set(passed_on) <= set(arrived)
    assert entry["missing"] == missing
    assert (entry["held"], entry["gaps"]) == (0, len(gaps))
    assert entry["accounted"] == len(accounted)
    assert (entry["operational"], entry["analytics_only"]) == (len(passed_on), analytics_only)
    return accounted


def sums(accounted, confirmations):
    """Check that each confirmation says what its events amount to, and so do all of them together."""
    for c in confirmations:
        own = {seq: event for seq, (event, posting_id) in accounted.items() if posting_id == c["posting_id"]}
        assert c["events"] == len(own)
        assert {c["first_seq"], c["last_seq"]} <= own.keys()
        for name in ("good", "scrap"):
            assert c[name] == 1000 * sum(event[name] for event in own.values())
    assert sum(c["events"] for c in confirmations) == len(accounted)


@settings(max_examples=60, deadline=None)
@given(mappings, drafts_, cuts_, st.sampled_from([0, 2]))
def test_the_ledger_balances_at_every_commit(plant, drafts, cuts, interval_s):
    records = told(plant, drafts)
    fed = batches(records, cuts)
    outcome, newest, reads = run(plant, fed, interval_s), {}, [0]
    for record in outcome.stored("ledger"):  # one a commit
        for entry in map(json.loads, record.value.splitlines()):
            if entry["source"]:
                assert scripted_flow.balanced(entry), entry
            else:
                assert entry["read"] == entry["faults"]
            newest[entry["source"], entry["session"]] = entry
        reads.append(sum(entry["read"] for entry in newest.values()))
    cumulated = [0, *itertools.accumulate(len(raw) for _, raw in fed)]
    assert reads[-1] == len(records)
    assert set(reads) <= set(cumulated) if interval_s else list(dict.fromkeys(reads)) == list(dict.fromkeys(cumulated))


@settings(max_examples=40, deadline=None)
@given(mappings, drafts_, cuts_, cuts_, st.sampled_from([0, 2]))
def test_cuts_and_commits_leave_no_trace(plant, drafts, cuts, other_cuts, interval_s):
    """Every record arrives at the same time in both runs, so that also the clock decides alike."""
    records = told(plant, drafts)
    one, other = run(plant, batches(records, cuts)), run(plant, batches(records, other_cuts), interval_s)
    assert said(one) == said(other)


def said(outcome):
    # A record that was held back has no bytes left when a counter refuses it, which depends on the cutting;
    # what is said of it, and where it is to be found, does not.
    letters = [
        (x.stage, x.fault.model_dump_json(), x.value if x.stage != "counter" else b"")
        for x in map(dead_letters.parse, outcome.stored("dead-letters"))
    ]
    streams = {
        name: sorted(record.value for record in outcome.stored(name)) for name in ("confirmations", "events", "gaps")
    }
    return streams | {"letters": sorted(letters), "ledger": outcome.accounts()}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["number", "arrival"]),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(sorted(ROUTES))), min_size=9, max_size=20),
    st.permutations(range(4)),
    cuts_,
)
def test_a_counter_is_confirmed_from_its_first_reading_to_its_newest(mode, steps, order, cuts):
    """Whatever the routes of the events that carry it, and in whatever order a tracker's files land (M03, M15, M41)."""
    plant = mapping(
        start=0, split_by=["order"], held_rows_max=100, gaps_max=100, count_max=3, idle_s=3, jump_max=None, mode=mode
    )
    made, passed = np.cumsum([step[:2] for step in steps], axis=0).T.tolist()
    lines = [
        {"source": "m1", "session": "s1", "seq": seq, "at": NOW_US - DAY_US + us, "type": kind, "good_counter": reading}
        for seq, (reading, us, (_, _, kind)) in enumerate(zip(made, passed, steps, strict=True))
    ]
    files = [lines[5 * i : 5 * i + 5] for i in order if 5 * i < len(lines)]
    # Whatever lands last ends with a report that is confirmed: it takes with it what is owed.
    files.append([lines[-1] | {"seq": len(lines), "at": NOW_US, "type": "partial"}])
    arrived = [(0, None, 0, line, json.dumps(line).encode()) for file in files for line in file]
    outcome = run(plant, batches(arrived, cuts))
    first = min(lines, key=lambda line: line["seq"]) if mode == "number" else files[0][0]
    good = sum(c["good"] for c in outcome.confirmations())
    assert good == 1000 * (made[-1] - first["good_counter"]) <= 1000 * (made[-1] - made[0])
    assert {json.loads(record.value)["good"] for record in outcome.stored("events")} <= {0}
