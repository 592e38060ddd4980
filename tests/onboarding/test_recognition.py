"""What a sample is recognised as, and what is proposed for it, by format, language and content (M45)."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fastavro
import pytest

from canonical.mapping import load, problems
from canonical.plants import shipped
from dataflows.onboarding import vocabulary
from dataflows.onboarding.onboarding import WouldOverwrite, draft, from_template, templates, write
from dataflows.onboarding.sample import SampleUnusable, recognised
from dataflows.onboarding.time_pattern import epoch_pattern, time_pattern
from tests.b2mml_documents import actual, performance
from tests.command import plantsync, told

SPANISH = "Maquina\tFecha\tOrden\tEvento\tPiezas buenas\tRechazo\tUnidad\tTiempo de ciclo seg\n" + "".join(
    f"M{i % 3}\t2026-03-02T06:{i:02d}:00+01:00\t55{i // 30}\t"
    f"{'Produccion' if i % 5 else 'Parada'}\t{i % 4}\t0\tpzas\t{i}.5\n"
    for i in range(60)
)
ENGLISH = [
    {"machine": {"id": f"M{i % 3}"}, "eventId": f"e{i}", "time": 1_772_000_000 + i, "event": "CYCLE"}
    | {"order": 4711, "qty": 2}
    for i in range(60)
]
SHDR = "".join(f"2026-03-02T06:00:{i:02d}Z|avail|AVAILABLE|p1PartCountAct|{i}|execution|ACTIVE\n" for i in range(20))


def proposal(tmp_path: Path, name: str, data: bytes):
    """Return the mapping proposed for a sample; it has no problems."""
    sample, path = tmp_path / name, tmp_path / "plant.toml"
    sample.write_bytes(data)
    path.write_text(draft(sample, "X").text)
    assert problems(path) == []
    return load(path)


def container() -> bytes:
    fields = [{"name": n, "type": t} for n, t in (("machine", "string"), ("ts", "string"), ("good", "double"))]
    out = io.BytesIO()
    rows = [{"machine": "M1", "ts": f"2026-03-02T06:00:{i:02d}Z", "good": float(i % 3)} for i in range(20)]
    fastavro.writer(out, {"type": "record", "name": "e", "fields": fields}, rows)
    return out.getvalue()


def test_spanish_text_with_tabs(tmp_path):
    mapping = proposal(tmp_path, "datos.txt", SPANISH.encode())

    assert (mapping.format, mapping.csv.delimiter, mapping.time.format) == ("csv", "\t", "iso8601")
    assert {name: source.path for name, source in mapping.fields.items()} == {
        "source": "Maquina", "occurred": "Fecha", "order": "Orden", "type": "Evento", "good": "Piezas buenas",
        "scrap": "Rechazo", "unit": "Unidad", "machine": "Tiempo de ciclo seg",
    }  # fmt: skip
    assert mapping.fields["machine"].unit == "s"
    assert mapping.types == {"Parada": "downtime", "Produccion": "partial"}
    assert (mapping.units, mapping.time_zone) == ({"pzas": "H87"}, "Europe/Madrid")


@pytest.mark.parametrize("lines", [True, False])
def test_nested_json_as_lines_and_as_an_array(tmp_path, lines):
    data = "\n".join(map(json.dumps, ENGLISH)) if lines else json.dumps(ENGLISH)
    mapping = proposal(tmp_path, "events.json", data.encode())

    assert {name: source.path for name, source in mapping.fields.items()} == {
        "source": "machine.id", "event_id": "eventId", "occurred": "time", "type": "event", "order": "order",
        "good": "qty",
    }  # fmt: skip
    assert mapping.fields["order"].number  # a key that the records hold as a number
    assert (mapping.time.format, mapping.sequencing.mode) == ("epoch_s", "arrival")
    told_so = ("# the sample is one JSON array" in (tmp_path / "plant.toml").read_text()) is not lines
    assert told_so


def test_other_formats(tmp_path):
    shdr = proposal(tmp_path, "adapter.txt", SHDR.encode())
    assert {name: item.path for name, item in shdr.shdr.items.items()} == {
        "good_counter": "p1PartCountAct", "type": "execution"
    }  # fmt: skip
    assert shdr.shdr.session_start == "avail"
    assert proposal(tmp_path, "events.avro", container()).fields["good"].path == "good"
    b2mml = proposal(tmp_path, "done.xml", performance(actual("Material Produced")))
    assert b2mml.format == "b2mml"
    assert b2mml.fields["occurred"].path == "occurred"


@pytest.mark.parametrize(
    "data", [b"", b"nothing of the kind\n", b"[1, 2]", b"{broken", b"<html></html>", b"Obj\x01rest"]
)
def test_what_is_no_sample_is_said_to_be_none(data):
    with pytest.raises(SampleUnusable):
        recognised(data)


@pytest.mark.parametrize(
    ("text", "pattern", "is_sure"),
    [
        ("02.03.2026 06:00:00", "%d.%m.%Y %H:%M:%S", True),
        ("13/03/2026 06:00:00", "%d/%m/%Y %H:%M:%S", True),
        ("03/13/2026 06:00:00", "%m/%d/%Y %H:%M:%S", True),
        ("02/03/2026 06:00:00", "%d/%m/%Y %H:%M:%S", False),
        ("20260302 060000", "%Y%m%d %H%M%S", True),
        ("2026-03-02 06:00:00.5", "iso8601", True),
    ],
)
def test_patterns_of_time(text, pattern, is_sure):
    found = time_pattern([text])
    assert found is not None
    assert (found.format, not found.other) == (pattern, is_sure)


def test_counts_since_1970_and_numbers_that_are_none():
    assert [getattr(epoch_pattern([1.772e9 * k]), "format", None) for k in (1, 1e3, 1e6, 1e9)] == [
        "epoch_s", "epoch_ms", "epoch_us", None
    ]  # fmt: skip
    assert time_pattern(["4711", "4712"]) is None


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_the_words_of_the_shipped_plants_are_known(path):
    mapping = load(path)
    assert {word: vocabulary.event_type(word) for word in mapping.types} == mapping.types
    assert {word: vocabulary.unit_code(word) for word in mapping.units} == mapping.units


def test_templates_are_another_plants_file(tmp_path):
    path = tmp_path / "plant.toml"
    for name in templates():
        path.write_text(from_template(name, "D2"))
        mapping = load(path)
        assert (mapping.plant, mapping.input.folder) == ("D2", "plant-d2")
        assert all(topic.startswith("plant-d2.") for topic in mapping.input.topics)
        assert set(mapping.input.collected) <= {"plant-d2"}


def test_the_command_proposes_checks_and_overwrites_nothing(tmp_path):
    (tmp_path / "datos.txt").write_text(SPANISH)
    new = ("plant", "new", "--sample", "datos.txt", "--name", "S")

    said = plantsync(tmp_path, *new, "--zone", "Europe/Madrid", "--report", "report.md")
    assert "plant_s.toml is written" in said
    assert (
        (tmp_path / "report.md")
        .read_text()
        .startswith("# Plant S: plant_s.toml on datos.txt\n\nEvery check has passed")
    )
    with pytest.raises(WouldOverwrite):
        write(tmp_path / "plant_s.toml", "")
    (tmp_path / "datos.txt").write_text(SPANISH + "M1\n")
    check = ("plant", "check", "plant_s.toml", "--sample", "datos.txt", "--expect", "BAD_TIMESTAMP")
    report = told(tmp_path, *check, code=1)["report"]
    assert [(fault["code"], fault["expected"]) for fault in report["faults"]] == [("TRUNCATED", False)]
