from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.contracts.event import EventType
from canonical.mapping import MappingError, PlantMapping, load, problems
from canonical.mapping.toml_lines import key_lines
from canonical.policy import DEFAULT_ROUTES, Route, SequencePolicy

GOOD = """\
plant = "A"
time_zone = "Europe/Berlin"
format = "json"

[input]
folder = "a"

[fields]
source = "machine.id"
seq = "n"
type = "kind"
occurred = "ts"
good = "good"
machine = { path = "cycle", unit = "ms" }
"""


def shift(more):
    return f'[[shifts]]\nname = "A"\nstart = "06:00"\nend = "14:00"\n{more}\n'


def write(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_good_mapping_loads(tmp_path):
    mapping = load(write(tmp_path, GOOD + '[routes]\nstate = "operational"\n'))
    assert mapping.paths["source"].path == "machine.id"
    assert mapping.constants == {"plant": "A"}
    assert mapping.routes == {**DEFAULT_ROUTES, EventType.STATE: Route.OPERATIONAL}


@pytest.mark.parametrize(
    ("change", "line", "key", "told"),
    [
        (('plant = "A"', 'plnt = "A"'), 1, "plnt", "did you mean plant?"),
        (('format = "json"', 'format = "jsn"'), 3, "format", "did you mean json?"),
        (('"Europe/Berlin"', '"Europe/Berln"'), 2, "time_zone", "unknown time zone"),
        (('folder = "a"', ""), 5, "input", "set folder, topics or collected"),
        (("source =", "sorce ="), 9, "fields.sorce", "did you mean source?"),
        (('source = "machine.id"', ""), 8, "fields.source", "required"),
        (('"machine.id"', '"machine..id"'), 9, "fields.source", "empty step"),
        (('"machine.id"', '{ value = "x", path = "y" }'), 9, "fields.source", "either a path or a constant"),
        (('seq = "n"', ""), 8, "fields.seq", 'sequencing.mode = "arrival"'),
        (('type = "kind"', ""), 1, "default_type", "set default_type"),
        (('good = "good"', 'good = { value = "one" }'), 13, "fields.good.value", "no decimal number"),
        (('unit = "ms"', 'unit = "kg"'), 14, "fields.machine.unit", "one of us, ms, s, min, h"),
        (('"cycle"', '"n"'), 14, "", ""),
        (('good = "good"', 'good = "kind"'), 13, "fields.good", "is text for type, and number here"),
        (('good = "good"', 'good = "kind.x"'), 13, "fields.good", "inside one another"),
        (("", '[units]\nStk = "pcs"\n'), 16, "units.Stk", "did you mean H87?"),
        (("", '[types]\nA = "partal"\n'), 16, "types.A", "did you mean partial?"),
        (("", '[sequencing]\nstart = "none"\n'), 16, "sequencing.start", "valid integer"),
        (("", "[csv]\ncolumns = []\n"), 16, "csv.columns", "at least 1 item"),
        (("", '[csv]\ncolumns = ["a"]\n'), 15, "csv", "no effect"),
        (("", '[avro]\nids = { 1 = "none.avsc" }\n'), 16, "avro.ids.1", "relative to the mapping file"),
        (("", '[time]\nformat = "epoch"\n'), 16, "time.format", "epoch_ms"),
        (("", "[aggregation]\nopen_max = 2\n"), 16, "aggregation.open_max", "map fields.work_center"),
        (("", "[limits]\ndepth_max = 0\n"), 16, "limits.depth_max", "greater than or equal to 1"),
        (("", '[[shifts]]\nname = "A"\nstart = "6:00"\nend = "14:00"\n'), 17, "shifts.0.start", "pattern"),
        (("", '[[shifts]]\nname = "A"\nstart = "06:00"\n'), 15, "shifts.0.end", "required"),
        (("", shift('breaks = [{ start = "13:45", end = "14:15" }]')), 19, "shifts.0.breaks.0", "not within"),
        (("", shift('breaks = [{ start = "12:00", end = "14:00" }]')), 19, "", ""),
        (("", '[[maintenance]]\nstart = "22:00"\nend = "06:00"\n'), 15, "maintenance.0", "no day on which it starts"),
        (('plant = "A"', "plant = A"), 1, "", "not TOML"),
        (("", 'x = "'), 15, "", "not TOML"),
    ],
)
def test_every_problem_has_its_line(tmp_path, change, line, key, told):
    old, new = change
    text = GOOD.replace(old, new, 1) if old else GOOD + new
    found = problems(write(tmp_path, text))
    if not told:
        assert found == []
        return
    assert len(found) <= 2, "what is spelt wrong may be missing too, and nothing else is told"
    [problem] = [p for p in found if p.key == key]
    assert told in str(problem)
    assert str(problem).startswith(f"{tmp_path / 'a.toml'}:{line}: ")


def test_all_problems_are_told_at_once(tmp_path):
    text = GOOD.replace("Berlin", "Berln").replace('"ms"', '"kg"').replace("seq =", "sq =").replace("plant =", "plnt =")
    with pytest.raises(MappingError) as error:
        load(write(tmp_path, text))
    assert [p.key for p in error.value.problems] == [
        "plnt", "time_zone", "fields.plant", "fields.seq", "fields.sq", "fields.machine.unit"
    ]  # fmt: skip
    assert not error.value.retryable


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (("06:00", "14:00", []), ("14:00", "22:00", []), False),
        (("06:00", "14:01", []), ("14:00", "22:00", []), True),
        (("22:00", "06:00", []), ("06:00", "22:00", []), False),
        (("22:00", "06:30", ["sun"]), ("06:00", "14:00", ["mon"]), True),
        (("22:00", "06:30", ["sun"]), ("06:00", "14:00", ["tue"]), False),
        (("06:00", "06:00", ["mon"]), ("05:00", "06:00", ["tue"]), True),
        (("06:00", "14:00", ["mon"]), ("06:00", "14:00", ["tue"]), False),
    ],
)
def test_shifts_must_not_overlap(tmp_path, first, second, overlap):
    text = GOOD
    for name, (start, end, days) in (("A", first), ("B", second)):
        text += f'[[shifts]]\nname = "{name}"\nstart = "{start}"\nend = "{end}"\n' + (
            f"days = {days}\n" if days else ""
        )
    found = problems(write(tmp_path, text))
    assert [p.key for p in found] == (["shifts.1"] if overlap else [])


