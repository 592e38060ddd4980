"""Shards of a configuration, their shares, and the ledger's equations."""

from __future__ import annotations

from itertools import chain

import pytest

from canonical.contracts.ledger import imbalances
from dataflows.settings import load
from dataflows.shards import Share, analytics_shards, confirmations_shards, reference_shards
from dataflows.sources.shard_source import ShardInput

SHARDS = {name: ShardInput(lambda: None) for name in "gbdcafe"}
BALANCED = {
    "read": 100,
    "released": 80,
    "late": 5,
    "duplicates": 9,
    "faults": 4,
    "held": 2,
    "accounted": 60,
    "analytics_only": 20,
    "operational": 5,
}


@pytest.mark.parametrize("count", range(1, 10))
def test_shares_are_disjoint_even_and_complete(count):
    parts = [list(Share(index, count).of(SHARDS)) for index in range(count)]

    assert sorted(chain.from_iterable(parts)) == sorted(SHARDS)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_share_does_not_depend_on_the_order_of_the_settings():
    assert list(Share(1, 3).of(SHARDS)) == list(Share(1, 3).of(dict(sorted(SHARDS.items())))) == ["b", "e"]


@pytest.mark.parametrize("text", ["", "1", "1/", "/2", "2/2", "-1/2", "a/b", "0/0", "1/2/3", "١/٢"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r"I/N|numbered from 0"):
        Share.parse(text)


def test_a_share_is_read():
    assert Share.parse("1/4") == Share(1, 4)


def test_shards_are_named_by_their_place(tmp_path, monkeypatch):
    monkeypatch.delenv("PLANTSYNC_KAFKA", raising=False)
    path = tmp_path / "plantsync.toml"
    path.write_text('landing = "landing"\nplants = ["shipped:plant_b", "shipped:plant_a"]\n[pace]\nsettle_s = 0.5\n')
    settings = load(path)

    shards = confirmations_shards(settings, lambda: 0)

    assert list(shards) == ["folder:plant-b", "folder:plant-a"]
    legacy, mes = (shard.open().config for shard in shards.values())
    assert legacy.folder == tmp_path / "landing/plant-b"
    assert (legacy.by_content, mes.by_content) == (True, False)
    assert legacy.settle_us == 500_000
    streams = ("confirmations", "events", "gaps", "ledger", "ranges", "dead-letters", "trail", "usage")
    observed = ("states", "telemetry")
    assert list(analytics_shards(settings)) == [f"stream:{stream}" for stream in (*streams, *observed)]
    assert reference_shards(settings, lambda: 0) == {}


def test_reference_data_is_read_in_the_flow_analytics_too(tmp_path, monkeypatch):
    monkeypatch.delenv("PLANTSYNC_KAFKA", raising=False)
    path = tmp_path / "plantsync.toml"
    path.write_text(
        'landing = "landing"\nplants = ["shipped:plant_a"]\n'
        '[reference]\nfolder = "reference"\nsystems = ["erp", "mes"]\n'
    )
    shards = reference_shards(load(path), lambda: 0)
    assert {name: shard.stream for name, shard in shards.items()} == {
        "reference/erp": "reference/erp",
        "reference/mes": "reference/mes",
    }


def test_a_balanced_ledger_has_no_imbalance():
    assert imbalances(BALANCED) == []


@pytest.mark.parametrize("name", BALANCED)
def test_a_count_that_is_wrong_is_found(name):
    assert imbalances({**BALANCED, name: BALANCED[name] + 1})
