"""What a plant's region forbids: settings that do not say where it may go, and rows in a store elsewhere (M50)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from canonical import mapping
from canonical.plants import shipped
from dataflows import settings
from dataflows.posting_policy import posting_policy
from dataflows.residency import admitted, kept_from, receivers
from dataflows.watch import Committed
from dataflows.watching import watching
from sinks.commit_log import Record
from tests.collector import collecting
from tests.mapped_plant import MAPPING, MappedPlant, line

HEAD = 'landing = "landing"\nplants = ["a.toml", "shipped:plant_b"]\n'
NORTH = '[erps.north]\n{}[erps.north.adapter]\nkind = "drop"\nfolder = "erp"\nacknowledgements = "told"\n'


@pytest.fixture
def file(tmp_path: Path):
    """Plant A may not leave the EU, plant B may go anywhere."""
    (plant,) = (path for path in shipped() if path.stem == "plant_a")
    (tmp_path / "a.toml").write_text(plant.read_text().replace('plant = "A"', 'plant = "A"\nresidency = "eu"', 1))

    def write(text: str) -> Path:
        path = tmp_path / "plantsync.toml"
        path.write_text(HEAD + text, encoding="utf-8")
        return path

    return write


def _told(path: Path) -> list[tuple[str, str]]:
    return [(problem.key, problem.message) for problem in settings.problems(path)]


RECEIPT = {
    "posting_id": "5e0c4b5e-0000-5000-8000-000000000000", "status": "accepted", "kind": "confirmation", "erp": "north",
    "lane": "standard", "order": "1", "document": "1", "code": "", "message": "", "attempts": 1, "found": False,
    "occurred_us": 1, "enqueued_us": 2, "first_sent_us": 3, "sent_us": 3, "committed_us": 4, "answered_us": 5,
    "correlation_id": "",
}  # fmt: skip
UNSAID = "not said, and the data of A (eu) may not go everywhere"
NOWHERE = "no ERP may receive what A (eu) makes"
STORE = '[store]\nresidency = ["eu"]\n'
TRACES = '[traces]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", [("store.residency", UNSAID)]),
        (STORE, []),
        ("[store]\nresidency = []\n", []),
        (STORE + NORTH.format(""), [("plants.0", NOWHERE), ("erps.north.residency", UNSAID)]),
        (STORE + NORTH.format('residency = ["us"]\n'), [("plants.0", NOWHERE)]),
        (STORE + NORTH.format('residency = ["us", "eu"]\n'), []),
        (STORE + TRACES, [("traces.residency", UNSAID)]),
        (STORE + TRACES + "residency = []\n", []),
    ],
)
def test_settings_that_would_send_a_plants_data_where_they_may_not_be_are_refused(file, text, told):
    assert _told(file(text)) == told


def test_a_region_is_of_one_plant(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(
        'residency = "eu"\nformat = "json"\n[input]\nfolder = "x"\n[fields]\nplant = "p"\nsource = "m"\ntype = "k"\n'
        'occurred = "t"\nseq = "n"\n'
    )
    assert [(p.key, p.hint) for p in mapping.problems(path)] == [("residency", "set plant")]
    path.write_text(path.read_text().replace('"eu"', '"Europe!"'))
    assert [problem.key for problem in mapping.problems(path)] == ["residency"]


def test_an_erp_of_another_region_is_none_of_the_plants_receivers(file):
    north = NORTH.format('residency = ["eu"]\n')
    south = north.replace("north", "south").replace('["eu"]', '["us"]')
    told = settings.load(file(STORE + north + south))
    assert receivers(told) == {"A": {"north"}}
    assert posting_policy(told).resident == {"A": {"north"}}


def test_a_store_elsewhere_gets_no_row_of_the_plant(file):
    told = settings.load(file('[store]\nresidency = ["us"]\n'))
    kept_out = kept_from(told.store.residency, told.mappings())
    assert kept_out == {"A"}
    tables = {
        "confirmation": pa.table({"plant": pa.array(["A", "B", "A", ""]).dictionary_encode(), "good": [1, 2, 3, 4]}),
        "fault": pa.table({"plant": ["A", "B", ""], "value": [b"a", b"b", b"whose?"]}),
        "lot": pa.table({"lot": ["L1"]}),
    }
    left = admitted(tables, kept_out)
    assert left["confirmation"]["good"].to_pylist() == [2, 4]
    assert left["fault"]["value"].to_pylist() == [b"b"]
    assert left["lot"] is tables["lot"]
    assert admitted(tables, frozenset()) is tables


@pytest.mark.parametrize(("regions", "rows"), [('["us"]', 0), ('["eu", "us"]', 1)])
def test_the_flow_that_fills_the_store_keeps_the_plant_out(tmp_path, regions, rows):
    plant = MappedPlant(tmp_path, f"[store]\nresidency = {regions}\n")
    plant.mapping.write_text(f'residency = "eu"\n{MAPPING}')
    plant.lands("1.json", line(0), line(1, u="none"))
    plant.run("analytics")
    tables = ("confirmation", "fault", "ledger")
    counted = "SELECT " + ", ".join(f"(SELECT count(DISTINCT plant) FROM {table})" for table in tables)
    with duckdb.connect(str(plant.folder / "analytics.duckdb"), read_only=True) as store:
        assert store.execute(counted).fetchall() == [(rows, rows, rows)]


@pytest.mark.parametrize(("regions", "told"), [("[]", {"B"}), ('["eu"]', {"A", "B"})])
def test_a_collector_of_traces_is_told_only_of_plants_it_may_know(file, regions, told):
    with collecting() as collector, ExitStack() as opened:
        text = f'{STORE}[traces]\nendpoint = "{collector.url}"\ninterval_s = 0.01\nresidency = {regions}\n'
        (told_of,) = watching(settings.load(file(text)), "delivery", 0, opened).on_commit
        receipts = [Record("receipts", b"", json.dumps({**RECEIPT, "plant": plant}).encode()) for plant in "AB"]
        told_of(Committed("s", "", 0, 0, records=receipts))
        opened.close()
        attributes = [each for span in collector.spans for each in span.attributes]
    assert {each.value.string_value for each in attributes if each.key == "plantsync.plant"} == told
