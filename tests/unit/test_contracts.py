"""Contracts agree with their committed schemas, and a version may follow another only if it keeps it (M07)."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel, ValidationError, create_model

from canonical.compatibility import breaks, differences, spelled
from canonical.contracts import Confirmation, DeadLetter, Event, EventV1, EventV2, Gap, upcast
from canonical.schemas import (
    AVRO_FOLDER,
    CONTRACTS,
    PAGE,
    arrow_schema,
    avro_schema,
    committed,
    page,
    page_problems,
    problems,
    write_missing,
)

MODELS = [model for versions in CONTRACTS.values() for model in versions.values()]
EVENT: dict[str, Any] = {"plant": "A", "source": "press-1", "type": "complete", "occurred_us": 0}

Schema = dict[str, Any]
Change = Callable[[Schema], None]


def field(schema: Schema, name: str) -> Schema:
    found: Schema = next(f for f in schema["fields"] if f["name"] == name)
    return found


def remove(name: str) -> Change:
    return lambda schema: schema["fields"].remove(field(schema, name))


def update(name: str, **changes: Any) -> Change:
    return lambda schema: field(schema, name).update(changes)


def drop_default(name: str) -> Change:
    return lambda schema: field(schema, name).pop("default")


def add(**stated: Any) -> Change:
    return lambda schema: schema["fields"].append(stated)


BREAKS = [
    ("gap", remove("session"), "gap.v2.session: removed"),
    ("gap", update("session", type="bytes"), "gap.v2.session: retyped from string to bytes"),
    ("gap", update("first_seq", type=["null", "long"]), "gap.v2.first_seq: retyped from long to null or long"),
    ("gap", update("session", default="x"), "gap.v2.session: default changed from '' to 'x'"),
    ("gap", drop_default("session"), "gap.v2.session: lost its default"),
    ("gap", add(name="cause", type="string"), "gap.v2.cause: added without a default"),
    ("gap", lambda schema: schema.update(name="Hole"), "gap.v2: renamed from Gap to Hole"),
    (
        "dead_letter",
        lambda schema: remove("detail")(field(schema, "fault")["type"]),
        "dead_letter.v2.fault.detail: removed",
    ),
    (
        "dead_letter",
        lambda schema: update("name", type="bytes")(field(schema, "headers")["type"]["items"]),
        "dead_letter.v2.headers.name: retyped from string to bytes",
    ),
]


@pytest.mark.parametrize(("contract", "change", "line"), BREAKS, ids=[line for _, _, line in BREAKS])
def test_a_break_is_reported_with_contract_and_field(contract: str, change: Change, line: str, tmp_path: Path) -> None:
    folder = shutil.copytree(AVRO_FOLDER, tmp_path / "avro")
    newer = copy.deepcopy(committed(contract)[1])
    change(newer)
    (folder / f"{contract}.v2.avsc").write_text(json.dumps(newer))
    found = problems(folder, {contract: {2: CONTRACTS[contract][1]}})
    assert any(problem.startswith(line) for problem in found), found
    assert any(p.startswith(line) for p in breaks(committed(contract)[1], newer, f"{contract}.v2"))


@pytest.mark.parametrize(
    "change",
    [
        add(name="cause", type="string", default=""),
        lambda schema: field(schema, "declared_us").update(default=0),
        lambda schema: schema["fields"].reverse(),
    ],
)
def test_what_keeps_the_contract_is_no_break(change: Change) -> None:
    newer = copy.deepcopy(committed("gap")[1])
    change(newer)
    assert breaks(committed("gap")[1], newer, "gap.v2") == []
    assert differences(committed("gap")[1], newer, "gap.v1") != []


def test_a_record_in_a_list_may_grow_as_others() -> None:
    newer = copy.deepcopy(committed("dead_letter")[1])
    field(newer, "headers")["type"]["items"]["fields"].append({"name": "cause", "type": "string", "default": ""})
    assert breaks(committed("dead_letter")[1], newer, "dead_letter.v2") == []


LOST = create_model("Gap", plant=str, source=str, session=(str, ""), first_seq=int, declared_us=int)
RETYPED = create_model("Gap", __base__=Gap, declared_us=str)
GROWN = create_model("Gap", __base__=Gap, cause=(str, ""))
DEMANDING = create_model("Gap", __base__=Gap, cause=str)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (LOST, "gap.v1.last_seq: removed; a field stays"),
        (RETYPED, "gap.v1.declared_us: retyped from long to string"),
        (GROWN, "gap.v1.cause: added; give the contract a new version"),
        (DEMANDING, "gap.v1.cause: added without a default"),
    ],
)
def test_a_model_that_left_its_committed_schema_is_reported(model: type[BaseModel], line: str) -> None:
    found = problems(contracts={"gap": {1: model}})
    assert len(found) == 1
    assert found[0].startswith(line)


def test_a_new_version_with_a_default_passes(tmp_path: Path) -> None:
    folder = shutil.copytree(AVRO_FOLDER, tmp_path / "avro")
    (folder / "gap.v2.avsc").write_text(json.dumps(avro_schema(GROWN)))
    assert problems(folder, {"gap": {2: GROWN}}) == []


def test_versions_that_are_missing_or_unknown_are_reported(tmp_path: Path) -> None:
    folder = shutil.copytree(AVRO_FOLDER, tmp_path / "avro")
    (folder / "event.v1.avsc").unlink()
    shutil.copy(folder / "gap.v1.avsc", folder / "gap.v2.avsc")
    assert problems(folder) == [
        "event.v1.avsc: missing; restore it, or run python -m canonical.schemas --write",
        "gap.v2.avsc: newer than the newest model, version 1",
    ]
    assert write_missing(folder) == [folder / "event.v1.avsc"]
    assert (folder / "event.v1.avsc").read_bytes() == (AVRO_FOLDER / "event.v1.avsc").read_bytes()


def test_the_committed_schemas_and_the_page_are_true() -> None:
    assert problems() == []
    assert page_problems() == []
    assert set(CONTRACTS) == {path.name.split(".")[0] for path in AVRO_FOLDER.iterdir()}


def test_a_stale_page_is_reported(tmp_path: Path) -> None:
    stale = tmp_path / "contracts.md"
    assert page_problems(stale) != []
    stale.write_text(page() + "\n", encoding="utf-8")
    assert page_problems(stale) != []
    stale.write_text(page(), encoding="utf-8")
    assert page_problems(stale) == []


def run_check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "canonical.schemas", "--check"],
        cwd=root, check=False, capture_output=True, text=True, env={"PYTHONPATH": str(root)},
    )  # fmt: skip


def test_the_command_fails_when_a_contract_loses_a_field(tmp_path: Path) -> None:
    shutil.copytree(AVRO_FOLDER.parent, tmp_path / "canonical", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    shutil.copy(PAGE, tmp_path / "docs")
    assert run_check(tmp_path).returncode == 0

    contract = tmp_path / "canonical" / "contracts" / "fault.py"
    kept = [line for line in contract.read_text().splitlines() if not line.startswith("    session:")]
    contract.write_text("\n".join(kept))
    checked = run_check(tmp_path)
    assert checked.returncode == 1
    assert "fault.v1.session: removed" in checked.stderr
    assert "dead_letter.v1.fault.session: removed" in checked.stderr
    assert "contracts.md: not what the contracts say" in checked.stderr


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model: type[BaseModel]) -> None:
    silent = [name for name, stated in model.model_fields.items() if not stated.description]
    assert not silent


@pytest.mark.parametrize(
    ("model", "name", "kind", "nullable"),
    [
        (Event, "type", pa.string(), False),
        (Event, "seq", pa.int64(), True),
        (Event, "good", pa.int64(), False),
        (Confirmation, "posting_id", pa.string(), False),
        (Confirmation, "posting_date", pa.date32(), False),
        (Confirmation, "final", pa.bool_(), False),
        (DeadLetter, "key", pa.binary(), True),
    ],
)
def test_arrow_types(model: type[BaseModel], name: str, kind: pa.DataType, nullable: bool) -> None:
    assert arrow_schema(model).field(name) == pa.field(name, kind, nullable=nullable)


def test_the_version_of_an_event_is_no_column() -> None:
    assert "schema_version" not in arrow_schema(Event).names
    names = arrow_schema(Event).names
    assert arrow_schema(EventV2).names == names[:-4]
    assert arrow_schema(EventV1).names == names[:-6]
    assert names[-6:] == ["energy_mwh", "quality", "quantity", "from_bin", "to_bin", "handling_unit"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("long", "long"),
        (["null", "bytes"], "null or bytes"),
        ({"type": "int", "logicalType": "date"}, "int (date)"),
        ({"type": "array", "items": {"type": "record", "name": "Header", "fields": []}}, "array of record Header"),
    ],
)
def test_types_in_words(schema: object, words: str) -> None:
    assert spelled(schema) == words


@pytest.mark.parametrize(("older", "name"), [(EventV1, "energy_mwh"), (EventV1, "quantity"), (EventV2, "quantity")])
def test_the_upcast_refuses_what_the_newest_version_refuses(older: type[EventV1], name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        upcast(older.model_validate({**EVENT, name: "much"}))
    assert getattr(upcast(older.model_validate({**EVENT, name: 5})), name) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"good": -1}, "good"),
        ({"good": 10**15 + 1}, "good"),
        ({"seq": 2**53 + 1}, "seq"),
        ({"source": ""}, "source"),
        ({"order": "x" * 257}, "order"),
        ({"type": "explode"}, "type"),
        ({"occurred_us": 2**63}, "occurred_us"),
    ],
)
def test_an_event_out_of_bounds_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        EventV1.model_validate({**EVENT, **changes})


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="last_seq 4 is below first_seq 5"):
        Gap(plant="A", source="s", first_seq=5, last_seq=4, declared_us=0)


def test_headers_are_taken_as_pairs() -> None:
    letter = DeadLetter.model_validate(
        {"topic": "t", "value": b"\xff", "headers": [("a", b"1"), {"name": "a", "value": b"2"}],
         "fault": {"code": "NOT_UTF8", "offset": 3}, "stage": "decode", "failed_us": 0, "first_failed_us": 0}
    )  # fmt: skip
    assert [(header.name, header.value) for header in letter.headers] == [("a", b"1"), ("a", b"2")]
