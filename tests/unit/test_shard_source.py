"""When a shard commits: after its interval, sooner while a hold or a release waits (M16), later while it is behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import pytest
from bytewax.testing import run_main

from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords
from dataflows.confirmations import confirmations
from dataflows.items import Commit, Restored
from dataflows.sources.shard_source import Pace, ShardInput, ShardSource
from sinks.memory import MemoryStore
from tests.scripted_flow import Script, TellingLog, run

NOW_US = 1_760_000_000_000_000
FIELDS = ("source", "seq", "type", "occurred", "lot")
TYPES = ("partial", "telemetry", "downtime", "move", "hold", "release")
LAST = 4.0
"""Seconds: the reader is at its end."""


def plant(**routes: str) -> PlantMapping:
    content = {
        "plant": "P",
        "title": "holds",
        "format": "json",
        "input": {"topics": ["p"]},
        "fields": {name: name for name in FIELDS},
        "time": {"format": "epoch_us"},
        "sequencing": {"gap_timeout_s": 3_600},
        "routes": routes,
    }
    return PlantMapping.model_validate(content)


def committed(*batches: tuple[float, list[tuple[int, str]]], mapping: PlantMapping | None = None, **pace: int):
    """Run over (seconds, [(number, type)]); return the seconds of each commit and the batches it took."""
    fed = [(NOW_US, NO_RECORDS)]  # so that the first interval begins
    for at_s, events in batches:
        body = {"source": "m", "occurred": NOW_US, "lot": "l"}
        lines = [json.dumps(body | {"seq": seq, "type": kind}).encode() for seq, kind in events]
        raw = RawRecords.from_values(lines, np.arange(len(lines))) if lines else NO_RECORDS
        fed.append((NOW_US + round(at_s * 1e6), raw))
    store, commits = MemoryStore(), []

    def note() -> None:
        snapshot = store.snapshots["shard"]
        at_s = (int(snapshot.state["committed_us"]) - NOW_US) / 1e6
        commits.append((at_s, int(snapshot.position) - 1))

    settings = {"until_end": True, "idle_wait_us": 0, "commit_interval_us": 1_000_000} | pace
    run(mapping or plant(), fed, NOW_US + round(LAST * 1e6), store, Pace(**settings), note)
    return commits


@pytest.mark.parametrize("kind", TYPES)
def test_only_a_hold_or_a_release_is_committed_before_the_interval_is_over(kind):
    commits = committed((0.02, [(0, kind)]), (0.09, [(1, "partial")]), (0.1, [(2, "partial")]), (0.9, [(3, "partial")]))

    assert commits == ([(0.1, 3)] if kind in {"hold", "release"} else []) + [(LAST, 4)]


def test_nothing_urgent_waits_after_the_commit():
    commits = committed((0.02, [(0, "hold")]), (0.1, []), (0.2, []), (0.3, [(1, "partial")]), (1.1, [(2, "partial")]))

    assert commits == [(0.1, 2), (1.1, 5), (LAST, 5)]


def test_one_hold_after_the_other_makes_no_more_commits_than_the_urgent_interval():
    holds = [(0.02 + 0.03 * i, [(i, "hold")]) for i in range(12)]

    assert [at_s for at_s, _ in committed(*holds, urgent_interval_us=200_000)] == [0.2, LAST]


def test_a_hold_that_waits_for_a_smaller_number_is_not_urgent_yet():
    commits = committed((0.02, [(1, "hold")]), (0.3, []), (0.5, [(0, "partial")]), (0.52, []), (0.7, [(2, "partial")]))

    assert commits == [(0.52, 4), (LAST, 5)]


def test_a_hold_that_is_not_passed_on_is_not_urgent():
    assert committed((0.02, [(0, "hold")]), (0.5, [(1, "partial")]), mapping=plant(hold="analytics-only")) == [
        (LAST, 2)
    ]


def test_the_urgent_interval_makes_no_other_longer():
    commits = committed((0.02, [(0, "hold")]), (0.06, [(1, "hold")]), commit_interval_us=50_000)

    assert commits == [(0.06, 2), (LAST, 2)]


COST_S = 0.05
BACKLOG = [(0.01 * i, 1) for i in range(1, 300)]
"""A record every 0.01 s, so that none ever waits in vain for the next."""


def costing(*batches: tuple[float, int], cost_s: float = COST_S, shards: int = 1, sessions: int = 0, **pace: float):
    """Poll shards at these seconds, so many records each; return when the first commits, which costs what is given.

    Args: sessions: of each shard.
    """
    fed = [(NOW_US + round(at_s * 1e6), RawRecords.from_values([b"{}"] * n, np.arange(n))) for at_s, n in batches]
    scripts = {f"shard-{number}": Script(fed, 0, now_us=NOW_US) for number in range(shards)}
    inputs = {name: ShardInput(lambda script=script: script) for name, script in scripts.items()}
    settings = Pace(**{"commit_interval_us": 200_000} | pace)
    source = ShardSource(inputs, lambda _shard: None, settings, scripts["shard-0"].clock, Event())
    parts = [source.build_part("raw", name, None) for name in source.list_parts()]
    commits, known = [], {}
    for _ in batches:
        for name, item in (keyed for part in parts for keyed in part.next_batch()):
            if isinstance(item, Restored):
                known[name] = item.shard
                item.shard.sessions.rows([(0, source, 0) for source in range(sessions)], sessions)
            elif isinstance(item, Commit):
                known[name].commit_cost_us = round(cost_s * 1e6)
                commits += [round((item.now_us - NOW_US) / 1e6, 2)] if name == "shard-0" else []
    return commits


def test_while_there_is_more_to_read_commits_take_a_tenth_of_the_time():
    assert costing(*BACKLOG) == [0.2, 0.7, 1.2, 1.7, 2.2, 2.7]
    assert costing(*BACKLOG, commit_share_max=0.05) == [0.2, 1.2, 2.2]


def test_commits_of_all_shards_together_take_a_tenth_of_the_time():
    assert costing(*BACKLOG, shards=2) == [0.2, 1.2, 2.2]


def test_a_commit_that_costs_little_makes_no_interval_longer():
    assert costing(*BACKLOG, cost_s=0.02) == [round(0.2 * i, 2) for i in range(1, 15)]


def test_no_commit_makes_an_interval_longer_than_its_limit():
    assert costing(*BACKLOG, cost_s=60, commit_interval_max_us=1_000_000) == [0.2, 1.2, 2.2]


def test_the_limit_makes_no_interval_shorter():
    assert costing(*BACKLOG, commit_interval_us=2_000_000, commit_interval_max_us=1_000_000) == [2.0]


def test_no_interval_is_made_longer_while_so_many_results_wait():
    assert costing(*BACKLOG, commit_interval_results_max=30)[:4] == [0.2, 0.5, 0.8, 1.1]
    assert costing(*BACKLOG, commit_interval_results_max=10)[:4] == [0.2, 0.4, 0.6, 0.8]


def test_where_there_are_many_sessions_as_many_results_may_wait():
    assert costing(*BACKLOG, commit_interval_results_max=10, sessions=30)[:4] == [0.2, 0.5, 0.8, 1.1]
    assert costing(*BACKLOG, commit_interval_results_max=10, sessions=10)[:4] == [0.2, 0.4, 0.6, 0.8]


def test_a_poll_that_brings_nothing_ends_the_long_interval():
    assert costing(*BACKLOG[:44], (0.45, 0), *BACKLOG[45:100]) == [0.2, 0.45, 0.95]


@pytest.mark.parametrize("limit", ["commit_rows_max", "commit_results_max"])
def test_so_many_records_are_committed_however_long_the_interval(limit):
    assert costing(*BACKLOG, **{limit: 30})[:4] == [0.2, 0.5, 0.8, 1.1]


@pytest.mark.parametrize(("moving", "expected"), [(False, []), (True, ["3", "6", "8"])])
def test_a_position_that_moves_without_a_record_is_committed_where_that_is_asked_for(moving, expected):
    script = Script([(NOW_US + 100_000 * i, NO_RECORDS) for i in range(1, 9)], NOW_US + 5_000_000, now_us=NOW_US)
    inputs = {"shard": ShardInput(lambda: script, moving=moving)}
    source = ShardSource(inputs, lambda _shard: None, Pace(commit_interval_us=250_000), script.clock, Event())
    part = source.build_part("raw", "shard", None)
    items = []
    for _ in range(20):
        items += [item for _, item in part.next_batch()]
        script.now_us += 300_000 if script.at_end() else 0
    assert [item.position for item in items if isinstance(item, Commit)] == expected


@dataclass
class Backlog(Script):
    """A reader that always has a record, and takes 0.01 s to tell it; a commit takes so long."""

    commit_s: float = 0.0
    commits: list[float] = field(default_factory=list)

    def poll(self) -> RawRecords:
        self.now_us += 10_000
        if self.at == len(self.batches):
            return NO_RECORDS
        self.at += 1
        return self.batches[self.at - 1][1]

    def committed(self) -> None:
        self.commits.append((self.now_us - NOW_US) / 1e6)
        self.now_us += round(self.commit_s * 1e6)


def behind(kinds: Sequence[str], commit_s: float, **limits: int) -> list[float]:
    """Run the flow over a backlog of events of these types, all of one source; return when it committed."""
    body = {"source": "m", "occurred": NOW_US, "lot": "l"}
    lines = [json.dumps(body | {"seq": seq, "type": kind}).encode() for seq, kind in enumerate(kinds)]
    fed = [(0, RawRecords.from_values([line], np.arange(1))) for line in lines]
    script = Backlog(fed, 0, now_us=NOW_US, commit_s=commit_s)
    pace = Pace(until_end=True, idle_wait_us=0, commit_interval_us=200_000, **limits)
    log = TellingLog(MemoryStore(), script.committed)
    run_main(confirmations({"shard": ShardInput(lambda: script, plant())}, log, pace, script.clock, Event()))
    return script.commits


def test_what_a_commit_costs_is_measured():
    apart = np.diff(behind(["partial"] * 200, COST_S))

    # Nearly all that is written is the state, which is written with each commit.
    assert 0.5 * 0.9 < apart[1] <= 0.5, apart


def test_a_hold_does_not_wait_for_the_long_interval():
    kinds = ["partial"] * 200
    kinds[40] = "hold"
    slow, quick = behind(kinds, COST_S), behind(["partial"] * 200, COST_S)

    assert slow[0] == quick[0] == 0.2
    assert slow[1] < 0.2 + COST_S + 0.25 < quick[1]


def test_results_are_counted_where_records_make_few():
    few, many = ["telemetry"] * 100, ["downtime"] * 100

    assert np.allclose(np.diff(behind(few, 0, commit_results_max=5)[:-1]), 0.2)
    # A stop is two results: an event, and the mark of a state.
    assert np.allclose(np.diff(behind(many, 0, commit_results_max=5))[1:-2], 0.04)


def renewals(texts: Sequence[int], sessions: int, **pace: int) -> list[int]:
    """Poll a shard that learns so many new texts with each batch; return with which its vocabulary was renewed."""
    fed = [(NOW_US, RawRecords.from_values([b"{}"], np.arange(1))) for _ in texts]
    script = Script(fed, 0, now_us=NOW_US)
    settings = Pace(commit_interval_us=0, vocabulary_max=10, until_end=True, **pace)
    source = ShardSource({"s": ShardInput(lambda: script)}, lambda _shard: None, settings, script.clock, Event())
    part, found, shard = source.build_part("raw", "s", None), [], None
    for number, count in enumerate(texts):
        for _, item in part.next_batch():
            if isinstance(item, Restored):
                found += [] if shard is None else [number]
                shard = item.shard
                shard.sessions.rows([(0, source, 0) for source in range(sessions)], sessions)
        shard.vocabulary.codes(f"{number}-{text}" for text in range(count))
    return found


def test_a_vocabulary_is_renewed_when_it_is_larger_than_its_limit_and_than_its_sessions_need():
    assert renewals([5] * 9, sessions=0) == [2, 5, 8]
    assert renewals([5] * 9, sessions=4, vocabulary_session_max=6) == [5]
    assert renewals([5] * 9, sessions=4, vocabulary_session_max=0) == [2, 5, 8]
