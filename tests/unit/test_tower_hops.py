"""Where a plant is said to be stuck: each hop's level from what store, log and flows say (M37, M38, M40)."""

from __future__ import annotations

import pytest

from dataflows.health.shard_health import Finding, ShardHealth
from dataflows.settings import load
from dataflows.tower.box import Box
from dataflows.tower.figures import Figures
from dataflows.tower.hop import plants
from dataflows.tower.summary import flows, owners
from dataflows.tower.watch import Health, Picture
from tests.tower_site import SETTINGS, exception

NOW_US = 1_800_000_000_000_000
ROW = {"plant": "A", "read": 100, "confirmed": 9, "waiting": 0, "queued": 0, "erps": ["s4"], "balanced": True}
AWAY = exception("ERP_UNAVAILABLE", plant="", erp="s4")
READER = {"flow": "confirmations", "shard": "folder:plant-a"}


def picture(row=None, exceptions=(), shards=(), findings=()):
    return Picture(
        1,
        NOW_US,
        Figures(NOW_US, {"A": ROW | (row or {})}),
        Box({str(each.exception_id): each for each in exceptions}),
        health=Health(NOW_US, tuple(findings), tuple(shards)),
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    file = tmp_path_factory.mktemp("hops") / "plantsync.toml"
    file.write_text(SETTINGS)
    return load(file)


CASES = {
    "nothing": ({}, {}),
    "read on": ({"shards": [ShardHealth(**READER, behind=7, age_s=1)]}, {"read": "note"}),
    "not read": ({"shards": [ShardHealth(**READER, behind=7, age_s=61)]}, {"read": "stop"}),
    "silent": ({"shards": [ShardHealth(**READER, behind=0, age_s=9_999)]}, {}),
    "broken": ({"shards": [ShardHealth(**READER, behind=None, problem="gone")]}, {"read": "stop"}),
    "another plant's": ({"shards": [ShardHealth("confirmations", "folder:plant-b", 7, 61)]}, {}),
    "held": ({"row": {"held": 3}}, {"ordered": "note"}),
    "not in balance": ({"row": {"balanced": False}}, {"confirmed": "stop"}),
    "waiting": ({"row": {"waiting": 3, "waiting_since_us": 1}}, {"checked": "note"}),
    "a line may stop": ({"exceptions": [exception()]}, {"checked": "stop"}),
    "books may be wrong": ({"exceptions": [exception("OVER_DELIVERY")]}, {"checked": "stuck"}),
    "ended": ({"exceptions": [exception(resolution="released")]}, {}),
    "queued": ({"row": {"queued": 2}}, {"queued": "note"}),
    "rejected": ({"exceptions": [exception("ERP_REJECTED", erp="s4")]}, {"queued": "stuck"}),
    "away as delivery found": ({"exceptions": [AWAY]}, {"queued": "stop"}),
    "away as was just asked": ({"findings": [Finding("erp s4", "problem", "no answer")]}, {"queued": "stop"}),
    "another ERP away": ({"findings": [Finding("erp s5", "problem", "no answer")]}, {}),
    "not moved": ({"exceptions": [exception("MOVEMENT_FAILED", erp="s4")]}, {"posted": "stuck"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hop_is_as_bad_as_what_is_stuck_there(settings, case):
    given, expected = CASES[case]
    found = plants(settings, picture(**given), NOW_US)

    (own,) = [plant for plant in found if plant.name == "A"]
    assert {hop.key: hop.level for hop in own.hops if hop.level != "fine"} == expected
    assert own.level == next(iter(expected.values()), "fine")
    if own.level in {"stuck", "stop"}:
        assert found[0] is own  # The worst come first.


def test_a_flow_that_reads_nothing_of_what_is_there_is_stopped():
    shards = [ShardHealth("postings", "postings", 5, 61), ShardHealth("delivery", "erp:s4", 5, 1)]

    assert {flow.name: flow.level for flow in flows(picture(shards=shards), 60)} == {
        "postings": "stop",
        "delivery": "note",
    }


def test_exceptions_are_counted_by_owner_and_age():
    hours = (0, 0.9, 1, 7.9, 8, 24, 1_000)
    found = [exception(number=n, opened_us=NOW_US - round(h * 3_600_000_000)) for n, h in enumerate(hours)]

    assert [(owner.value, counts) for owner, counts in owners(found, NOW_US)] == [
        ("plant-supervisor", [2, 2, 1, 2]),
        ("integration-support", [0, 0, 0, 0]),
    ]
