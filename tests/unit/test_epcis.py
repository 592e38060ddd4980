"""A lot's story as EPCIS 2.0, in the shape of GS1's own example (M21)."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from canonical.contracts import Confirmation, Event, LedgerRange
from canonical.epcis import LotQuantity, NotABase, Transformation, document
from canonical.schemas import arrow_schema
from sinks.analytics.genealogy import Direction, Step, trace, transformations
from sinks.analytics.store import Store, StoreConfig
from tests.command import plantsync, told

EXAMPLE = Path(__file__).parents[3] / "shared/fixtures/epcis/transformation.jsonld"
ERRORS = EXAMPLE.with_name("error_declaration.jsonld")
BASE = "https://id.example.com"
MIXED = Transformation(
    "A/1", "4711", 1_772_532_000_123_000,
    used=[LotQuantity("RAW", "L 1", 410, "KGM")], made=[LotQuantity("4012345000009", "CRBN0001", 12_000, "H87")],
)  # fmt: skip


def only_event(printed):
    (event,) = printed["epcisBody"]["eventList"]
    return event


def test_a_transformation_has_the_shape_of_the_standards_example():
    if not EXAMPLE.is_file():
        pytest.skip(f"GS1's example is not at hand: {EXAMPLE}")
    example = json.loads(EXAMPLE.read_bytes())
    ours = document([MIXED], BASE, 0)
    assert set(ours) == set(example) - {"id"}
    assert ours["@context"][0] == example["@context"][0]
    assert (ours["type"], ours["schemaVersion"]) == (example["type"], example["schemaVersion"])
    theirs = only_event(example)
    event = only_event(ours)
    assert set(event) - set(theirs) == {"outputQuantityList", "transformationID", "bizTransactionList"}
    for name in ("type", "bizStep", "disposition"):
        assert event[name] == theirs[name]
    assert set(event["readPoint"]) == set(theirs["readPoint"])
    assert set(event["inputQuantityList"][0]) == set(theirs["inputQuantityList"][0])
    assert re.fullmatch(r"[+-]\d\d:\d\d", event["eventTimeZoneOffset"])
    assert datetime.fromisoformat(event["eventTime"]).isoformat() == "2026-03-03T10:00:00.123000+00:00"


def test_quantities_are_exact_and_keys_are_quoted():
    event = only_event(document([MIXED], f"{BASE}/", 0))
    assert event["inputQuantityList"] == [{"epcClass": f"{BASE}/01/RAW/10/L%201", "quantity": 0.41, "uom": "KGM"}]
    assert event["outputQuantityList"] == [{"epcClass": f"{BASE}/01/4012345000009/10/CRBN0001", "quantity": 12}]
    assert event["readPoint"] == {"id": f"{BASE}/414/A%2F1"}
    assert event["eventID"] == only_event(document([MIXED], BASE, 1))["eventID"]


@pytest.mark.parametrize("base", ["", "id.example.com", "/a", "https://", "https://a?b=c"])
def test_identifiers_need_an_absolute_uri(base):
    with pytest.raises(NotABase, match="is no absolute URI"):
        document([MIXED], base, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store in which L1 went into L2 in plant A, and that into L3 in plant B."""
    folder = tmp_path_factory.mktemp("trace")
    (folder / "plantsync.toml").write_text('landing = "landing"\nplants = ["shipped:plant_a"]\n')
    store = Store(StoreConfig(path=folder / "data/store.duckdb", published=folder / "analytics.duckdb"))
    store.restore("a")
    made = [
        {
            "posting_id": f"00000000-0000-0000-0000-00000000000{n}", "plant": plant, "source": "s", "first_seq": n,
            "last_seq": n, "order": order, "material": material, "lot": lot, "good": 5_000,
            "posting_date": "2026-03-03", "events": 1, "first_occurred_us": n, "last_occurred_us": n * 1_000_000,
            "first_offset": n, "last_offset": n, "close_reason": "count",
        }
        for n, plant, order, material, lot in ((1, "A", "1", "HALF", "L2"), (2, "B", "1", "WHOLE", "L3"))
    ]  # fmt: skip
    rows = [{**Confirmation.model_validate(row).model_dump(), "posting_id": row["posting_id"]} for row in made]
    used = [
        Event(plant=plant, source="s", type="consume", occurred_us=0, order="1", material=material, lot=lot,
              quantity=quantity, unit="KGM").model_dump(exclude={"schema_version"})
        for plant, material, lot, quantity in (("A", "RAW", "L1", 250), ("B", "HALF", "L2", 5_000), ("A", "INK", "", 1))
    ]  # fmt: skip
    offsets = pa.array([0] * 2), pa.array([0] * 3)
    tables = {
        "confirmation": pa.Table.from_pylist(rows, arrow_schema(Confirmation)),
        "event": pa.Table.from_pylist(used, arrow_schema(Event)),
    }
    tables = {
        name: table.append_column("stream_offset", of)
        for (name, table), of in zip(tables.items(), offsets, strict=True)
    }
    store.commit("a", "1", tables)
    store.close()
    return folder


