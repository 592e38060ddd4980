"""When a shard commits: after its interval, and sooner while a hold or a release waits (M16)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from canonical.mapping import PlantMapping
from canonical.records import NO_RECORDS, RawRecords
from dataflows.sources.shard_source import Pace
from sinks.memory import MemoryStore
from tests.scripted_flow import run

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