def test_a_file_that_is_not_utf8_is_a_problem(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b'plant = "\xff"')
    assert "not UTF-8" in str(problems(path)[0])


def test_the_schemas_of_avro_are_read_beside_the_mapping(tmp_path):
    schema = '{"type": "record", "name": "E", "fields": [{"name": "machine", "type": "string"}]}'
    (tmp_path / "e.avsc").write_text(schema)
    text = GOOD.replace('"json"', '"avro"') + '[avro.ids]\n7 = "e.avsc"\n'
    found = problems(write(tmp_path, text))
    assert {p.key for p in found} == {
        f"fields.{name}" for name in ("source", "seq", "type", "occurred", "good", "machine")
    }
    (tmp_path / "e.avsc").write_text('{"type": "recrd"}')
    assert "not an Avro schema" in str(problems(write(tmp_path, text))[0])


def test_the_digest_follows_the_content_only(tmp_path):
    original = load(write(tmp_path, GOOD)).digest
    assert load(write(tmp_path, "# a comment\n" + GOOD.replace("good = ", "good   = "))).digest == original
    assert load(write(tmp_path, GOOD.replace('"A"', '"B"'))).digest != original


def test_the_digest_is_the_same_in_a_release_that_adds_keys(tmp_path, monkeypatch):
    """Else each upgrade would tell of changed mappings, and no pin would outlive it."""
    mapping = load(write(tmp_path, GOOD + '[routes]\nstate = "operational"\n[sequencing]\nheld_rows_max = 7\n'))
    assert mapping.digest.startswith("52fa5569e281a2b6")
    content = tomllib.loads(mapping.text)

    class Policy(SequencePolicy):
        added: int = 7

    class Release(PlantMapping):
        added: str = "said by nobody"
        sequencing: Policy = Policy()

    monkeypatch.setitem(DEFAULT_ROUTES, "added", Route.AGGREGATED)
    assert Release.model_validate(content).digest == mapping.digest
    assert Release.model_validate({**content, "added": "said"}).digest != mapping.digest


def test_a_copy_with_other_values_works_out_its_own(tmp_path):
    mapping = load(write(tmp_path, GOOD))
    worked_out = ("digest", "sources", "paths", "constants", "reading", "words")
    before = {name: getattr(mapping, name) for name in worked_out}
    changes = {"fields": {**mapping.fields, "lot": mapping.fields["source"]}, "types": {"made": EventType.PARTIAL}}
    other = mapping.model_copy(update={"plant": "other", **changes})
    assert other.constants == {"plant": "other"}
    assert set(other.paths) == {*mapping.paths, "lot"}
    assert "lot" in other.reading.reads
    assert other.words != before["words"]
    assert other.digest == PlantMapping.model_validate(other.model_dump()).digest != mapping.digest
    assert (other.text, mapping.model_copy().text) == ("", mapping.text)
    assert mapping.model_copy(deep=True) == mapping
    assert {name: getattr(mapping, name) for name in worked_out} == before


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("benchmarks/*.toml")))
def test_mappings_of_the_benchmarks_are_in_order(path):
    assert problems(path) == []


DOCUMENT = '''\
a = 1
"b.c" = """
[not]
x = 1
"""
d.e.'f g' = { h = [1, { i = 2 }], "j" = 'k' }
l = [
  1, # ]
  [2],
  "]",
]
[m."n o"]
p = 2026-01-05 06:00:00
[[q]]
r = 1
[[q.s]]
t = 1
[[q]]
[q.u]
v = -inf
'''


def test_lines_of_keys():
    lines = key_lines(DOCUMENT)
    assert lines[("a",)] == 1
    assert lines[("b.c",)] == 2
    assert lines["d", "e", "f g", "h", 1, "i"] == 6
    assert lines["d", "e", "f g", "j"] == 6
    assert [lines["l", i] for i in range(3)] == [8, 9, 10]
    assert lines["m", "n o", "p"] == 13
    assert lines["q", 0, "r"] == 15
    assert lines["q", 0, "s", 0, "t"] == 17
    assert lines["q", 1] == 18
    assert lines["q", 1, "u", "v"] == 20


def keys_of(value, at=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*at, key)
        yield from keys_of(child, (*at, key))


def test_every_key_of_a_document_has_a_line():
    assert set(keys_of(tomllib.loads(DOCUMENT))) == set(key_lines(DOCUMENT))


@given(st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=4)), max_size=4))
def test_any_quoted_key_has_its_line(table):
    def quoted(text):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'

    document = "".join(
        f"{quoted(key)} = {value if isinstance(value, int) and abs(value) < 2**63 else quoted(str(value))}\n"
        for key, value in table.items()
    )
    tomllib.loads(document)
    assert key_lines(document) == {(key,): line for line, key in enumerate(table, 1)}