def test_what_was_corrected_is_declared_wrong_and_names_its_correction(tmp_path):
    """GS1's example of an error declaration has the same parts; a confirmation of another order is untouched."""
    store = Store(StoreConfig(path=tmp_path / "store.duckdb", published=tmp_path / "analytics.duckdb"))
    store.restore("a")
    versions = [(1, 0, 5_000), (2, 0, 1_000), (1, 1, 4_000), (1, 2, 4_500)]  # first number, revision, good
    rows = [
        {
            "posting_id": f"00000000-0000-0000-0000-0000000000{seq}{revision}", "plant": "A", "source": "s",
            "first_seq": seq, "last_seq": seq, "revision": revision, "order": "1", "material": "M", "lot": "L2",
            "good": good, "posting_date": "2026-03-03", "events": 1, "first_occurred_us": 0,
            "last_occurred_us": seq * 1_000_000, "first_offset": 0, "last_offset": 0, "close_reason": "count",
        }
        for seq, revision, good in versions
    ]  # fmt: skip
    ranges = [
        LedgerRange(shard="a", plant="A", source="s", fate="confirmed", first_seq=1, last_seq=1, events=1,
                    posting_id=row["posting_id"], order="1", committed_us=60_000_000 * row["revision"])
        for row in rows if row["revision"]
    ]  # fmt: skip
    used = Event(
        plant="A", source="s", type="consume", occurred_us=0, order="1", material="RAW", lot="L1", quantity=250
    )
    tables = {
        "confirmation": ([Confirmation.model_validate(row).model_dump() for row in rows], Confirmation),
        "ledger_range": ([each.model_dump() for each in ranges], LedgerRange),
        "event": ([used.model_dump(exclude={"schema_version"})], Event),
    }
    for name, (values, model) in tables.items():
        plain = [{**v, "posting_id": str(v["posting_id"])} if "posting_id" in v else v for v in values]
        table = pa.Table.from_pylist(plain, arrow_schema(model))
        for n in range(len(plain)):  # revisions come in their order
            store.commit("a", f"{name}{n}", {name: table[n : n + 1].append_column("stream_offset", pa.array([n]))})
    store.close()
    orders, _ = transformations(tmp_path / "analytics.duckdb", "L1")
    printed = document(orders, BASE, 0)["epcisBody"]["eventList"]
    assert [event["outputQuantityList"][0]["quantity"] for event in printed] == [6, 5, 5.5]
    wrong, wrong_too, right = printed
    assert wrong["eventID"] == only_event(document([Transformation("A", "1", 0, [], [])], BASE, 0))["eventID"]
    assert wrong["errorDeclaration"] == {
        "declarationTime": "1970-01-01T00:01:00.000Z", "reason": "incorrect_data",
        "correctiveEventIDs": [wrong_too["eventID"]],
    }  # fmt: skip
    assert wrong_too["errorDeclaration"]["correctiveEventIDs"] == [right["eventID"]]
    assert wrong_too["errorDeclaration"]["declarationTime"] == "1970-01-01T00:02:00.000Z"
    assert "errorDeclaration" not in right
    assert len({event["eventID"] for event in printed}) == 3
    if ERRORS.is_file():
        declared = json.loads(ERRORS.read_bytes())["epcisBody"]["eventList"][0]["errorDeclaration"]
        assert set(wrong["errorDeclaration"]) == set(declared)
        assert wrong["errorDeclaration"]["reason"] == declared["reason"]


def test_lots_are_traced_over_plants(folder):
    published = folder / "analytics.duckdb"
    back, more = trace(published, "L3", Direction.BACK)
    assert not more
    assert [(s.level, s.plant, s.component_lot, str(s.used), s.lot) for s in back] == [
        (1, "B", "L2", "5.000", "L3"), (2, "A", "L1", "0.250", "L2")
    ]  # fmt: skip
    assert all(isinstance(step, Step) for step in back)
    forward, _ = trace(published, "L1", Direction.FORWARD)
    assert [(s.level, s.component_lot, s.lot) for s in forward] == [(1, "L1", "L2"), (2, "L2", "L3")]
    orders, _ = transformations(published, "L2")
    assert [(t.plant, [q.lot for q in t.used], [q.quantity for q in t.made]) for t in orders] == [
        ("A", ["L1"], [5_000]), ("B", ["L2"], [5_000])
    ]  # fmt: skip


def test_the_command_tells_steps_and_documents(folder):
    steps = told(folder, "trace", "L2")
    assert [step["lot"] for step in steps["back"] + steps["forward"]] == ["L2", "L3"]
    tables = plantsync(folder, "trace", "L2")
    assert "What went into L2" in tables
    assert "What L2 went into" in tables
    printed = json.loads(plantsync(folder, "trace", "L2", "--epcis", BASE))
    assert len(printed["epcisBody"]["eventList"]) == 2
    assert told(folder, "trace", "L9", code=1) == {"back": [], "forward": []}
    plantsync(folder, "trace", "L2", "--epcis", "example", code=2)
