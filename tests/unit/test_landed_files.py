"""Landed files: each complete file once, whole, in order, from any position (M03, M17)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest

from canonical.records import RawRecords
from dataflows.sources import landed_files
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.landed_files import FILE_SHIFT, FolderConfig, LandedFiles
from dataflows.sources.self_contained import SelfContained

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


def drop(folder: Path, name: str, data: bytes, age_s: float = 60) -> None:
    path = folder / name
    path.write_bytes(data)
    written_ns = NOW_US * 1000 - int(age_s * 1e9)
    os.utime(path, ns=(written_ns, written_ns))


OPEN: list[LandedFiles] = []


def reader(folder: Path, **settings: object) -> LandedFiles:
    OPEN.append(LandedFiles(FolderConfig(folder, **settings), lambda: NOW_US))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def values(records: RawRecords) -> list[bytes]:
    return [records.value(row) for row in range(len(records))]


def read_all(files: LandedFiles) -> list[bytes]:
    out: list[bytes] = []
    while len(records := files.poll()):
        out += values(records)
    return out


def test_files_are_read_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    drop(tmp_path, "b", b"1\n2\n", age_s=30)
    drop(tmp_path, "a", b"3\n", age_s=20)
    drop(tmp_path, "0", b"4", age_s=20 - 1e-6)
    files = reader(tmp_path)
    assert read_all(files) == [b"1", b"2", b"3", b"4"]
    assert files.at_end()


@pytest.mark.parametrize("name", ["x.tmp", "x.part", "x.csv.filepart", ".x"])
def test_a_file_that_says_it_is_unfinished_waits(tmp_path: Path, name: str) -> None:
    drop(tmp_path, name, b"1\n")
    files = reader(tmp_path)
    assert read_all(files) == []
    assert files.at_end()


def test_a_file_that_was_just_written_waits(tmp_path: Path) -> None:
    drop(tmp_path, "x", b"1\n", age_s=1)
    files = reader(tmp_path)
    assert read_all(files) == []
    assert not files.at_end(), "there is more to come"
    drop(tmp_path, "x", b"1\n2\n", age_s=3)
    assert read_all(files) == [b"1", b"2"]


def test_the_pattern_chooses(tmp_path: Path) -> None:
    drop(tmp_path, "x.csv", b"1\n")
    drop(tmp_path, "x.log", b"2\n")
    assert read_all(reader(tmp_path, pattern="*.csv")) == [b"1"]


@pytest.mark.parametrize("batch_bytes", [5, 7, 1000])
def test_reading_goes_on_from_any_position(tmp_path: Path, batch_bytes: int) -> None:
    drop(tmp_path, "a", b"".join(b"%d\n" % n for n in range(20)), age_s=20)
    drop(tmp_path, "b", b"x\ny", age_s=10)
    everything = read_all(reader(tmp_path, batch_bytes=batch_bytes))
    told: list[bytes] = []
    state: dict[str, bytes] = {}
    position = None
    while True:  # a new reader for every poll, as after a crash
        files = reader(tmp_path, batch_bytes=batch_bytes)
        files.seek(position, state)
        records = files.poll()
        told += values(records)
        position = files.position()
        state |= files.state()
        if not len(records):
            break
    assert told == everything == [b"%d" % n for n in range(20)] + [b"x", b"y"]


def test_offsets_tell_file_and_byte_and_grow(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"one\ntwo\n", age_s=20)
    drop(tmp_path, "b", b"three\n", age_s=10)
    files = reader(tmp_path)
    assert files.poll().offsets.tolist() == [0, 4]
    assert files.poll().offsets.tolist() == [1 << FILE_SHIFT]


def test_a_file_dropped_again_is_not_read_again(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"1\n", age_s=20)
    files = reader(tmp_path, by_content=True)
    assert read_all(files) == [b"1"]
    drop(tmp_path, "a", b"1\n", age_s=10)
    drop(tmp_path, "copy of a", b"1\n", age_s=9)
    assert read_all(files) == []
    drop(tmp_path, "a", b"1\n2\n", age_s=8)
    assert read_all(files) == [b"1", b"2"], "it has grown; its old records are duplicates by identity"


def test_what_has_been_read_is_remembered_after_a_restart(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"1\n", age_s=20)
    files = reader(tmp_path, by_content=True)
    assert read_all(files) == [b"1"]
    again = reader(tmp_path, by_content=True)
    again.seek(files.position(), files.state())
    (tmp_path / "a").rename(tmp_path / "moved")
    assert read_all(again) == []


def test_files_that_have_left_the_folder_are_forgotten(tmp_path: Path) -> None:
    files = reader(tmp_path)
    for name in ("a", "b", "c"):
        drop(tmp_path, name, b"1\n")
        read_all(files)
        (tmp_path / name).unlink()
    drop(tmp_path, "d", b"1\n")
    read_all(files)
    assert b'"a"' not in files.state()["source.files"]


def test_a_file_that_was_replaced_while_being_read_is_another_file(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"1\n2\n3\n", age_s=20)
    files = reader(tmp_path, batch_bytes=2)
    assert values(files.poll()) == [b"1"]
    position = files.position()
    drop(tmp_path, "a", b"1\n2\n3\n4\n", age_s=10)
    again = reader(tmp_path)
    again.seek(position, {})
    records = again.poll()
    assert values(records) == [b"1", b"2", b"3", b"4"]
    assert records.offsets[0] == 1 << FILE_SHIFT, "offsets of the old file are not used again"


def test_a_line_longer_than_a_batch_is_one_record(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"x" * 50 + b"\ny\n")
    files = reader(tmp_path, batch_bytes=8)
    assert values(files.poll()) == [b"x" * 50]
    assert values(files.poll()) == [b"y"]


@pytest.mark.parametrize("batch_bytes", [5, 8, 15])
def test_an_endless_line_is_one_record_and_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int
) -> None:
    # Were its end a record of its own, that might be taken for a good one.
    monkeypatch.setattr(landed_files, "LINE_BYTES_MAX", 16)
    drop(tmp_path, "a", b"w\n" + b"x" * 40 + b"{}\ny\n" + b"z" * 30)
    files = reader(tmp_path, batch_bytes=batch_bytes)
    assert read_all(files) == [b"w", b"x" * 16, b"y", b"z" * 16]
    assert files.at_end()


def test_an_avro_file_yields_its_data_with_the_schema_they_were_written_in(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}
    body = io.BytesIO()
    fastavro.writer(body, schema, [{"n": n} for n in range(50)])
    drop(tmp_path, "a.avro", body.getvalue())
    files = reader(tmp_path, format="avro", batch_rows_max=20)
    batches = [files.poll() for _ in range(4)]
    assert [len(batch) for batch in batches] == [20, 20, 10, 0]
    assert [offset for batch in batches for offset in batch.offsets] == list(range(50))
    numbers = [fastavro.schemaless_reader(io.BytesIO(v[10:]), schema)["n"] for b in batches for v in values(b)]
    assert numbers == list(range(50))
    for batch in batches[:3]:
        assert batch.headers is not None
        assert {dict(headers)["avro.schema"] for headers in batch.headers} == {json.dumps(schema).encode()}


@pytest.mark.parametrize("by_content", [True, False])
def test_a_link_that_leads_out_and_a_name_that_is_no_text_are_refused_and_nothing_of_them_is_read(
    tmp_path: Path, by_content: bool
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    drop(tmp_path, "secret", b"1\n2\n", age_s=40)
    (folder / "link").symlink_to("../secret")
    drop(folder, "a", b"1\n2\n", age_s=30)
    (folder / "within").symlink_to("a")
    drop(folder, os.fsdecode(b"b\xff\x1b[2J"), b"3\n", age_s=20)
    drop(folder, "c", b"4\n", age_s=10)
    found: list[tuple[bytes, str]] = []
    state: dict[str, bytes] = {}
    position, offsets = None, []
    for _ in range(8):
        files = reader(folder, by_content=by_content, batch_bytes=1)
        files.seek(position, state)
        raw = files.poll()  # killed after each commit
        found += [(raw.value(row), raw.refusals[row][1] if raw.refusals else "") for row in range(len(raw))]
        offsets += raw.offsets.tolist()
        position, state = files.position(), {**state, **files.state()}
    name = b"b\\\\xff\\x1b[2J"
    assert found == [
        (b"link", "link: it is a link that leads out of the folder"),
        (b"1", ""),
        (b"2", ""),
        *([] if by_content else [(b"1", ""), (b"2", "")]),
        (name, f"{name.decode()}: its name is no text, or has control characters"),
        (b"4", ""),
    ]
    assert offsets == sorted(set(offsets))
    assert files.at_end()
    assert list(files.whole(folder / "link")) == []


def test_a_landing_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="Check that the folder is mounted"):
        reader(tmp_path / "not mounted" / "plant").poll()


def test_the_folder_of_a_plant_is_made(tmp_path: Path) -> None:
    assert read_all(reader(tmp_path / "plant")) == []
    drop(tmp_path / "plant", "a", b"1\n")


def test_a_file_that_is_taken_away_after_it_was_listed_is_passed_over(tmp_path: Path) -> None:
    drop(tmp_path, "a", b"1\n", age_s=30)
    drop(tmp_path, "b", b"2\n", age_s=20)
    drop(tmp_path, "c", b"3\n", age_s=10)
    files = reader(tmp_path)
    assert values(files.poll()) == [b"1"]
    (tmp_path / "b").unlink()
    assert read_all(files) == [b"3"]


def test_looking_at_what_is_behind_makes_no_folder(tmp_path: Path) -> None:
    files = reader(tmp_path / "plant")
    assert files.behind() == 0
    assert files.at_end()
    assert not (tmp_path / "plant").exists()


def test_short_lines_come_some_at_a_time(tmp_path: Path) -> None:
    """Eight megabytes of lines of one byte would become four million dead letters at once (DESIGN law 7)."""
    lines = [b"%d" % number for number in range(1_000)]
    drop(tmp_path, "a", b"\n".join(lines) + b"\n")
    files = reader(tmp_path, batch_rows_max=30)
    sizes, found, offsets = [], [], []
    while len(records := files.poll()):
        sizes.append(len(records))
        found += values(records)
        offsets += records.offsets.tolist()
        position = files.position()
        files = reader(tmp_path, batch_rows_max=30)
        files.seek(position, {})
    assert sizes == [30] * 33 + [10]
    assert found == lines
    assert offsets == [len(b"\n".join(lines[:number])) + (number > 0) for number in range(1_000)]


def test_a_position_alone_is_enough_where_nothing_else_is_stored(tmp_path: Path) -> None:
    """The analytics store keeps positions only (M47)."""
    drop(tmp_path, "a", b"1\n", age_s=30)
    drop(tmp_path, "b", b"2\n3\n", age_s=20)
    first = SelfContained(reader(tmp_path, by_content=True, batch_rows_max=1))
    first.seek(None, {})
    assert values(first.poll()) + values(first.poll()) == [b"1", b"2"]
    place = first.position()
    drop(tmp_path, "c", b"1\n")  # what a held, dropped again under another name
    later = SelfContained(reader(tmp_path, by_content=True, batch_rows_max=1))
    later.seek(place, {})
    records = later.poll()
    assert (values(records), records.offsets.tolist()) == ([b"3"], [(1 << FILE_SHIFT) + 2])
    assert (len(later.poll()), later.at_end(), later.state()) == (0, True, {})
    last = SelfContained(reader(tmp_path, by_content=True))
    last.seek(later.position(), {})
    assert (len(last.poll()), last.at_end()) == (0, True)
