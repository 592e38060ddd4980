"""Parquet: rows are lines of JSON, whatever batches they come in; what is broken is refused as a whole (M07, M51)."""

from __future__ import annotations

import io
import json
import resource
from contextlib import closing
from decimal import Decimal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import Vocabulary
from canonical.decoders import decode, parquet_rows
from canonical.decoders.parquet_rows import GROUP, ParquetRows, read_parquet
from canonical.mapping import load
from dataflows.dead_letter_box import letters
from dataflows.replay.replay import Replay
from dataflows.replay.selection import Selection
from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.trail.operator_trail import operator_trail
from sinks.dead_letters import parse
from sinks.sqlite import SqliteStreams
from tests.mapped_plant import AT_S, MAPPING, MappedPlant, clock, line
from tests.scripted_flow import balanced

NOW_US = (AT_S + 3_600) * 1_000_000
PARQUET = MAPPING.replace('"json"', '"parquet"', 1).replace("*.json", "*.parquet")


def written(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def table(numbers: range, **columns: object) -> pa.Table:
    """The events of ``mapped_plant.line`` as a table, instants as instants."""
    rows = [json.loads(line(n)) for n in numbers]
    made = {name: [row[name] for row in rows] for name in rows[0]}
    made["at"] = pa.array([(AT_S + n * 60) * 1000 for n in numbers], pa.timestamp("ms", "UTC"))
    made["g"] = pa.array([Decimal(2)] * len(rows), pa.decimal128(12, 3))
    return pa.table({**made, **columns})


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet") / "p.toml"
    path.write_text(PARQUET)
    return load(path)


def lines(data: bytes) -> list[bytes]:
    raw = read_parquet(data)
    return [raw.value(row) for row in range(len(raw))]


def decoded(mapping, data: bytes):
    """How many events, and the faults by row."""
    raw = read_parquet(data)
    done = decode(mapping, raw, Vocabulary(), NOW_US)
    assert len(done.events) + len(done.faults) + done.skipped == len(raw)
    return len(done.events), {int(raw.offsets[f.row]): (f.code.value, f.detail) for f in done.faults}


def test_a_row_is_what_a_line_of_json_of_its_values_is(mapping, tmp_path):
    (tmp_path / "j.toml").write_text(MAPPING)
    as_json = b"".join(line(n) for n in range(20))
    mine, theirs = Vocabulary(), Vocabulary()
    found = decode(mapping, read_parquet(written(table(range(20)))), mine, NOW_US).events
    raw = read_parquet(b"")
    raw = type(raw).from_lines(as_json)
    wanted = decode(load(tmp_path / "j.toml"), raw, theirs, NOW_US).events
    assert mine.texts == theirs.texts
    for name in found.columns.keys() - {"offset"}:
        assert (found[name] == wanted[name]).all(), name
    assert found["offset"].tolist() == list(range(20))


def test_every_type_has_one_way_to_be_written():
    at = 1_767_600_000_123_456
    columns = {
        "text": ["a\nb\0é", None],
        "big": pa.array([2**63, None], pa.uint64()),
        "real": [float("inf"), float("nan")],
        "single": pa.array([0.1, float("-inf")], pa.float32()),
        "half": pa.array(np.array([1.5, 2], np.float16)),
        "exact": pa.array([Decimal("-1.250"), None], pa.decimal128(9, 3)),
        "wide": pa.array([Decimal("1.25"), None], pa.decimal256(50, 2)),
        "zoned": pa.array([at, 2**62], pa.timestamp("us", "Europe/Berlin")),
        "local": pa.array([at // 1000, -(2**60)], pa.timestamp("ms")),
        "day": pa.array([20_000, 2**31 - 1], pa.date32()),
        "clock": pa.array([3_600_000, None], pa.time32("ms")),
        "bytes": pa.array([b"M-1", b"\xff\x00"]),
        "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
        "true": [True, None],
        "name": pa.array(["x", "x"]).dictionary_encode(),
        "lasts": pa.array([5, None], pa.duration("s")),
        "in": [{"a": {"b": 1}, "c": "d"}, None],
        "list": [[1, 2], []],
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "structs": [[{"a": 1}], None],
    }
    first, second = map(orjson.loads, lines(written(pa.table(columns))))
    largest = 1.7976931348623157e308
    assert first == {
        "text": "a\nb\0é", "big": 2**63, "real": largest, "single": 0.1, "half": 1.5, "exact": -1.25, "wide": "1.25",
        "zoned": "2026-01-05T08:00:00.123456Z", "local": "2026-01-05T08:00:00.123", "day": "2024-10-04",
        "clock": "01:00:00", "bytes": "M-1", "fixed": "ab", "true": True, "name": "x", "lasts": 5,
        "in": {"a": {"b": 1}, "c": "d"},
    }  # fmt: skip
    assert second == {
        "real": None, "single": -3.4028235e38, "half": 2.0, "zoned": "9999-12-31T23:59:59.999999Z",
        "local": "0001-01-01T00:00:00", "day": "9999-12-31", "bytes": "ff00", "fixed": "cd", "name": "x",
    }  # fmt: skip


def test_a_text_that_is_none_is_a_fault_of_its_row_alone(mapping):
    texts = pa.array([b"1", b"\xff2", b"3"]).view(pa.string())
    assert decoded(mapping, written(table(range(3), o=texts))) == (2, {1: ("NOT_UTF8", "byte 97 is 0xff")})


OPTIONS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 40),
        "data_page_size": st.sampled_from([16, 200, 1 << 20]),
        "compression": st.sampled_from(["none", "snappy", "zstd", "gzip"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 90), OPTIONS, st.data())
def test_lines_and_their_places_do_not_depend_on_how_the_file_is_written_or_read(rows, options, data):
    """Indifference and restarts (laws 3 and 4): any row groups and pages, any batches, from any row on."""
    whole = (
        table(range(rows), o=[None if n % 7 == 3 else "o" * n for n in range(rows)]) if rows else pa.table({"s": []})
    )
    wanted = lines(written(whole))
    file = io.BytesIO(written(whole, **options))
    kept_bytes_max = data.draw(st.sampled_from([0, 1_500, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_rows, "KEPT_BYTES_MAX", kept_bytes_max)
        patch.setattr(parquet_rows, "WINDOW_ROWS", data.draw(st.sampled_from([3, 8_192])))
        read_in_pieces(file, rows, wanted, data)


def read_in_pieces(file, rows, wanted, data):
    first = data.draw(st.integers(0, rows + 1))
    reader, at = ParquetRows(file, first), first
    while len(part := reader.read(data.draw(st.integers(1, 50)), data.draw(st.integers(1, 4_000)))):
        assert part.offsets.tolist() == list(range(at, at + len(part)))
        assert [part.value(row) for row in range(len(part))] == wanted[at : at + len(part)]
        at += len(part)
        if data.draw(st.booleans()):
            reader = ParquetRows(file, at)
    assert at == max(rows, first)


GOOD = written(table(range(60)), row_group_size=20, compression="none", write_page_checksum=True)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_broken_file_is_refused_with_a_code_and_never_more(mapping, data):
    if data.draw(st.booleans()):
        broken = GOOD[: data.draw(st.integers(1, len(GOOD) - 1))]
        assert decoded(mapping, broken)[0] == 0
        ((code, _),) = decoded(mapping, broken)[1].values()
        assert code in {"TRUNCATED", "MALFORMED"}
        return
    body = bytearray(GOOD)
    for at in data.draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=8)):
        body[at] = data.draw(st.integers(0, 255))
    raw = read_parquet(bytes(body))
    assert (np.diff(raw.offsets) > 0).all()
    assert len(raw) <= 60 + 4_096 * 64
    decoded(mapping, bytes(body))


def test_a_broken_row_group_takes_none_of_the_others_with_it(mapping):
    group = pq.ParquetFile(io.BytesIO(GOOD)).metadata.row_group(1)
    at = group.column(group.num_columns - 1).data_page_offset + 60
    broken = GOOD[:at] + bytes([GOOD[at] ^ 0xFF]) + GOOD[at + 1 :]
    told = "a row group of the Parquet file is broken, or its pages are too large"
    assert decoded(mapping, broken) == (40, {20: ("MALFORMED", told)})
    start = group.column(0).dictionary_page_offset
    assert lines(broken)[20].startswith(GROUP + broken[start : start + 100])
    file = io.BytesIO(broken)
    for first in (20, 21, 30, 39, 40):
        rest = ParquetRows(file, first).read(100, 1 << 20)
        assert rest.offsets[0] == (20 if first == 20 else 40)


def test_what_unpacks_to_too_much_is_refused_within_bounds(mapping):
    """Bombs (law 7): memory stays far below what the file says it holds."""
    bombs = [
        written(pa.table({"s": ["a" * (40 << 20)]}), compression="zstd"),
        written(pa.table({"s": pa.nulls(20_000_000, pa.int8())}), compression="zstd"),
        dictionary_bomb(),
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in bombs:
        events, faults = decoded(mapping, bomb)
        assert (events, {code for code, _ in faults.values()}) == (0, {"MALFORMED"}), len(bomb)
        assert len(faults) == pq.ParquetFile(io.BytesIO(bomb)).num_row_groups
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 << 10


def dictionary_bomb() -> bytes:
    """Some hundred bytes that say one text of 1 MB 400 times."""
    out = io.BytesIO()
    kind = pa.dictionary(pa.int32(), pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400, np.int32)), pa.array(["a" * (1 << 20)]))
    pq.write_table(pa.table({"s": column.cast(kind)}), out, compression="zstd", dictionary_pagesize_limit=1 << 22)
    assert len(out.getvalue()) < 100_000
    return out.getvalue()


class Landing(MappedPlant):
    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.mapping.write_text(PARQUET)

    def totals(self) -> dict[str, int]:
        entries = {(e["source"], e["session"]): e for e in self.records_of_ledger()}
        numbers = [name for name, value in next(iter(entries.values())).items() if isinstance(value, int)]
        return {name: sum(entry[name] for entry in entries.values()) for name in numbers}

    def records_of_ledger(self) -> list[dict]:
        with closing(SqliteStreams(self.folder / "state/plantsync.db")) as log:
            return [json.loads(each) for s in log.read("ledger", 0, 10_000) for each in s.value.splitlines()]


def test_files_that_land_are_read_once_accounted_for_and_replayed(tmp_path):
    """Conservation, idempotent re-drop and a replay of rows (M02, M08, M29)."""
    plant = Landing(tmp_path)
    good = written(table(range(10)), row_group_size=4)
    plant.lands("1.parquet", good)
    plant.lands("2.parquet", written(table(range(10, 20), u=["STCK"] + ["PCE"] * 9)))
    plant.lands("3.parquet", good)  # dropped again, under another name
    plant.lands("4.parquet", good[:-1])
    plant.lands("5.parquet", written(table(range(25)), row_group_size=3))  # grown, and dropped again
    totals = plant.totals()
    assert balanced(totals)
    assert (totals["read"], totals["faults"], totals["duplicates"]) == (10 + 10 + 10 + 1 + 25, 2, 10 + 19)
    told = [parse(stored) for _, stored in letters(plant.settings)]
    assert [(letter.fault.code.value, letter.fault.offset) for letter in told] == [
        ("UNKNOWN_UNIT", 1 << 40),
        ("TRUNCATED", 3 << 40),
    ]
    plant.mapping.write_text(PARQUET + 'STCK = "H87"\n')
    with operator_trail(plant.settings) as trail:
        replay = Replay(plant.settings, clock, lambda _: None)
        assert replay.planned(Selection("input", plant="P"), trail.state).records == 10 + 10 + 10 + 25
        plan = replay.planned(Selection(), trail.state)
        assert plan.records == 1
        replay.applied(plan, trail, "anna", "mended")
    plant.run()
    assert plant.totals()["released"] == 25


def test_a_file_of_more_rows_than_bytes_is_found_again_as_a_whole(tmp_path):
    plant = Landing(tmp_path)
    count = 6_000
    rows = {"s": ["m"] * count, "n": range(count), "t": ["complete"] * count, "o": ["1"] * count, "w": ["W1"] * count}
    rows |= {"at": pa.array([AT_S * 1_000] * count, pa.timestamp("ms", "UTC")), "u": ["PCE"] * count, "g": [1] * count}
    data = written(
        pa.table(rows), compression="zstd", use_dictionary=False, column_encoding={"n": "DELTA_BINARY_PACKED"}
    )
    assert len(data) < count
    plant.lands("1.parquet", data)
    replay = Replay(plant.settings, clock, lambda _: None)
    assert replay.planned(Selection("input", plant="P", limit=count + 1)).records == count


def test_a_reader_goes_on_at_its_row(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(written(table(range(50)), row_group_size=7))
    config = FolderConfig(folder, format="parquet", batch_rows_max=9, settle_us=0)
    read, position = [], None
    for _ in range(40):
        reader = LandedFiles(config, lambda: 4 * 10**15)
        reader.seek(position, {})
        records = reader.poll()
        read += records.offsets.tolist()
        position = reader.position()
        reader.close()
        if len(read) == 50:
            break
    assert read == list(range(50))
