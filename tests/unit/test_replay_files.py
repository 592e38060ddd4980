"""Records as files of a drop folder: formats, names, and the two steps of dropping one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import fastavro
import pytest

from canonical.decoders.avro import read_container
from canonical.mapping import load
from canonical.plants import shipped
from dataflows.replay.files import FolderUnwritable, contents, discard, drop, file_names, leftovers, prepare
from dataflows.replay.selection import ReplayRefused
from dataflows.sources.landed_files import FolderConfig, LandedFiles

ID = "0123456789abcdef"
MAPPINGS = {path.stem: load(path) for path in shipped()}
SCHEMA = {
    "type": "record", "name": "r", "namespace": "n",
    "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"]}],
}  # fmt: skip


def test_lines_are_the_records_byte_for_byte():
    values = [b'{"a":1}', b'\xff|"']

    assert contents(MAPPINGS["plant_a"], values, [(), ()], ID) == [b'{"a":1}\n\xff|"\n']
    assert contents(MAPPINGS["plant_m"], values, [(), ()], ID) == [b'{"a":1}\n\xff|"\n']


def test_a_csv_file_begins_with_the_names_of_its_columns():
    (content,) = contents(MAPPINGS["plant_b"], [b"x;y"], [()], ID)

    header, record, rest = content.split(b"\n")
    assert header.decode("cp1252").split(";") == list(MAPPINGS["plant_b"].csv.columns)
    assert (record, rest) == (b"x;y", b"")


def test_avro_data_are_put_into_containers_of_their_schema_unchanged(tmp_path):
    other = {**SCHEMA, "name": "s"}
    read = []
    for number, schema in enumerate((SCHEMA, other)):
        path = tmp_path / f"{number}.avro"
        with path.open("wb") as file:
            fastavro.writer(file, schema, [{"a": i - 70, "b": "x" * (i * 90) or None} for i in range(3)])
        read.append(read_container(path.read_bytes()))
    values = [raw.value(row) for row in range(3) for raw in read]
    headers = [raw.headers[row] for row in range(3) for raw in read]

    files = contents(MAPPINGS["plant_a"].model_copy(update={"format": "avro"}), values, headers, ID)

    assert len(files) == 2
    for content, raw in zip(files, read, strict=True):
        again = read_container(content)
        assert [again.value(row) for row in range(len(again))] == [raw.value(row) for row in range(3)]
        assert json.loads(again.headers[0][0][1]) == json.loads(raw.headers[0][0][1])


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.ndjson", f"replay-{ID}-0.ndjson"),
        ("*", f"replay-{ID}-0"),
        ("export_*_v?.csv", f"export_replay-{ID}-0_v0.csv"),
        ("a*b*.csv", f"areplay-{ID}-0b.csv"),
    ],
)
def test_names_fit_the_pattern(pattern, name):
    assert file_names(pattern, ID, 1) == [name]


@pytest.mark.parametrize("pattern", ["data.csv", "[0-9]*.csv", ".*", "*.tmp"])
def test_a_pattern_that_no_name_fits_is_refused(pattern):
    with pytest.raises(ReplayRefused, match="pattern"):
        file_names(pattern, ID, 1)


@pytest.fixture
def landed(tmp_path) -> Iterator[LandedFiles]:
    config = FolderConfig(tmp_path, "*.csv", "csv", by_content=True, settle_us=0)
    with closing(LandedFiles(config, lambda: 2**52)) as reader:
        yield reader


def test_a_prepared_file_is_not_read_before_it_is_dropped(tmp_path, landed):
    (name,) = file_names("*.csv", ID, 1)
    hidden, final = prepare(tmp_path, name, b"x\n")

    assert len(landed.poll()) == 0
    assert list(leftovers(tmp_path)) == [hidden]
    assert drop(hidden, final)
    assert not drop(hidden, final)
    assert len(landed.poll()) == 1
    assert list(leftovers(tmp_path)) == []


def test_a_replayed_file_is_read_though_its_content_was_read_before(tmp_path, landed):
    (tmp_path / "1.csv").write_bytes(b"x\n")
    assert len(landed.poll()) == 1
    (tmp_path / "2.csv").write_bytes(b"x\n")
    assert len(landed.poll()) == 0
    drop(*prepare(tmp_path, *file_names("*.csv", ID, 1), b"x\n"))

    assert len(landed.poll()) == 1
    (tmp_path / "3.csv").write_bytes(b"x\n")
    assert len(landed.poll()) == 0


def test_only_what_a_replay_prepared_is_discarded(tmp_path):
    other = tmp_path / ".upload.csv.tmp"
    other.write_bytes(b"")
    prepare(tmp_path, *file_names("*.csv", ID, 1), b"x\n")

    assert discard(leftovers(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == [other]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FolderUnwritable, match="Check that the folder is there"):
        prepare(tmp_path / "nowhere", "x", b"")


def test_a_look_at_a_file_remembers_nothing(tmp_path, landed):
    (tmp_path / "1.csv").write_bytes(b"a\nb\n")
    (raw,) = landed.whole(tmp_path / "1.csv")

    assert raw.offsets.tolist() == [0, 2]
    assert not landed.at_end()
