"""Objectives are judged as of an instant up to which all answers of the ERPs are stored, and not while behind (M39)."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from dataflows import objectives_watch
from dataflows.objectives_watch import BEHIND_US, ObjectivesWatch

NOON_US = 1_790_000_000_000_000
S = 1_000_000


@pytest.fixture
def judged(monkeypatch):
    """Return what asks a watch at an instant: as of which instant it judged, None where it did not."""
    seen = []

    def evaluate(_db, _objectives, as_of_us):
        seen.append(as_of_us)
        return True

    monkeypatch.setattr(objectives_watch, "evaluate", evaluate)

    def ask(watch, now_us):
        work = watch.due(now_us)
        if work is None:
            return None
        with duckdb.connect() as db:
            assert work(db)
        return seen[-1]

    return ask


def answers(*instants):
    return {"receipt": pa.table({"answered_us": pa.array(instants, pa.int64())})}


def test_it_is_judged_as_of_the_shard_that_is_furthest_behind(judged):
    news = []
    watch = ObjectivesWatch([], 30 * S, ["receipts-0", "receipts-1"], lambda: news.append(1))
    watch.idle("receipts-0", NOON_US)
    watch.idle("postings", NOON_US)
    assert judged(watch, NOON_US) is None, "nothing is known of the other shard"
    watch.stored("receipts-1", answers(NOON_US - 20 * S, NOON_US - 10 * S))
    watch.stored("receipts-0", answers(NOON_US - 99 * S))
    assert judged(watch, NOON_US) == NOON_US - 10 * S
    assert news == [1]
    watch.idle("receipts-1", NOON_US + 29 * S)
    assert judged(watch, NOON_US + 29 * S) is None, "it was judged just now"
    assert judged(watch, NOON_US + 30 * S) == NOON_US


def test_nothing_is_judged_while_the_flow_catches_up_or_without_receipts(judged):
    watch = ObjectivesWatch([], 30 * S, ["receipts"], lambda: None)
    watch.stored("receipts", answers(NOON_US))
    assert judged(watch, NOON_US + BEHIND_US + 1) is None
    watch.stored("receipts", answers(NOON_US + 1))
    assert judged(watch, NOON_US + BEHIND_US + 1) == NOON_US + 1
    assert judged(ObjectivesWatch([], 1, [], lambda: None), NOON_US) is None
