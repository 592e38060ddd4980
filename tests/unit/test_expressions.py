"""Expressions of a mapping file: their problems with lines, examples, and the ways through the decoders (M06, M13)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from canonical.columns import EVENT_TYPES, Vocabulary
from canonical.contracts.event import EventType
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode, json_kernel
from canonical.decoders.examples import tried
from canonical.decoders.known_texts import TEXTS_MAX
from canonical.mapping import PlantMapping, load, problems
from canonical.packml import PACKML_TYPES, PackMLState
from canonical.plants import shipped
from canonical.records import RawRecords

NOW_US = 1_770_000_000_000_000
PAGE = Path(__file__).parents[2] / "docs" / "mapping.md"
PIECES = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
W_MAPPED = Path(__file__).parents[2] / "benchmarks" / "w_mapped.toml"
HEAD = """\
plant = "A"
format = "json"
default_type = "partial"
[input]
folder = "a"
[fields]
source = "machine"
seq = "n"
occurred = "ts"
"""
BASE = {
    "plant": "A",
    "default_type": "partial",
    "input": {"folder": "a"},
    "fields": {"source": "machine", "seq": "n", "occurred": "ts"},
}
RECORD = {"machine": "M", "n": 1, "ts": "2026-01-31T10:00:00Z"}


def write(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "key", "told"),
    [
        ('order = { path = "a", first_of = ["b"] }', "fields.order", "either a path or a constant"),
        ('order = { frst_of = ["b"] }', "fields.order.frst_of", "did you mean first_of?"),
        ('order = { first_of = ["a", { pth = "b" }] }', "fields.order.first_of.1.pth", "did you mean path?"),
        ('order = { path = "a", match = "(" }', "fields.order.match", "missing )"),
        ('order = { path = "a", match = "(a)(b)" }', "fields.order.match", "(?:...)"),
        ('order = { path = "a", match = "a{9999}" }', "fields.order.match", "invalid repetition size"),
        ('order = { path = "a", scale = 2 }', "fields.order.scale", "numbers that have a unit"),
        ('order = { path = "a", separator = "-" }', "fields.order", "goes with join"),
        (
            'order = { path = "a", when = { path = "b", matchs = "x" } }',
            "fields.order.when.matchs",
            "did you mean matches?",
        ),
        ('order = { path = "a", when = { path = "b", is = [1, "x"] } }', "fields.order.when", "are not mixed"),
        ('order = { path = "a", when = { path = "b", is = 1, present = true } }', "fields.order.when", "one test"),
        ('order = { path = "a", when = { path = "", is = 1 } }', "fields.order.when.path", "at least 1"),
        ('order = { path = "a..b", when = { path = "b", is = 1 } }', "fields.order", "empty step"),
        ('order = { path = "a", when = { path = "a", is = 1 } }', "fields.order", "number"),
        ('good = { path = "a", scale = "1e3" }', "fields.good.scale", "no decimal number"),
        ('good = { path = "a", scale = 0 }', "fields.good.scale", "positive"),
        ('good = { path = "a", offset = 0.0001 }', "fields.good.offset", "thousandth"),
        ('good = { join = ["a", "b"] }', "fields.good.join", "texts are joined"),
        ('good = { path = "a", default = "none" }', "fields.good.default", "no decimal number"),
        ('good = { path = "a", number = true }', "fields.good.number", "says nothing"),
        ('machine = { first_of = [{ path = "a", unit = "ms" }] }', "fields.machine.first_of.0.unit", "whole field's"),
        ('recorded = { path = "a", default = "2026" }', "fields.recorded.default", "another in each record"),
        ('type = { path = "a", default = "parshal" }', "fields.type.default", "no type of [types]"),
        ("order = " + "{ first_of = [" * 5 + '"a"' + "] }" * 5, "fields.order", "nested deeper"),
        ('good = { path = "w", scale = 0.001, offset = -1, when = { path = "u", is = "g" } }', "", ""),
        ('order = { first_of = ["a", { join = ["b", { value = "x" }], separator = "-" }], default = "-" }', "", ""),
    ],
)
def test_every_problem_of_an_expression_has_its_line(tmp_path, line, key, told):
    found = problems(write(tmp_path, HEAD + line + "\n"))
    if not key:
        assert found == []
        return
    assert any(p.line == 10 and p.key.startswith(key) and told in str(p) for p in found), found


def test_conditions_and_states_that_the_format_cannot_have(tmp_path):
    text = (
        HEAD.replace('"json"', '"csv"') + '[csv]\ncolumns = ["machine", "n", "ts"]\n[[skip]]\npath = "x"\nis = true\n'
    )
    told = [str(p).partition(": ")[2] for p in problems(write(tmp_path, text))]
    assert any("skip.0: csv has no truth values" in each for each in told)
    assert any("skip.0.path: there is no column 'x'" in each for each in told)
    [problem] = problems(write(tmp_path, HEAD + '[packml]\n"6" = "Exekute"\n'))
    assert (problem.line, "did you mean Execute?" in str(problem)) == (11, True)


def test_states_mean_types_as_packml_says():
    mapping = PlantMapping.model_validate({
        **BASE, "format": "json", "packml": {"6": "Execute", "11": "Held"}, "types": {"count": "partial"},
        "fields": {**BASE["fields"], "type": {"first_of": [{"path": "state", "number": True}, {"value": "count"}]}},
    })  # fmt: skip
    assert set(PACKML_TYPES) == set(PackMLState)
    found = events(mapping, [{"state": 6}, {"state": 11}, {}])
    assert [EVENT_TYPES[code] for code in found] == [EventType.RESUME, EventType.DOWNTIME, EventType.PARTIAL]


def events(mapping, records):
    values = [json.dumps(RECORD | record).encode() for record in records]
    done = decode(mapping, RawRecords.from_values(values, np.arange(len(values))), Vocabulary(), NOW_US)
    assert not done.faults
    return done.events["type"].tolist()


@pytest.mark.skipif(json_kernel._READ is None, reason="the kernel is not compiled: no C compiler here")
def test_the_kernel_reads_records_of_a_mapping_with_expressions(monkeypatch):
    mapping = load(W_MAPPED)
    record = {
        "plant": "P", "source": "S", "seq": 0, "event_time": "2026-01-31T10:00:00Z", "order": "1",
        "operation": "0010-A", "work_center": "W", "good_qty": 4, "scrap_qty": 1, "runtime_ms": 5, "lot": "L",
    }  # fmt: skip
    made = [record, record | {"order": "HEARTBEAT", "good_qty": None}, record | {"order": None, "work_center": None}]
    vocabulary = Vocabulary()
    for turn in range(3):
        rows = RawRecords.from_values([json.dumps(each).encode() for each in made], np.arange(3))
        done = json_kernel.read_json(mapping, rows, vocabulary, NOW_US)
        assert (done.events["row"].tolist(), done.skipped.tolist()) == ([0, 2], [1])
        assert done.events["good"].tolist() == [2_000, 2_000]
        assert vocabulary.text(done.events["work_center"]) == ["W", "P-S"]
        assert vocabulary.text(done.events["order"]) == ["1", "NONE"]
        assert vocabulary.text(done.events["operation"]) == ["0010", "0010"]
        if turn == 1:  # words of inputs are bounded: beyond, they are forgotten and met again
            monkeypatch.setattr(json_kernel, "TEXTS_MAX", 2)
            assert TEXTS_MAX > 2


def test_values_that_cannot_be_computed_are_faults():
    mapping = PlantMapping.model_validate({
        **BASE, "format": "csv", "csv": {"columns": ["machine", "n", "ts", "w", "u"], "decimal": ","},
        "fields": {
            **BASE["fields"],
            "good": {"path": "w", "scale": "0.001", "when": {"path": "u", "is": "g"}},
            "scrap": {"path": "u", "match": "^([0-9]+) pcs$"},
        },
    })  # fmt: skip
    lines = [b"M,%d,2026-01-31T10:00:00Z,%s" % (n, end) for n, end in enumerate(
        [b"1500,g", b'"1,5",g', b"ten,g", b"1500,kg", b"-5,g", b"7,12 pcs"]
    )]  # fmt: skip
    done = decode(mapping, RawRecords.from_values(lines, np.arange(len(lines))), Vocabulary(), NOW_US)
    assert [(fault.row, fault.code) for fault in done.faults] == [
        (1, FaultCode.ABSURD_QUANTITY), (2, FaultCode.WRONG_TYPE), (4, FaultCode.NEGATIVE_QUANTITY),
    ]  # fmt: skip
    assert done.events["good"].tolist() == [1_500, 0, 0]
    assert done.events["scrap"].tolist() == [0, 0, 12_000]


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_the_examples_of_the_shipped_plants_hold(path):
    assert load(path).examples
    assert tried(path) == []


@pytest.mark.parametrize(
    ("example", "line", "told"),
    [
        ('event = { good = 2, order = "7" }', 14, "examples.0.event.good: is '3', and not '2'"),
        ('fault = "BAD_TIMESTAMP"', 13, "becomes an event of type partial"),
        ("skipped = true", 13, "becomes an event"),
        ("event = { good = 3 }\nnow = 2020-01-01T00:00:00Z", 13, "becomes the fault TIMESTAMP_FUTURE"),
        ('event = { good = 3.000, occurred = 2026-01-31T11:00:00+01:00, type = "partial" }', 0, ""),
    ],
)
def test_an_example_that_does_not_hold_is_told_with_its_line(tmp_path, example, line, told):
    record = json.dumps({**RECORD, "g": 3, "o": "7"})
    text = HEAD + 'good = "g"\norder = "o"\n' + f"[[examples]]\nrecord = '{record}'\n{example}\n"
    path = write(tmp_path, text)
    assert problems(path) == []
    found = tried(path)
    if not told:
        assert found == []
        return
    [problem] = found
    assert (problem.line, told in str(problem)) == (line, True), problem


@pytest.mark.parametrize("piece", range(len(PIECES)))
def test_what_the_page_about_mappings_shows_holds(tmp_path, piece):
    path = write(tmp_path, PIECES[0] + (PIECES[piece] if piece else ""))
    assert problems(path) == []
    assert tried(path) == []
    assert load(path).examples or piece == 0


def test_the_page_names_the_type_of_every_state():
    rows = re.findall(r"^\| (\w[\w, ]+) \| `(\w+)`", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {PackMLState(name): kind for names, kind in rows for name in names.split(", ")} == PACKML_TYPES
