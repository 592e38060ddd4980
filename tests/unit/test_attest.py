"""A shard says in the audit trail under which mapping it works, with the first results it makes so (M35)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from canonical.records import RawRecords
from sinks.memory import MemoryStore
from sinks.trail import Head, breaks
from tests.scripted_flow import run

NOW_US = 1_760_000_000_000_000
PLANT_A = next(path for path in shipped() if path.stem == "plant_a")


def flow(mapping: PlantMapping, store: MemoryStore) -> list[dict]:
    records = RawRecords.from_lines(b"{}\n", len(store.records))
    run(mapping, [(NOW_US, records)], NOW_US + 1, store)
    return [json.loads(record.value) for record in store.read("trail", 0, 100)]


@pytest.fixture
def changed(tmp_path: Path) -> PlantMapping:
    path = tmp_path / "plant_a.toml"
    path.write_text(PLANT_A.read_text().replace('PCE = "H87"', 'PCE = "KGM"'))
    return load(path)


def test_each_change_of_the_mapping_becomes_one_entry(changed):
    store, mapping = MemoryStore(), load(PLANT_A)

    (first,) = flow(mapping, store)
    assert (first["chain"], first["number"], first["action"]) == ("shard", 0, "mapping-changed")
    assert (first["before"], first["after"], first["subject"]) == ("", mapping.digest, "A")
    assert flow(mapping, store) == [first]
    _, second = flow(changed, store)
    assert (second["number"], second["before"], second["after"]) == (1, mapping.digest, changed.digest)
    assert second["at_us"] == NOW_US + 1

    heads = {"shard": Head.of(store.snapshots["shard"].state)}
    assert breaks(store.read("trail", 0, 100), heads, heads) == []


def test_a_long_title_stops_nothing():
    mapping = load(PLANT_A).model_copy(update={"title": "x" * 10_000, "plant": ""})

    (entry,) = flow(mapping, MemoryStore())
    assert entry["subject"] == "x" * 256


def test_layout_of_the_file_is_no_change(tmp_path):
    path = tmp_path / "plant_a.toml"
    path.write_text("# another comment\n" + PLANT_A.read_text())

    assert load(path).digest == load(PLANT_A).digest
